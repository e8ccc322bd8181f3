#include "plant/plant.h"

#include <gtest/gtest.h>
#include <modbus/modbus.h>

#include <boost/asio.hpp>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "plant/eventually.h"
#include "plant/line.h"

namespace penstock::plant {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Answers one request a connection by a function, as a node would.
class TinyNode {
 public:
  struct Request {
    std::string head, body;  // The head with its request line, whole.
  };
  using Handler = std::function<std::pair<unsigned, std::string>(const Request&)>;
  explicit TinyNode(Handler handler)
      : handler_(std::move(handler)),
        acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) Serve();
    });
  }
  ~TinyNode() {
    thread_.request_stop();
    tcp::socket wake(io_);
    boost::system::error_code ignored;
    wake.connect(acceptor_.local_endpoint(), ignored);
  }
  std::string url() const {
    return fmt::format("http://127.0.0.1:{}", acceptor_.local_endpoint().port());
  }

 private:
  void Serve() {
    boost::system::error_code error;
    tcp::socket socket(io_);
    acceptor_.accept(socket, error);
    Request request;
    if (!error) asio::read_until(socket, asio::dynamic_buffer(request.head), "\r\n\r\n", error);
    if (error) return;
    const size_t end = request.head.find("\r\n\r\n") + 4;
    request.body = request.head.substr(end);
    request.head.resize(end);
    constexpr std::string_view kLength = "Content-Length: ";
    if (const size_t at = request.head.find(kLength); at != std::string::npos) {
      const size_t length = std::stoul(request.head.substr(at + kLength.size()));
      while (request.body.size() < length && !error)
        asio::read(socket, asio::dynamic_buffer(request.body, length), asio::transfer_at_least(1),
                   error);
    }
    const auto [status, body] = handler_(request);
    const std::string answer =
        fmt::format("HTTP/1.1 {} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status,
                    body.size(), body);
    asio::write(socket, asio::buffer(answer), error);
  }

  Handler handler_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::jthread thread_;
};

PlantOptions OnAnyPorts() {
  PlantOptions options;
  options.origin = *ParseTime("2026-06-01T06:00:00Z");
  options.anchor = SystemClock().Now();
  options.modbus_port = options.opcua_port = 0;
  options.mqtt_port = 9;  // Nobody: MQTT machines wait.
  return options;
}

TEST(PlantTest, ItsPlcShowsTheLineMoving) {
  auto started = Plant::Start(OnAnyPorts());
  ASSERT_TRUE(started) << started.error().ToString();
  Plant& plant = **started;
  EXPECT_NE(plant.opcua_port(), 0);
  modbus_t* client = modbus_new_tcp("127.0.0.1", plant.modbus_port());
  modbus_set_slave(client, 1);
  ASSERT_EQ(modbus_connect(client), 0);
  uint16_t first[2], later[2];
  ASSERT_EQ(modbus_read_registers(client, 40, 2, first), 2);
  EXPECT_GT(modbus_get_float_abcd(first), 2);
  EXPECT_TRUE(Eventually([&] {
    return modbus_read_registers(client, 40, 2, later) == 2 &&
           (later[0] != first[0] || later[1] != first[1]);
  }));
  modbus_close(client);
  modbus_free(client);
  plant.Stop();
  const Json summary = plant.Summary();
  EXPECT_EQ(summary["from"], "2026-06-01T06:00:00.000000Z");
  EXPECT_EQ(summary["seed"], 1);
  EXPECT_TRUE(summary["faults"].is_array());
}

