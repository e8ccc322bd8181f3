// The listener on real sockets.
#include "protocols/mqtt/listener.h"

#include <thread>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols::mqtt {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// A client with blocking calls.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
  }
  void Connect(std::string_view client_id) {
    std::string text;
    mqtt::Connect connect;
    connect.client_id = client_id;
    WriteConnect(connect, text);
    Send(text);
    EXPECT_EQ(Receive(4), AsText(*FromHex("20020000")));
  }
  void Send(std::string_view text) {
    error_code error;
    asio::write(socket_, asio::buffer(text.data(), text.size()), error);
  }
  std::string Receive(size_t count) {
    std::string text(count, '\0');
    error_code error;
    text.resize(asio::read(socket_, asio::buffer(text), error));
    return text;
  }
  bool IsClosedByServer() {
    char byte = 0;
    error_code error;
    asio::read(socket_, asio::buffer(&byte, 1), error);
    return error == asio::error::eof || error == asio::error::connection_reset;
  }

 private:
  asio::io_context io_;
  tcp::socket socket_;
};

std::string PublishText(std::string_view topic, std::string_view payload, uint8_t qos = 0,
                        uint16_t packet_id = 0) {
  std::string text;
  WritePublish({.qos = qos, .packet_id = packet_id, .topic = topic, .payload = payload}, text);
  return text;
}

class MqttListenerTest : public testing::Test {
 protected:
  MqttListenerTest() {
    ListenerOptions options;
    options.endpoint.port = 0;
    auto listener = Listener::Open(std::move(options), node_.context());
    EXPECT_TRUE(listener) << listener.error().ToString();
    listener_ = std::move(*listener);
    things::Form form;
    form.protocol = things::Protocol::kMqtt;
    form.mqtt.topic = "mapped";
    listener_->Apply(SnapshotOf({PropertyOf(0, "pump-7", "flow", std::move(form))}));
  }

  TestNode node_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(MqttListenerTest, APublishBecomesADurableSample) {
  Client client(listener_->port());
  client.Connect("pump-7");
  client.Send(PublishText("mapped", "1.5", 1, 7));
  EXPECT_EQ(client.Receive(4), AsText(*FromHex("40020007")));
  ASSERT_EQ(node_.sink.rows().size(), 1U);
  EXPECT_EQ(node_.sink.rows()[0].value, 1.5);
}

TEST_F(MqttListenerTest, PubackWaitsForTheLog) {
  node_.sink.Hold();
  Client client(listener_->port());
  client.Connect("pump-7");
  client.Send(PublishText("mapped", "1.5", 1, 7) + std::string("\xC0\x00", 2));
  EXPECT_EQ(client.Receive(2), std::string("\xD0\x00", 2));  // The ping's answer overtakes.
  ASSERT_TRUE(Eventually([&] { return node_.sink.waiting() == 1; }));
  node_.sink.Release();
  EXPECT_EQ(client.Receive(4), AsText(*FromHex("40020007")));
}

TEST_F(MqttListenerTest, APacketThatComesByteByByte) {
  Client client(listener_->port());
  client.Connect("pump-7");
  for (const char c : PublishText("mapped", "2.5", 1, 9)) client.Send({&c, 1});
  EXPECT_EQ(client.Receive(4), AsText(*FromHex("40020009")));
  EXPECT_EQ(node_.sink.rows()[0].value, 2.5);
}

TEST_F(MqttListenerTest, ALargePacketInPieces) {
  Client client(listener_->port());
  client.Connect("pump-7");
  std::string payload = "[" + std::string(900'000, ' ') + "]";
  client.Send(PublishText("chatter", payload, 1, 3));
  EXPECT_EQ(client.Receive(4), AsText(*FromHex("40020003")));
}

TEST_F(MqttListenerTest, AnAnnouncementOf256MegabytesClosesOnlyItsConnection) {
  Client good(listener_->port());
  good.Connect("good");
  Client client(listener_->port());
  client.Connect("large");
  client.Send(AsText(*FromHex("30FFFFFF7F")));
  EXPECT_TRUE(client.IsClosedByServer());
  good.Send(PublishText("mapped", "1", 1, 1));
  EXPECT_EQ(good.Receive(4), AsText(*FromHex("40020001")));
}

TEST_F(MqttListenerTest, GarbageClosesOnlyItsConnection) {
  Client good(listener_->port());
  good.Connect("good");
  Client client(listener_->port());
  client.Send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client.IsClosedByServer());
  good.Send(PublishText("mapped", "1", 1, 1));
  EXPECT_EQ(good.Receive(4), AsText(*FromHex("40020001")));
}

TEST_F(MqttListenerTest, MessagesReachASubscriberOnAnotherConnection) {
  Client subscriber(listener_->port());
  subscriber.Connect("s");
  std::string text;
  mqtt::Subscribe subscribe;
  subscribe.packet_id = 1;
  subscribe.subscriptions = {{"line/#", 0}};
  WriteSubscribe(subscribe, text);
  subscriber.Send(text);
  subscriber.Receive(5);
  Client sender(listener_->port());
  sender.Connect("p");
  const std::string message = PublishText("line/1", "hello");
  sender.Send(message);
  EXPECT_EQ(subscriber.Receive(message.size()), message);
}

TEST_F(MqttListenerTest, AFloodOfSmallMessagesArrivesWhole) {
  Client client(listener_->port());
  client.Connect("pump-7");
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += PublishText("mapped", std::to_string(i));
  text += PublishText("mapped", "0", 1, 1);
  client.Send(text);
  EXPECT_EQ(client.Receive(4), AsText(*FromHex("40020001")));
  const auto rows = node_.sink.rows();
  ASSERT_EQ(rows.size(), 20'001U);
  EXPECT_EQ(rows[19'999].value, 19'999);
  EXPECT_LT(node_.sink.writes(), 1000U);
}

TEST_F(MqttListenerTest, ThePortInUseIsNamed) {
  ListenerOptions options;
  options.endpoint.port = listener_->port();
  const auto second = Listener::Open(std::move(options), node_.context());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kAlreadyExists);
  EXPECT_NE(second.error().message.find(std::to_string(listener_->port())), std::string::npos);
}

TEST_F(MqttListenerTest, StopClosesEveryConnection) {
  Client client(listener_->port());
  client.Connect("pump-7");
  listener_->Stop();
  EXPECT_TRUE(client.IsClosedByServer());
}

TEST_F(MqttListenerTest, AnAnswerOfTheLogAfterStopIsNoHarm) {
  node_.sink.Hold();
  Client client(listener_->port());
  client.Connect("pump-7");
  client.Send(PublishText("mapped", "1.5", 1, 7));
  ASSERT_TRUE(Eventually([&] { return node_.sink.waiting() == 1; }));
  listener_.reset();
  node_.sink.Release();
}

}  // namespace
}  // namespace penstock::protocols::mqtt
