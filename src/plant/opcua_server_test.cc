#include "plant/opcua_server.h"

#include <gtest/gtest.h>
#include <open62541/client.h>
#include <open62541/client_config_default.h>
#include <open62541/client_highlevel.h>
#include <open62541/plugin/log.h>

#include <cstdarg>

#include "plant/line.h"

namespace penstock::plant {
namespace {

void Silent(void*, UA_LogLevel, UA_LogCategory, const char*, va_list) {}
UA_Logger silent = {Silent, nullptr, nullptr};

class OpcUaServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = OpcUaServer::Start(0);
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(*server);
    UA_ClientConfig config{};
    config.logging = &silent;
    UA_ClientConfig_setDefault(&config);
    client_ = UA_Client_newWithConfig(&config);
    ASSERT_EQ(
        UA_Client_connect(client_, fmt::format("opc.tcp://127.0.0.1:{}", server_->port()).c_str()),
        UA_STATUSCODE_GOOD);
    UA_String uri = UA_STRING(const_cast<char*>(kGearboxNamespace));
    ASSERT_EQ(UA_Client_NamespaceGetIndex(client_, &uri, &ns_), UA_STATUSCODE_GOOD);
  }
  void TearDown() override {
    UA_Client_disconnect(client_);
    UA_Client_delete(client_);
  }
  UA_NodeId Id(const char* name) const { return UA_NODEID_STRING(ns_, const_cast<char*>(name)); }
  UA_DataValue Read(const char* name) {
    UA_ReadValueId id;
    UA_ReadValueId_init(&id);
    id.nodeId = Id(name);
    id.attributeId = UA_ATTRIBUTEID_VALUE;
    UA_ReadRequest request;
    UA_ReadRequest_init(&request);
    request.timestampsToReturn = UA_TIMESTAMPSTORETURN_BOTH;
    request.nodesToRead = &id;
    request.nodesToReadSize = 1;
    UA_ReadResponse response = UA_Client_Service_read(client_, request);
    UA_DataValue value;
    UA_DataValue_init(&value);
    EXPECT_EQ(response.resultsSize, 1u);
    if (response.resultsSize == 1) UA_DataValue_copy(&response.results[0], &value);
    UA_ReadResponse_clear(&response);
    return value;
  }
  // Moves a line on and writes what the gearbox reports.
  void Report() {
    line_.AdvanceTo(line_.now() + std::chrono::minutes(4), [this](const plant::Report& report) {
      if (report.station.name() != "gearbox-2") return;
      server_->Write(report);
      time_ = report.time;
      torque_ = report.values[0].value;
      sample_ = report.waveform[100];
    });
  }

  Truth truth_;
  Line line_{{3,
              Time{},
              std::chrono::seconds(120),
              {.healthy_hours = 0, .sensor_fault_hours = 0, .early_fault = false}},
             truth_};
  std::unique_ptr<OpcUaServer> server_;
  UA_Client* client_ = nullptr;
  UA_UInt16 ns_ = 0;
  Time time_{};
  double torque_ = 0, sample_ = 0;
};

TEST_F(OpcUaServerTest, ValuesHaveTheirSourceTimeInPlantTime) {
  Report();
  UA_DataValue torque = Read("Torque");
  ASSERT_EQ(torque.status, UA_STATUSCODE_GOOD);
  ASSERT_TRUE(UA_Variant_hasScalarType(&torque.value, &UA_TYPES[UA_TYPES_DOUBLE]));
  EXPECT_EQ(*static_cast<double*>(torque.value.data), torque_);
  EXPECT_EQ(torque.sourceTimestamp, ToMicros(time_) * 10 + UA_DATETIME_UNIX_EPOCH);
  UA_DataValue_clear(&torque);
}

TEST_F(OpcUaServerTest, TheWaveformIsAnArrayThatBeganASecondEarlier) {
  Report();
  UA_DataValue burst = Read("Vibration");
  ASSERT_EQ(burst.value.arrayLength, kBurstSamples);
  EXPECT_EQ(static_cast<double*>(burst.value.data)[100], sample_);
  EXPECT_EQ(burst.sourceTimestamp, (ToMicros(time_) - 1000000) * 10 + UA_DATETIME_UNIX_EPOCH);
  UA_DataValue_clear(&burst);
}

TEST_F(OpcUaServerTest, AnalogVariablesSayTheirUnitAndRange) {
  UA_Variant value;
  UA_Variant_init(&value);
  ASSERT_EQ(UA_Client_readValueAttribute(client_, Id("OilTemperature.EngineeringUnits"), &value),
            UA_STATUSCODE_GOOD);
  ASSERT_TRUE(UA_Variant_hasScalarType(&value, &UA_TYPES[UA_TYPES_EUINFORMATION]));
  EXPECT_EQ(static_cast<UA_EUInformation*>(value.data)->unitId, 4408652);
  UA_Variant_clear(&value);
  ASSERT_EQ(UA_Client_readValueAttribute(client_, Id("OilTemperature.EURange"), &value),
            UA_STATUSCODE_GOOD);
  ASSERT_TRUE(UA_Variant_hasScalarType(&value, &UA_TYPES[UA_TYPES_RANGE]));
  EXPECT_EQ(static_cast<UA_Range*>(value.data)->high, 130);
  UA_Variant_clear(&value);
}

TEST_F(OpcUaServerTest, ALostSensorHasABadStatusAndNoValue) {
  Report();
  line_.Find("gearbox-2")
      ->instruments()[0]
      .BeginFault(SensorFault::kDropOut, line_.now(), std::chrono::hours(1));
  Report();
  UA_DataValue torque = Read("Torque"), speed = Read("Speed");
  EXPECT_EQ(torque.status, UA_STATUSCODE_BADSENSORFAILURE);
  EXPECT_TRUE(UA_Variant_isEmpty(&torque.value));
  EXPECT_EQ(speed.status, UA_STATUSCODE_GOOD);
  UA_DataValue_clear(&torque);
  UA_DataValue_clear(&speed);
}

TEST_F(OpcUaServerTest, BeforeTheFirstReportNothingIsClaimed) {
  UA_DataValue torque = Read("Torque");
  EXPECT_EQ(torque.status, UA_STATUSCODE_BADWAITINGFORINITIALDATA);
  UA_DataValue_clear(&torque);
}

TEST_F(OpcUaServerTest, SaysWhenThePortIsTaken) {
  const auto second = OpcUaServer::Start(server_->port());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kAlreadyExists);
}

}  // namespace
}  // namespace penstock::plant
