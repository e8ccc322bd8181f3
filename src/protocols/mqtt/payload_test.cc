#include "protocols/mqtt/payload.h"

#include <gtest/gtest.h>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols::mqtt {
namespace {

using things::ValueType;

things::Form MqttForm(std::string topic, std::string pointer, std::string time_pointer = "") {
  things::Form form;
  form.protocol = things::Protocol::kMqtt;
  form.mqtt.topic = std::move(topic);
  form.mqtt.value_pointer = std::move(pointer);
  form.mqtt.time_pointer = std::move(time_pointer);
  return form;
}

class PayloadMapperTest : public testing::Test {
 protected:
  void Use(std::vector<things::Property> properties) {
    router_ = std::make_shared<TopicRouter>(SnapshotOf(std::move(properties)), "");
    mapper_.Use(router_);
  }
  // Fresh samples of this payload alone.
  telemetry::Batch Map(std::string_view payload, std::string_view topic = "t") {
    telemetry::Batch batch;
    std::vector<const TopicPlan*> plans;
    router_->Find(topic, plans);
    for (const TopicPlan* plan : plans) {
      mapper_.Map(*plan, topic, payload, payload.size(), "filler-1", batch);
    }
    return batch;
  }
  std::string LastRule() {
    const auto entries = node_.quarantine.entries();
    return entries.empty() ? "" : entries.back().rule;
  }
  std::string LastMessage() { return node_.quarantine.entries().back().message; }