TEST(PlantTest, TheCrewTalksToTheNode) {
  std::mutex mutex;
  std::string authorization, verdict;
  const TinyNode node([&](const TinyNode::Request& request) -> std::pair<unsigned, std::string> {
    const std::lock_guard lock(mutex);
    const size_t token = request.head.find("Authorization: ");
    authorization = request.head.substr(token, request.head.find("\r\n", token) - token);
    if (request.head.starts_with("POST ")) {
      verdict = request.head.substr(5) + request.body;
      return {200, "{}"};
    }
    return {
        200,
        R"({"items": [{"id": "A-1", "thing": "weather-1", "cause": "x", "raised": "2026-06-01T06:00:00Z",
                     "verdict": null}], "next": null})"};
  });
  PlantOptions options = OnAnyPorts();
  options.speed = 1200;
  options.node_url = node.url();
  options.token = "secret";
  options.crew = CrewMode::kAuto;
  options.crew_error_rate = 0;
  options.rates.sensor_fault_hours = 0;
  auto plant = Plant::Start(options);
  ASSERT_TRUE(plant) << plant.error().ToString();
  ASSERT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return !verdict.empty();
  }));
  EXPECT_TRUE(Eventually([&] { return !(*plant)->Summary()["crew"]["answers"].empty(); }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(authorization, "Authorization: Bearer secret");
  EXPECT_TRUE(verdict.starts_with("/api/v1/alarms/A-1/verdict ")) << verdict;
  EXPECT_NE(verdict.find("false_alarm"), std::string::npos) << verdict;
}

TEST(PlantTest, ARestartLongAfterTheOriginBeginsAtThePresent) {
  PlantOptions options = OnAnyPorts();
  options.anchor = options.anchor - std::chrono::hours(1);
  auto plant = Plant::Start(options);
  ASSERT_TRUE(plant) << plant.error().ToString();
  EXPECT_GE((*plant)->Summary()["from"].get<std::string>(), "2026-06-06T05:59");
}

TEST(PlantTest, RefusesASpeedThatIsNone) {
  PlantOptions options = OnAnyPorts();
  options.speed = 0;
  EXPECT_EQ(Plant::Start(options).error().code, Code::kInvalidArgument);
}

TEST(PlantTest, ReportsMoreThanOnceARealSecondDownToNinetySixPlantSeconds) {
  EXPECT_EQ(ReportInterval(1), std::chrono::seconds(2));
  EXPECT_EQ(ReportInterval(60), std::chrono::seconds(48));
  EXPECT_EQ(ReportInterval(120), std::chrono::seconds(96));
  EXPECT_EQ(ReportInterval(3600), std::chrono::seconds(96));
}

TEST(NodeClientTest, AnErrorOfTheNodeCarriesItsDetail) {
  const TinyNode node([](const auto&) {
    return std::pair<unsigned, std::string>{403, R"({"detail": "role viewer"})"};
  });
  const auto client = NodeClient::Make(node.url(), "t");
  const auto answer = (*client)->Get("/api/v1/alarms");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "node answers 403 to /api/v1/alarms: role viewer");
  EXPECT_FALSE(NodeClient::Make("ftp://x", ""));
}

// The example's files must say what the machines do.
TEST(ExampleTest, TheThingDescriptionsMatchTheMachines) {
  Truth truth;
  Line line({1, Time{}, std::chrono::seconds(120), {}}, truth);
  for (const auto& station : line.stations()) {
    const std::string path =
        fmt::format("{}/examples/bottling/things/{}.td.json", PENSTOCK_SOURCE_DIR, station->name());
    const auto document = ReadDocument(path);
    ASSERT_TRUE(document) << document.error().ToString();
    const Json& properties = (*document)["properties"];
    const bool waveform = !station->machine().waveform_property().empty();
    EXPECT_EQ(properties.size(), station->machine().points().size() + (waveform ? 1 : 0)) << path;
    for (const PointKind& point : station->machine().points()) {
      ASSERT_TRUE(properties.contains(std::string(point.property)))
          << path << " " << point.property;
      const Json& property = properties[std::string(point.property)];
      EXPECT_EQ(StringOr(property, "unit", ""), point.unit) << path << " " << point.property;
      if (point.encoding == Encoding::kBoolean) continue;
      EXPECT_EQ(NumberOr(property, "minimum", -1e9), point.minimum)
          << path << " " << point.property;
      EXPECT_EQ(NumberOr(property, "maximum", -1e9), point.maximum)
          << path << " " << point.property;
      const double scale = NumberOr(property["forms"][0], "ps:scale", 1);
      const bool scaled =
          point.encoding == Encoding::kUnsigned || point.encoding == Encoding::kSigned;
      EXPECT_EQ(scale, scaled ? point.step : 1) << path << " " << point.property;
    }
  }
}

}  // namespace
}  // namespace penstock::plant
