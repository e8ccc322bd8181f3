#include "protocols/driver/driver.h"

#include <set>

#include <gtest/gtest.h>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {
namespace {

things::Form ModbusAt(std::string host, uint8_t unit) {
  things::Form form;
  form.protocol = things::Protocol::kModbus;
  form.modbus.host = std::move(host);
  form.modbus.unit = unit;
  return form;
}

TEST(ProtocolKindsTest, EveryKindHasItsOwnNameAndSaysWhatItIs) {
  std::set<std::string_view> names, schemes;
  for (const ProtocolKind* kind : ProtocolKinds()) {
    EXPECT_TRUE(names.insert(kind->name).second) << kind->name;
    EXPECT_TRUE(schemes.insert(kind->scheme).second) << kind->scheme;
    EXPECT_TRUE(kind->summary.ends_with('.')) << kind->name;
    EXPECT_FALSE(kind->reference.empty()) << kind->name;
    EXPECT_NE(kind->engine, nullptr) << kind->name;
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"modbus", "opcua", "mqtt"}));
}

TEST(SourcesTest, ThingsAtOneAddressShareASource) {
  auto sources = SourcesOf(SnapshotOf({PropertyOf(0, "pump-7", "flow", ModbusAt("10.0.0.7", 1)),
                                       PropertyOf(1, "pump-8", "flow", ModbusAt("10.0.0.7", 2)),
                                       PropertyOf(2, "pump-9", "flow", ModbusAt("10.0.0.9", 1))}));
  ASSERT_EQ(sources.size(), 1U);
  const auto& modbus = sources.begin()->second;
  ASSERT_EQ(modbus.size(), 2U);
  EXPECT_EQ(modbus.at("modbus+tcp://10.0.0.7:502").things(),
            (std::vector<std::string>{"pump-7", "pump-8"}));
}

TEST(SourcesTest, WhatIsPushedToUsNeedsNoDriver) {
  things::Form local;
  local.protocol = things::Protocol::kMqtt;
  local.mqtt.topic = "t";
  things::Form pushed;
  pushed.protocol = things::Protocol::kNone;
  EXPECT_TRUE(
      SourcesOf(SnapshotOf({PropertyOf(0, "a", "x", local), PropertyOf(1, "a", "y", pushed)}))
          .empty());
}

TEST(SourcesTest, OnlyWhatADriverLooksAtChangesTheFingerprint) {
  auto property = PropertyOf(0, "pump-7", "flow", ModbusAt("10.0.0.7", 1));
  const auto print = [&] {
    auto sources = SourcesOf(SnapshotOf({property}));
    return sources.begin()->second.begin()->second.Fingerprint();
  };
  const std::string before = print();
  property.point.title = "Flow at the outlet";
  property.point.unit = "m3/h";
  property.point.quality.maximum = 3;
  EXPECT_EQ(print(), before);
  property.forms[0].modbus.scale = 0.1;
  EXPECT_NE(print(), before);
  property.forms[0].modbus.scale = 1;
  property.point.report.deadband = 2;
  EXPECT_NE(print(), before);
}

TEST(SourcesTest, BasicSecurityOfAThingAsksForAPassword) {
  auto snapshot = SnapshotOf({PropertyOf(0, "pump-7", "flow", ModbusAt("10.0.0.7", 1))});
  const auto wants = [&] {
    auto sources = SourcesOf(snapshot);
    return sources.begin()->second.begin()->second.wants_password;
  };
  EXPECT_FALSE(wants());
  snapshot.things[0].wants_password = true;
  EXPECT_TRUE(wants());
}

}  // namespace
}  // namespace penstock::protocols