  TestNode node_;
  PayloadMapper mapper_{node_.clock, node_.quarantine, node_.sink};
  std::shared_ptr<TopicRouter> router_;
};

TEST_F(PayloadMapperTest, ManyPointsShareOneTopic) {
  Use({PropertyOf(0, "filler-1", "good_count", MqttForm("t", "/good", "/ts"), ValueType::kInteger),
       PropertyOf(1, "filler-1", "rate", MqttForm("t", "/rate", "/ts")),
       PropertyOf(2, "filler-1", "running", MqttForm("t", "/state/running", "/ts"),
                  ValueType::kBoolean),
       PropertyOf(3, "filler-1", "nozzle_2", MqttForm("t", "/nozzles/1", "/ts"))});
  const auto batch =
      Map(R"({"rate": 61.5, "x": {"rate": 7}, "good": 1042, "state": {"running": true},)"
          R"( "nozzles": [1.5, 2.5], "ts": "2027-01-15T07:59:59.5Z"})");
  ASSERT_EQ(batch.size(), 4U) << LastMessage();
  EXPECT_EQ(batch.value, (std::vector<double>{1042, 61.5, 1, 2.5}));
  EXPECT_EQ(batch.source_time[0], *ParseTime("2027-01-15T07:59:59.5Z"));
  EXPECT_EQ(batch.ingest_time[0], node_.clock.Now());
  ASSERT_EQ(mapper_.counts().size(), 1U);
  EXPECT_EQ(mapper_.counts()[0].second, 4U);
}

TEST_F(PayloadMapperTest, ThePayloadItselfMayBeTheValue) {
  Use({PropertyOf(0, "w", "humidity", MqttForm("t", ""))});
  EXPECT_EQ(Map("55.5").value, std::vector<double>{55.5});
  EXPECT_EQ(Map("  -3e2 \n").value, std::vector<double>{-300});
  EXPECT_EQ(Map("on").size(), 0U);
  EXPECT_EQ(LastRule(), "payload");
  EXPECT_EQ(Map("").size(), 0U);
  EXPECT_EQ(LastRule(), "payload");
  EXPECT_EQ(Map("1 2").size(), 0U);
  EXPECT_EQ(LastRule(), "payload");
}

TEST_F(PayloadMapperTest, AnArrayBecomesAWaveform) {
  auto vibration =
      PropertyOf(0, "pump-7", "vibration_de", MqttForm("t", "/v", "/ts"), ValueType::kWaveform);
  vibration.point.sample_rate_hz = 2048;
  vibration.forms[0].mqtt.scale = 10;
  Use({vibration});
  const auto batch = Map(R"({"ts": 1800000000000, "v": [0.1, 0.2, null]})");
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_DOUBLE_EQ(batch.value[1], 2);
  EXPECT_EQ(batch.source_time[0], FromMicros(1'800'000'000'000'000));
  EXPECT_EQ(batch.source_time[2], FromMicros(1'800'000'000'000'977));
  EXPECT_EQ(batch.quality[2], telemetry::kBadSensorFailure);
  EXPECT_TRUE(Map(R"({"ts": 1800000000000, "v": [0.1, "x"]})").empty());
  EXPECT_EQ(LastRule(), "type");
}

TEST_F(PayloadMapperTest, NullIsASensorFailure) {
  Use({PropertyOf(0, "w", "humidity", MqttForm("t", "/h"))});
  EXPECT_EQ(Map(R"({"h": 50})").size(), 1U);
  const auto batch = Map(R"({"h": null})");
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.quality[0], telemetry::kBadSensorFailure);
  EXPECT_TRUE(node_.quarantine.entries().empty());
}

TEST_F(PayloadMapperTest, OneWrongFieldDoesNotCostTheOthers) {
  Use({PropertyOf(0, "f", "a", MqttForm("t", "/a")), PropertyOf(1, "f", "b", MqttForm("t", "/b")),
       PropertyOf(2, "f", "c", MqttForm("t", "/c"), ValueType::kInteger),
       PropertyOf(3, "f", "d", MqttForm("t", "/d"))});
  const auto batch = Map(R"({"a": "12", "b": 7, "c": 1.5})");
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.value[0], 7);
  const auto entries = node_.quarantine.entries();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].rule, "type");
  EXPECT_EQ(entries[0].source, "mqtt client filler-1");
  EXPECT_EQ(entries[0].point, "f/a");
  EXPECT_EQ(entries[0].value, "12");
  EXPECT_EQ(entries[0].message,
            "topic t: /a is a text, expected a number; correct the payload, or the property's type "
            "in its Thing Description");
  EXPECT_EQ(entries[1].rule, "type");
  EXPECT_EQ(entries[2].rule, "missing");
}

TEST_F(PayloadMapperTest, BrokenJsonIsKeptAsItCame) {
  Use({PropertyOf(0, "f", "a", MqttForm("t", "/a"))});
  for (const std::string_view payload :
       {"{\"a\": 1", "{\"a\": 1}}", "{\"a\" 1}", "{a: 1}", "[1, 2", "nul", "{\"a\": 1} {}", "\xFF",
        "{\"a\": \"x}", "{\"a\": 1,}"}) {
    EXPECT_TRUE(Map(payload).empty()) << payload;
    EXPECT_EQ(LastRule(), "payload") << payload;
  }
  EXPECT_EQ(node_.quarantine.entries()[0].value, "{\"a\": 1");
}

TEST_F(PayloadMapperTest, TimesThatAreNone) {
  Use({PropertyOf(0, "f", "a", MqttForm("t", "/a", "/ts"))});
  EXPECT_TRUE(Map(R"({"a": 1, "ts": 1800000000})").empty());  // Seconds.
  EXPECT_EQ(LastRule(), "time");
  EXPECT_TRUE(Map(R"({"a": 1, "ts": "yesterday"})").empty());
  EXPECT_EQ(LastRule(), "time");
  EXPECT_TRUE(Map(R"({"a": 1})").empty());
  EXPECT_EQ(LastRule(), "time");
  EXPECT_TRUE(Map(R"({"a": 1, "ts": "2036-01-01T00:00:00Z"})").empty());
  EXPECT_EQ(LastRule(), "clock_skew");
}

TEST_F(PayloadMapperTest, WildcardFiltersAndEscapedPointers) {
  Use({PropertyOf(0, "f", "a", MqttForm("line-1/+/state", "/a~1b/c~0d")),
       PropertyOf(1, "f", "b", MqttForm("line-1/filler-1/state", "/e"))});
  const auto batch = Map(R"({"a/b": {"c~d": 4}, "e": 5})", "line-1/filler-1/state");
  EXPECT_EQ(batch.size(), 2U);
  EXPECT_TRUE(Map("1", "line-2/filler-1/state").empty());
}

TEST_F(PayloadMapperTest, APointerIntoAnotherValueIsReadToo) {
  Use({PropertyOf(0, "f", "all", MqttForm("t", "/v"), ValueType::kWaveform),
       PropertyOf(1, "f", "first", MqttForm("t", "/v/0"))});
  const auto batch = Map(R"({"v": [3, 4]})");
  EXPECT_EQ(batch.value, (std::vector<double>{3, 4, 3}));
}

TEST_F(PayloadMapperTest, ANumberTooLargeIsRefusedAlone) {
  Use({PropertyOf(0, "f", "a", MqttForm("t", "/a")), PropertyOf(1, "f", "b", MqttForm("t", "/b"))});
  const auto batch = Map(R"({"a": 1e999, "b": 2})");
  EXPECT_EQ(batch.value, std::vector<double>{2});
  EXPECT_EQ(LastRule(), "type");
}

TEST_F(PayloadMapperTest, TextsAreSamplesOfPointsOfText) {
  Use({PropertyOf(0, "filler-1", "state", MqttForm("t", "/state"), ValueType::kString),
       PropertyOf(1, "filler-1", "rate", MqttForm("t", "/rate"))});
  const auto batch = Map("{\"state\": \"l\\u00e4uft \\\"1\\\"\\n\", \"rate\": 2}");
  ASSERT_EQ(batch.size(), 2U) << LastMessage();
  EXPECT_EQ(node_.sink.texts(), std::vector<std::string>{"l\u00e4uft \"1\"\n"});
  EXPECT_EQ(batch.value, (std::vector<double>{1, 2}));
  EXPECT_EQ(Map(R"({"state": "stopped"})").value, std::vector<double>{2});
  const auto silent = Map(R"({"state": null, "rate": 3})");
  ASSERT_EQ(silent.size(), 2U);
  EXPECT_TRUE(telemetry::IsBad(silent.quality[0]));
}

TEST_F(PayloadMapperTest, ARefusedTextCostsItselfAlone) {
  Use({PropertyOf(0, "filler-1", "state", MqttForm("t", "/state"), ValueType::kString),
       PropertyOf(1, "filler-1", "rate", MqttForm("t", "/rate"))});
  EXPECT_EQ(Map(R"({"state": "refuse", "rate": 2})").value, std::vector<double>{2});
  EXPECT_EQ(LastRule(), "text_bound");
  EXPECT_TRUE(Map(R"({"state": 5, "rate": "fast"})").empty());
  const auto entries = node_.quarantine.entries();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_NE(entries[1].message.find("/state is a number, expected a text"), std::string::npos);
  EXPECT_NE(entries[2].message.find("/rate is a text, expected a number"), std::string::npos);
}

TEST_F(PayloadMapperTest, WholeNumbersAreExactOrRefused) {
  Use({PropertyOf(0, "filler-1", "good", MqttForm("t", "/good"), ValueType::kInteger)});
  EXPECT_EQ(Map(R"({"good": -9007199254740991})").value, std::vector<double>{-9007199254740991});
  for (const char* beyond : {"9007199254740992", "9007199254740993", "1e300", "2.5"}) {
    EXPECT_TRUE(Map(fmt::format("{{\"good\": {}}}", beyond)).empty()) << beyond;
    EXPECT_EQ(LastRule(), "type");
  }
}

}  // namespace
}  // namespace penstock::protocols::mqtt
