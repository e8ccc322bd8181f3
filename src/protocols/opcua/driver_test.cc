// The driver against a real server of open62541 on loopback.
#include <atomic>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <open62541/plugin/accesscontrol_default.h>
#include <open62541/server.h>
#include <open62541/server_config_default.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "protocols/driver/driver.h"
#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

uint16_t FreePort() {
  asio::io_context io;
  return tcp::acceptor(io, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

void Silent(void*, UA_LogLevel, UA_LogCategory, const char*, va_list) {}
UA_Logger quiet{Silent, nullptr, nullptr};

// A gearbox with a few nodes. A restart forgets every session.
class Gearbox {
 public:
  explicit Gearbox(uint16_t port, bool with_password = false, int namespaces_before = 0) {
    UA_ServerConfig config{};
    config.logging = &quiet;
    UA_ServerConfig_setMinimal(&config, port, nullptr);
    if (with_password) {
      static UA_UsernamePasswordLogin login{UA_STRING_STATIC("penstock"),
                                            UA_STRING_STATIC("secret")};
      config.allowNonePolicyPassword = true;
      config.accessControl.clear(&config.accessControl);
      UA_AccessControl_default(&config, false, nullptr, 1, &login);
    }
    server_ = UA_Server_newWithConfig(&config);
    for (int i = 0; i < namespaces_before; ++i) {
      UA_Server_addNamespace(server_, fmt::format("urn:other:{}", i).c_str());
    }
    namespace_ = UA_Server_addNamespace(server_, "urn:acme:gearbox");
    AddNode("Torque");
    AddNode("Vibration");
    AddNode("Name");
    EXPECT_EQ(UA_Server_run_startup(server_), UA_STATUSCODE_GOOD);
    thread_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        if (!frozen) {
          const std::lock_guard lock(mutex_);
          UA_Server_run_iterate(server_, false);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  ~Gearbox() {
    thread_.request_stop();
    thread_.join();
    UA_Server_run_shutdown(server_);
    UA_Server_delete(server_);
  }

  void Write(std::string name, double value, Time source,
             UA_StatusCode status = UA_STATUSCODE_GOOD) {
    UA_Variant variant;
    UA_Variant_setScalar(&variant, &value, &UA_TYPES[UA_TYPES_DOUBLE]);
    WriteVariant(std::move(name), variant, source, status);
  }
  void WriteVariant(std::string name, const UA_Variant& variant, Time source,
                    UA_StatusCode status = UA_STATUSCODE_GOOD) {
    UA_DataValue value;
    UA_DataValue_init(&value);
    value.value = variant;
    value.hasValue = value.hasSourceTimestamp = value.hasStatus = true;
    value.sourceTimestamp = UA_DATETIME_UNIX_EPOCH + ToMicros(source) * UA_DATETIME_USEC;
    value.status = status;
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(UA_Server_writeDataValue(server_, Node(name), value), UA_STATUSCODE_GOOD);
  }

  std::atomic<bool> frozen = false;

 private:
  UA_NodeId Node(std::string& name) { return UA_NODEID_STRING(namespace_, name.data()); }
  void AddNode(std::string name) {
    UA_VariableAttributes attributes = UA_VariableAttributes_default;
    attributes.accessLevel = UA_ACCESSLEVELMASK_READ;
    attributes.valueRank = UA_VALUERANK_ANY;
    EXPECT_EQ(
        UA_Server_addVariableNode(
            server_, Node(name), UA_NODEID_NUMERIC(0, UA_NS0ID_OBJECTSFOLDER),
            UA_NODEID_NUMERIC(0, UA_NS0ID_ORGANIZES), UA_QUALIFIEDNAME(namespace_, name.data()),
            UA_NODEID_NUMERIC(0, UA_NS0ID_BASEDATAVARIABLETYPE), attributes, nullptr, nullptr),
        UA_STATUSCODE_GOOD);
  }

  // One thread at a time: the library takes its own two locks in either order.
  std::mutex mutex_;
  UA_Server* server_ = nullptr;
  uint16_t namespace_ = 0;
  std::jthread thread_;
};

class OpcUaDriverTest : public testing::Test {
 protected:
  things::Property NodeProperty(uint32_t id, std::string name, std::string identifier,
                                things::ValueType type = things::ValueType::kNumber) {
    things::Form form;
    form.protocol = things::Protocol::kOpcUa;
    form.opcua.endpoint = fmt::format("opc.tcp://127.0.0.1:{}", port_);
    form.opcua.namespace_uri = "urn:acme:gearbox";
    form.opcua.identifier = std::move(identifier);
    form.opcua.sampling = std::chrono::milliseconds(10);
    return PropertyOf(id, "gearbox-2", std::move(name), std::move(form), type);
  }
  std::vector<RecordingSink::Row> Rows(uint32_t point) { return node_.sink.rows(PointId{point}); }
  bool Has(uint32_t point, double value) {
    for (const auto& row : Rows(point)) {
      if (row.value == value) return true;
    }
    return false;
  }
  // Writes until the value is seen: the first write may come before the subscription.
  bool Arrives(Gearbox& gearbox, double value) {
    Time at = kStart;
    return Eventually([&] {
      gearbox.Write("Torque", value, at += std::chrono::milliseconds(1));
      return Has(0, value);
    });
  }

  static constexpr Time kStart{Duration(1'700'000'000'000'000)};
  const uint16_t port_ = FreePort();
  TestNode node_;
  Drivers drivers_{node_.context()};
};

TEST_F(OpcUaDriverTest, ValuesComeWithTheirSourceTimeAndStatus) {
  Gearbox gearbox(port_, false, 2);
  drivers_.Apply(SnapshotOf({NodeProperty(0, "torque", "s=Torque")}));
  ASSERT_TRUE(Arrives(gearbox, 41));
  EXPECT_EQ(node_.events.Count(fmt::format("up gearbox-2 opcua opc.tcp://127.0.0.1:{}", port_)),
            1U);
  const Time at = kStart + std::chrono::hours(1);
  gearbox.Write("Torque", 42, at, UA_STATUSCODE_UNCERTAINENGINEERINGUNITSEXCEEDED);
  ASSERT_TRUE(Eventually([&] { return Has(0, 42); }));
  EXPECT_EQ(Rows(0).back().source, at);
  EXPECT_EQ(Rows(0).back().ingest, node_.clock.Now());
  EXPECT_EQ(Rows(0).back().quality, telemetry::kUncertainEngineeringUnitsExceeded);
  EXPECT_TRUE(Eventually([&] { return node_.events.samples("gearbox-2") >= 2; }));
}

TEST_F(OpcUaDriverTest, AnArrayBecomesAWaveform) {
  Gearbox gearbox(port_);
  auto vibration = NodeProperty(1, "vibration", "s=Vibration", things::ValueType::kWaveform);
  vibration.point.sample_rate_hz = 1000;
  vibration.forms[0].opcua.scale = 2;
  drivers_.Apply(SnapshotOf({NodeProperty(0, "torque", "s=Torque"), vibration}));
  ASSERT_TRUE(Arrives(gearbox, 1));
  double burst[] = {1, 2, 3};
  UA_Variant variant;
  UA_Variant_setArray(&variant, burst, 3, &UA_TYPES[UA_TYPES_DOUBLE]);
  gearbox.WriteVariant("Vibration", variant, kStart);
  ASSERT_TRUE(Eventually([&] { return Has(1, 6); }));
  const auto rows = Rows(1);
  EXPECT_EQ(rows.back().source, kStart + std::chrono::milliseconds(2));
  EXPECT_EQ(rows[rows.size() - 3].value, 2);
}

TEST_F(OpcUaDriverTest, SurvivesARestartOfTheServer) {
  auto gearbox = std::make_unique<Gearbox>(port_);
  drivers_.Apply(SnapshotOf({NodeProperty(0, "torque", "s=Torque")}));
  ASSERT_TRUE(Arrives(*gearbox, 1));
  gearbox.reset();
  ASSERT_TRUE(Eventually([&] { return Rows(0).back().quality == telemetry::kBadNoCommunication; }));
  EXPECT_GE(node_.events.Count("down gearbox-2"), 1U);
  // It comes back with another order of namespaces.
  gearbox = std::make_unique<Gearbox>(port_, false, 3);
  ASSERT_TRUE(Arrives(*gearbox, 2));
  size_t silences = 0;
  for (const auto& row : Rows(0)) silences += row.quality == telemetry::kBadNoCommunication;
  EXPECT_EQ(silences, 1U);
  EXPECT_EQ(node_.events.Count("up gearbox-2"), 2U);
}

TEST_F(OpcUaDriverTest, AnUnknownNodeIsNamedAndTheOthersRun) {
  Gearbox gearbox(port_);
  auto lost = NodeProperty(2, "slip", "s=Torque");
  lost.forms[0].opcua.namespace_uri = "urn:acme:gearbax";
  drivers_.Apply(SnapshotOf(
      {NodeProperty(0, "torque", "s=Torque"), NodeProperty(1, "speed", "s=Sped"), lost}));
  ASSERT_TRUE(Arrives(gearbox, 1));
  ASSERT_TRUE(Eventually([&] { return !Rows(1).empty() && !Rows(2).empty(); }));
  EXPECT_EQ(Rows(1)[0].quality, UA_STATUSCODE_BADNODEIDUNKNOWN);
  EXPECT_EQ(node_.events.Count("gearbox-2/speed: node s=Sped refused: BadNodeIdUnknown"), 1U);
  EXPECT_EQ(node_.events.Count("gearbox-2/slip: the server has no namespace urn:acme:gearbax"), 1U);
}

TEST_F(OpcUaDriverTest, ATextIsOneAndForANumberItIsQuarantined) {
  Gearbox gearbox(port_);
  drivers_.Apply(
      SnapshotOf({NodeProperty(0, "torque", "s=Torque"), NodeProperty(1, "name", "s=Name"),
                  NodeProperty(2, "state", "s=Name", things::ValueType::kString)}));
  ASSERT_TRUE(Arrives(gearbox, 1));
  UA_String text = UA_STRING_STATIC("gearbox");
  UA_Variant variant;
  UA_Variant_setScalar(&variant, &text, &UA_TYPES[UA_TYPES_STRING]);
  gearbox.WriteVariant("Name", variant, kStart);
  const auto refused = [&] {
    for (const auto& entry : node_.quarantine.entries()) {
      if (entry.value == "a text where a number is expected" && entry.point == "gearbox-2/name")
        return true;
    }
    return false;
  };
  EXPECT_TRUE(Eventually(refused));
  ASSERT_TRUE(Eventually([&] { return Has(2, 1); }));
  EXPECT_EQ(node_.sink.texts(), std::vector<std::string>{"gearbox"});
  EXPECT_EQ(Rows(2).back().source, kStart);
}

TEST_F(OpcUaDriverTest, ASilentServerDelaysNobodyAndStopIsPrompt) {
  asio::io_context io;
  tcp::acceptor silent(io, {asio::ip::address_v4::loopback(), 0});  // Accepts, says nothing.
  Gearbox gearbox(port_);
  auto dead = NodeProperty(1, "torque", "s=Torque");
  dead.point.thing = "gearbox-3";
  dead.forms[0].opcua.endpoint =
      fmt::format("opc.tcp://127.0.0.1:{}", silent.local_endpoint().port());
  drivers_.Apply(SnapshotOf({NodeProperty(0, "torque", "s=Torque"), dead}));
  ASSERT_TRUE(Arrives(gearbox, 1));
  gearbox.frozen = true;
  const auto start = std::chrono::steady_clock::now();
  drivers_.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  gearbox.frozen = false;
}

TEST_F(OpcUaDriverTest, APasswordIsSentWhenTheThingDescriptionAsksForOne) {
  Gearbox gearbox(port_, true);
  DriverContext context = node_.context();
  context.credentials = [&](std::string_view address) -> std::optional<UserPassword> {
    if (address != fmt::format("opc.tcp://127.0.0.1:{}", port_)) return std::nullopt;
    return UserPassword{"penstock", "secret"};
  };
  Drivers drivers(context);
  auto snapshot = SnapshotOf({NodeProperty(0, "torque", "s=Torque")});
  snapshot.things[0].wants_password = true;
  drivers.Apply(snapshot);
  EXPECT_TRUE(Arrives(gearbox, 1));
  drivers.Stop();

  drivers_.Apply(snapshot);  // Without a credential store.
  EXPECT_TRUE(
      Eventually([&] { return node_.events.Count("asks for a password, none is known") > 0; }));
}

}  // namespace
}  // namespace penstock::protocols
