// Our listener against libmosquitto as the client: an implementation that is not ours.
#include <atomic>
#include <iostream>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sys/socket.h>

#include "protocols/driver/test_doubles.h"
#include "protocols/mqtt/listener.h"

namespace penstock::protocols {
namespace {

class Mosquitto {
 public:
  explicit Mosquitto(std::string id, bool clean = true) {
    mosquitto_lib_init();
    client_ = mosquitto_new(id.c_str(), clean, this);
    mosquitto_connect_callback_set(client_, [](mosquitto*, void* self, int code) {
      static_cast<Mosquitto*>(self)->connack = code;
    });
    mosquitto_publish_callback_set(
        client_, [](mosquitto*, void* self, int) { ++static_cast<Mosquitto*>(self)->published; });
    mosquitto_subscribe_callback_set(client_,
                                     [](mosquitto*, void* self, int, int, const int* granted) {
                                       static_cast<Mosquitto*>(self)->granted = granted[0];
                                     });
    mosquitto_message_callback_set(client_,
                                   [](mosquitto*, void* self, const mosquitto_message* message) {
                                     static_cast<Mosquitto*>(self)->Add(*message);
                                   });
  }
  ~Mosquitto() {
    mosquitto_disconnect(client_);
    mosquitto_loop_stop(client_, true);
    mosquitto_destroy(client_);
  }
  mosquitto* get() { return client_; }

  bool Connect(uint16_t port) {
    EXPECT_EQ(mosquitto_connect(client_, "127.0.0.1", port, 30), MOSQ_ERR_SUCCESS);
    mosquitto_loop_start(client_);
    return Eventually([&] { return connack >= 0; }) && connack == 0;
  }
  // The connection breaks without DISCONNECT.
  void Cut() {
    ::shutdown(mosquitto_socket(client_), SHUT_RDWR);
    mosquitto_loop_stop(client_, true);
  }
  bool Publish(std::string_view topic, std::string_view payload, int qos, bool retain = false) {
    const int before = published;
    EXPECT_EQ(mosquitto_publish(client_, nullptr, std::string(topic).c_str(),
                                static_cast<int>(payload.size()), payload.data(), qos, retain),
              MOSQ_ERR_SUCCESS);
    return Eventually([&] { return published > before; });
  }
  int Subscribe(std::string_view filter, int qos) {
    granted = -1;
    mosquitto_subscribe(client_, nullptr, std::string(filter).c_str(), qos);
    EXPECT_TRUE(Eventually([&] { return granted >= 0; }));
    return granted;
  }
  std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

  std::atomic<int> connack = -1, published = 0, granted = -1;

 private:
  void Add(const mosquitto_message& message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(fmt::format("{}={} q{}{}", message.topic,
                                    std::string_view(static_cast<const char*>(message.payload),
                                                     static_cast<size_t>(message.payloadlen)),
                                    message.qos, message.retain ? " retain" : ""));
  }
  mosquitto* client_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

class MqttLibmosquittoTest : public testing::Test {
 protected:
  MqttLibmosquittoTest() {
    mqtt::ListenerOptions options;
    options.endpoint.port = 0;
    listener_ = std::move(*mqtt::Listener::Open(std::move(options), node_.context()));
    things::Form form;
    form.protocol = things::Protocol::kMqtt;
    form.mqtt.topic = "line-1/pump-7/state";
    form.mqtt.value_pointer = "/flow";
    listener_->Apply(SnapshotOf({PropertyOf(0, "pump-7", "flow", std::move(form))}));
  }
  uint16_t port() const { return listener_->port(); }

  TestNode node_;
  std::unique_ptr<mqtt::Listener> listener_;
};

TEST_F(MqttLibmosquittoTest, PublishesInEveryQos) {
  Mosquitto client("pump-7");
  ASSERT_TRUE(client.Connect(port()));
  for (const int qos : {0, 1, 2}) {
    ASSERT_TRUE(client.Publish("line-1/pump-7/state", fmt::format(R"({{"flow": {}}})", qos), qos));
  }
  ASSERT_TRUE(Eventually([&] { return node_.sink.rows().size() == 3; }));
  EXPECT_EQ(node_.sink.rows()[2].value, 2);
}

TEST_F(MqttLibmosquittoTest, SubscribesWithWildcardsAndGetsRetainedMessages) {
  Mosquitto sender("sender"), receiver("receiver");
  ASSERT_TRUE(sender.Connect(port()));
  ASSERT_TRUE(receiver.Connect(port()));
  ASSERT_TRUE(sender.Publish("a/b/state", "old", 1, true));
  EXPECT_EQ(receiver.Subscribe("a/+/state", 2), 1);
  ASSERT_TRUE(sender.Publish("a/c/state", "new", 2));
  ASSERT_TRUE(Eventually([&] { return receiver.messages().size() == 2; }));
  EXPECT_EQ(receiver.messages(),
            (std::vector<std::string>{"a/b/state=old q1 retain", "a/c/state=new q1"}));
}

TEST_F(MqttLibmosquittoTest, AThousandQos1MessagesArriveInOrder) {
  Mosquitto sender("sender"), receiver("receiver");
  ASSERT_TRUE(sender.Connect(port()));
  ASSERT_TRUE(receiver.Connect(port()));
  receiver.Subscribe("n", 1);
  for (int i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i);
    mosquitto_publish(sender.get(), nullptr, "n", static_cast<int>(text.size()), text.data(), 1,
                      false);
  }
  ASSERT_TRUE(Eventually([&] { return receiver.messages().size() == 1000; }));
  EXPECT_EQ(receiver.messages()[999], "n=999 q1");
  EXPECT_TRUE(Eventually([&] { return sender.published == 1000; }));
}

TEST_F(MqttLibmosquittoTest, AWillIsPublishedAndASessionKept) {
  Mosquitto witness("witness");
  ASSERT_TRUE(witness.Connect(port()));
  witness.Subscribe("gone", 0);
  {
    Mosquitto client("dev", false);
    mosquitto_will_set(client.get(), "gone", 3, "dev", 0, false);
    ASSERT_TRUE(client.Connect(port()));
    client.Subscribe("work", 1);
    client.Cut();
    ASSERT_TRUE(Eventually([&] { return witness.messages().size() == 1; }));
  }
  ASSERT_TRUE(witness.Publish("work", "later", 1));
  Mosquitto again("dev", false);
  ASSERT_TRUE(again.Connect(port()));
  ASSERT_TRUE(Eventually([&] { return again.messages().size() == 1; }));
  EXPECT_EQ(again.messages()[0], "work=later q1");
}

TEST_F(MqttLibmosquittoTest, AClientOfVersion5IsToldThatItIsNotSpoken) {
  Mosquitto client("five");
  mosquitto_int_option(client.get(), MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  EXPECT_FALSE(client.Connect(port()));
}

// A listener to try other clients against by hand or from tests/peers: runs until standard input
// ends.
//   conformance_tests --gtest_also_run_disabled_tests --gtest_filter=*DISABLED_Serve
TEST_F(MqttLibmosquittoTest, DISABLED_Serve) {
  std::cout << "listening on 127.0.0.1:" << port() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
  }
  std::cout << node_.sink.rows().size() << " samples" << std::endl;
}

}  // namespace
}  // namespace penstock::protocols
