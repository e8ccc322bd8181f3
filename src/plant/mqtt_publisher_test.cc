#include "plant/mqtt_publisher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio.hpp>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "plant/eventually.h"
#include "plant/line.h"

namespace penstock::plant {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A listener that knows just enough MQTT 3.1.1: it acknowledges CONNECT and QoS 1 PUBLISH and can
// hang up.
class TinyBroker {
 public:
  TinyBroker() : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) Serve(stop);
    });
  }
  ~TinyBroker() {
    thread_.request_stop();
    tcp::socket wake(io_);
    boost::system::error_code ignored;
    wake.connect(acceptor_.local_endpoint(), ignored);
    wake.shutdown(tcp::socket::shutdown_both, ignored);
    HangUp();
    wake.close(ignored);
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void HangUp() {
    const std::lock_guard lock(mutex_);
    boost::system::error_code ignored;
    if (socket_) socket_->shutdown(tcp::socket::shutdown_both, ignored);
  }
  int connections() const { return connections_; }
  size_t messages() const { return messages_; }
  std::string last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  void Serve(const std::stop_token& stop) {
    auto socket = std::make_shared<tcp::socket>(io_);
    boost::system::error_code error;
    acceptor_.accept(*socket, error);
    if (error || stop.stop_requested()) return;
    {
      const std::lock_guard lock(mutex_);
      socket_ = socket;
    }
    while (!stop.stop_requested() && OnePacket(*socket)) {
    }
  }

  bool OnePacket(tcp::socket& socket) {
    boost::system::error_code error;
    uint8_t first = 0, byte = 0x80;
    asio::read(socket, asio::buffer(&first, 1), error);
    size_t length = 0;
    for (int shift = 0; !error && (byte & 0x80) != 0 && shift < 28; shift += 7) {
      asio::read(socket, asio::buffer(&byte, 1), error);
      length |= static_cast<size_t>(byte & 0x7F) << shift;
    }
    if (error) return false;
    std::vector<uint8_t> body(length);
    asio::read(socket, asio::buffer(body), error);
    if (error) return false;
    std::vector<uint8_t> answer;
    if (first >> 4 == 1) {
      ++connections_;
      answer = {0x20, 2, 0, 0};
    } else if (first >> 4 == 3) {
      const size_t topic = static_cast<size_t>(body[0]) << 8 | body[1];
      const bool wants_ack = (first & 6) != 0;
      if (wants_ack) answer = {0x40, 2, body[2 + topic], body[3 + topic]};
      const std::lock_guard lock(mutex_);
      last_.assign(body.begin() + 2 + static_cast<long>(topic) + (wants_ack ? 2 : 0), body.end());
      ++messages_;
    }
    asio::write(socket, asio::buffer(answer), error);
    return !error;
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::mutex mutex_;
  std::shared_ptr<tcp::socket> socket_;
  std::string last_;
  std::atomic<int> connections_{0};
  std::atomic<size_t> messages_{0};
  std::jthread thread_;
};

TEST(MqttPublisherTest, ComesBackAndBringsWhatWaited) {
  TinyBroker broker;
  auto publisher = MqttPublisher::Start("127.0.0.1", broker.port(), "line-1");
  ASSERT_TRUE(publisher) << publisher.error().ToString();
  ASSERT_TRUE(Eventually([&] { return (*publisher)->connected(); }));
  for (int i = 0; i < 300; ++i) (*publisher)->Publish({"t", "before", 1});
  ASSERT_TRUE(Eventually([&] { return broker.messages() == 300; }));
  broker.HangUp();
  ASSERT_TRUE(Eventually([&] { return !(*publisher)->connected(); }));
  for (int i = 0; i < 150; ++i) (*publisher)->Publish({"t", "meanwhile", 1});
  ASSERT_TRUE(Eventually([&] { return broker.messages() >= 450; }));
  EXPECT_EQ(broker.last(), "meanwhile");
  EXPECT_EQ(broker.connections(), 2);
  EXPECT_EQ((*publisher)->dropped(), 0u);
}

TEST(MqttPublisherTest, WhatCannotWaitIsDroppedAndCounted) {
  uint16_t nobody = 0;
  {
    asio::io_context io;
    nobody = tcp::acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0))
                 .local_endpoint()
                 .port();
  }
  auto publisher = MqttPublisher::Start("127.0.0.1", nobody, "line-1");
  ASSERT_TRUE(publisher) << publisher.error().ToString();
  for (size_t i = 0; i < MqttPublisher::kWaitingMax + 10; ++i)
    (*publisher)->Publish({"t", "kept", 1});
  EXPECT_EQ((*publisher)->dropped(), 10u);
  (*publisher)->Publish({"t", "wave", 0});
  EXPECT_EQ((*publisher)->dropped(), 11u);
}

class MessagesTest : public testing::Test {
 protected:
  std::map<std::string, std::string> Messages() {
    std::map<std::string, std::string> messages;
    line_.AdvanceTo(line_.now() + std::chrono::minutes(2), [&](const Report& report) {
      for (const MqttMessage& message : {StateMessage(report), WaveformMessage(report)})
        if (!message.topic.empty()) messages[message.topic] = message.payload;
      if (report.station.name() == "filler-1")
        filler_.assign(report.values.begin(), report.values.end());
      if (report.station.name() == "pump-7" && !report.waveform.empty())
        burst_.assign(report.waveform.begin(), report.waveform.end());
    });
    return messages;
  }
  Truth truth_;
  Line line_{{3, Time{}, std::chrono::seconds(120), {.sensor_fault_hours = 0}}, truth_};
  std::vector<Measured> filler_;
  std::vector<double> burst_;
};

TEST_F(MessagesTest, SayExactlyWhatTheHistoryGeneratorSays) {
  auto messages = Messages();
  ASSERT_EQ(messages.size(), 4u);
  const Json state = *ParseJson(messages["line-1/filler-1/state"]);
  EXPECT_EQ(state["ts"], FormatTime(line_.now()));
  EXPECT_EQ(state["nozzle_3_pressure"].get<double>(), filler_[8].value);
  EXPECT_EQ(state["good_count"].get<double>(), filler_[0].value);
  EXPECT_TRUE(state["running"].is_boolean());
  const Json wave = *ParseJson(messages["line-1/pump-7/vibration"]);
  EXPECT_EQ(wave["ts"], FormatTime(line_.now() - std::chrono::seconds(1)));
  EXPECT_EQ(wave["v"].get<std::vector<double>>(), burst_);
}

TEST_F(MessagesTest, HaveNullForALostSensor) {
  line_.Find("filler-1")
      ->instruments()[3]
      .BeginFault(SensorFault::kDropOut, line_.now(), std::chrono::hours(1));
  const Json state = *ParseJson(Messages()["line-1/filler-1/state"]);
  EXPECT_TRUE(state["bowl_level"].is_null());
  EXPECT_TRUE(state["rate"].is_number());
}

}  // namespace
}  // namespace penstock::plant
