// The client of a foreign broker; here the foreign broker is another listener of ours.
// tests/conformance meets mosquitto.
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "protocols/driver/driver.h"
#include "protocols/driver/test_doubles.h"
#include "protocols/mqtt/listener.h"

namespace penstock::protocols {
namespace {

class Everybody final : public mqtt::MqttAuthorizer {
 public:
  Result<std::string> Connect(const Login& login) override {
    if (password && login.password != *password) return Unauthenticated("wrong password");
    return std::string(login.client_id);
  }
  bool MayPublish(std::string_view, std::string_view) override { return true; }
  bool MaySubscribe(std::string_view, std::string_view) override { return true; }
  std::optional<std::string> password;
};

class MqttClientTest : public testing::Test {
 protected:
  std::unique_ptr<mqtt::Listener> Broker(uint16_t port = 0) {
    mqtt::ListenerOptions options;
    options.endpoint.port = port;
    return std::move(*mqtt::Listener::Open(std::move(options), foreign_.context(), everybody_));
  }
  things::Property Flow(uint16_t port, int qos = 0) {
    things::Form form;
    form.protocol = things::Protocol::kMqtt;
    form.mqtt.broker = fmt::format("mqtt://127.0.0.1:{}", port);
    form.mqtt.topic = "pumps/+/state";
    form.mqtt.value_pointer = "/flow";
    form.mqtt.qos = qos;
    return PropertyOf(0, "pump-7", "flow", std::move(form));
  }
  void Publish(uint16_t port, std::string_view topic, std::string_view payload);
  bool Has(double value, telemetry::Quality quality = telemetry::kGood) {
    for (const auto& row : node_.sink.rows()) {
      if (row.value == value && row.quality == quality) return true;
    }
    return false;
  }

  TestNode foreign_, node_;
  Everybody everybody_;
  Drivers drivers_{node_.context()};
};

void MqttClientTest::Publish(uint16_t port, std::string_view topic, std::string_view payload) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket socket(io);
  socket.connect({boost::asio::ip::address_v4::loopback(), port});
  std::string text;
  mqtt::Connect connect;
  connect.client_id = "sender";
  if (everybody_.password) {
    connect.user_name = "sender";
    connect.password = *everybody_.password;
  }
  mqtt::WriteConnect(connect, text);
  mqtt::WritePublish({.qos = 1, .packet_id = 1, .topic = topic, .payload = payload}, text);
  boost::asio::write(socket, boost::asio::buffer(text));
  std::string answers(8, '\0');
  boost::asio::read(socket, boost::asio::buffer(answers));
}

TEST_F(MqttClientTest, SubscribesAndMapsPayloads) {
  const auto broker = Broker();
  drivers_.Apply(SnapshotOf({Flow(broker->port(), 1)}));
  ASSERT_TRUE(
      Eventually([&] { return node_.events.Count("up pump-7 mqtt mqtt://127.0.0.1") == 1; }));
  ASSERT_TRUE(Eventually([&] {
    Publish(broker->port(), "pumps/7/state", R"({"flow": 12.5})");
    return Has(12.5);
  }));
  Publish(broker->port(), "pumps/7/state", R"({"flow": "much"})");
  ASSERT_TRUE(Eventually([&] { return !node_.quarantine.entries().empty(); }));
  EXPECT_EQ(node_.quarantine.entries()[0].rule, "type");
}

TEST_F(MqttClientTest, ReconnectsAfterTheBrokerWasAway) {
  auto broker = Broker();
  const uint16_t port = broker->port();
  drivers_.Apply(SnapshotOf({Flow(port)}));
  ASSERT_TRUE(Eventually([&] {
    Publish(port, "pumps/7/state", R"({"flow": 1})");
    return Has(1);
  }));
  broker.reset();
  ASSERT_TRUE(Eventually([&] { return Has(1, telemetry::kBadNoCommunication); }));
  broker = Broker(port);
  ASSERT_TRUE(Eventually([&] {
    Publish(port, "pumps/7/state", R"({"flow": 2})");
    return Has(2);
  }));
  EXPECT_EQ(node_.events.Count("up pump-7"), 2U);
}

TEST_F(MqttClientTest, ARefusedPasswordIsTold) {
  everybody_.password = "right";
  const auto broker = Broker();
  DriverContext context = node_.context();
  std::string password = "wrong";
  context.credentials = [&](std::string_view) { return UserPassword{"penstock", password}; };
  Drivers drivers(context);
  auto snapshot = SnapshotOf({Flow(broker->port())});
  snapshot.things[0].wants_password = true;
  drivers.Apply(snapshot);
  ASSERT_TRUE(Eventually([&] { return node_.events.Count("connection refused") > 0; }));
  drivers.Stop();
  password = "right";
  drivers.Apply(snapshot);
  EXPECT_TRUE(Eventually([&] { return node_.events.Count("up pump-7") == 1; }));
}

TEST_F(MqttClientTest, ABrokerThatNeverAnswersDoesNotHoldStop) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor silent(io, {boost::asio::ip::address_v4::loopback(), 0});
  drivers_.Apply(SnapshotOf({Flow(silent.local_endpoint().port())}));
  const auto start = std::chrono::steady_clock::now();
  drivers_.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace penstock::protocols
