// Our MQTT client against Debian's mosquitto as the broker, on a free loopback port.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <mosquitto.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {
namespace {

using boost::asio::ip::tcp;

std::string FindMosquitto() {
  for (const char* path :
       {"/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "";
}

class MosquittoBroker {
 public:
  MosquittoBroker(const std::string& program, uint16_t port) : port_(port) {
    char folder[] = "/tmp/penstock-mosquitto-XXXXXX";
    folder_ = ::mkdtemp(folder);
    const std::string config = folder_ + "/mosquitto.conf";
    std::ofstream(config) << "listener " << port << " 127.0.0.1\nallow_anonymous true\n"
                          << "persistence false\nlog_dest none\nuser root\n";
    std::string arguments[] = {program, "-c", config};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
    EXPECT_EQ(posix_spawn(&process_, program.c_str(), nullptr, nullptr, argv, environ), 0);
    EXPECT_TRUE(Eventually([&] { return Answers(); })) << "mosquitto does not listen";
  }
  ~MosquittoBroker() {
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }

 private:
  bool Answers() const {
    boost::asio::io_context io;
    tcp::socket socket(io);
    boost::system::error_code error;
    socket.connect({boost::asio::ip::address_v4::loopback(), port_}, error);
    return !error;
  }
  uint16_t port_;
  std::string folder_;
  pid_t process_ = 0;
};

void Publish(uint16_t port, std::string_view payload) {
  mosquitto_lib_init();
  mosquitto* sender = mosquitto_new("sender", true, nullptr);
  if (mosquitto_connect(sender, "127.0.0.1", port, 30) == MOSQ_ERR_SUCCESS) {
    mosquitto_publish(sender, nullptr, "hall/pump-7", static_cast<int>(payload.size()),
                      payload.data(), 1, false);
    for (int i = 0; i < 10 && mosquitto_want_write(sender); ++i) mosquitto_loop(sender, 10, 1);
    mosquitto_loop(sender, 10, 1);
    mosquitto_disconnect(sender);
    mosquitto_loop(sender, 10, 1);
  }
  mosquitto_destroy(sender);
}

TEST(MqttForeignBrokerTest, ReadsFromMosquittoThroughItsRestart) {
  const std::string program = FindMosquitto();
  if (program.empty()) GTEST_SKIP() << "mosquitto is not installed (Debian package: mosquitto)";
  uint16_t port = 0;
  {
    boost::asio::io_context io;
    port = tcp::acceptor(io, {boost::asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
  }
  TestNode node;
  things::Form form;
  form.protocol = things::Protocol::kMqtt;
  form.mqtt.broker = fmt::format("mqtt://127.0.0.1:{}", port);
  form.mqtt.topic = "hall/+";
  form.mqtt.value_pointer = "/flow";
  form.mqtt.qos = 1;
  Drivers drivers(node.context());
  drivers.Apply(SnapshotOf({PropertyOf(0, "pump-7", "flow", std::move(form))}));
  const auto arrives = [&](double value) {
    return Eventually([&] {
      Publish(port, fmt::format(R"({{"flow": {}}})", value));
      const auto rows = node.sink.rows();
      return !rows.empty() && rows.back().value == value && telemetry::IsGood(rows.back().quality);
    });
  };
  {
    const MosquittoBroker broker(program, port);
    ASSERT_TRUE(arrives(1));
  }
  ASSERT_TRUE(Eventually(
      [&] { return node.sink.rows().back().quality == telemetry::kBadNoCommunication; }));
  const MosquittoBroker broker(program, port);
  EXPECT_TRUE(arrives(2));
  EXPECT_GE(node.events.Count("up pump-7 mqtt mqtt://127.0.0.1"), 2U);
}

}  // namespace
}  // namespace penstock::protocols
