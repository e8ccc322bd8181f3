#include "fleet/diagnostics.h"

#include <gtest/gtest.h>

namespace penstock::fleet {
namespace {

Time Minute(int minute) { return FromMicros(1'700'000'000'000'000) + std::chrono::minutes(minute); }

TEST(DiagnosticsTest, NamesEachDeviceThatIsNotWellOnce) {
  const auto records = std::move(storage::Records::Open(":memory:").value());
  const auto registry = std::move(DeviceRegistry::Open(*records).value());
  things::Snapshot snapshot;
  for (const char* name : {"a-well", "b-gone", "c-silent", "d-errs", "e-never"}) {
    things::Thing thing;
    thing.name = name;
    things::Form form;
    form.protocol = things::Protocol::kMqtt;
    thing.properties.resize(1);
    thing.properties[0].forms = {form};
    snapshot.things.push_back(thing);
  }
  registry->Expect(snapshot, Minute(0));
  for (const char* name : {"a-well", "b-gone", "c-silent", "d-errs", "z-stranger"}) {
    registry->OnConnected(name, "mqtt", "local", Minute(0));
    registry->OnSamples(name, 100, Minute(name[0] == 'c' ? 1 : 29));
  }
  registry->OnDisconnected("b-gone", {Code::kUnavailable, "connection refused"}, Minute(20));
  for (int i = 0; i < 20; ++i)
    registry->OnError("d-errs", {Code::kInvalidArgument, "torn payload"}, Minute(2));

  const Json report = Diagnose(*registry, snapshot, Minute(30));
  EXPECT_EQ(report["devices"], Json::parse(R"({"connected": 4, "retrying": 1, "never": 1})"));
  EXPECT_EQ(report["healthy"], false);
  std::vector<std::string> found;
  for (const Json& finding : report["findings"])
    found.push_back(finding["device"].get<std::string>() + " " +
                    finding["kind"].get<std::string>());
  EXPECT_EQ(found,
            (std::vector<std::string>{"b-gone unreachable", "c-silent silent", "d-errs errors",
                                      "e-never never_seen", "z-stranger undescribed"}));
  EXPECT_EQ(report["findings"][0]["text"], "mqtt local does not answer: connection refused");
  EXPECT_EQ(report["findings"][1]["text"], "connected, but no sample for 29min");
  EXPECT_EQ(report["items"].size(), 6U);
}

TEST(DiagnosticsTest, AGatewayWhoseTopicsAreAllDescribedIsWell) {
  const auto records = std::move(storage::Records::Open(":memory:").value());
  const auto registry = std::move(DeviceRegistry::Open(*records).value());
  things::Snapshot snapshot;
  snapshot.things.resize(1);
  snapshot.things[0].name = "filler-1";
  registry->OnConnected("line-1", "mqtt", "10.0.0.9:40000", Minute(0));
  registry->OnConnected("filler-1", "mqtt", "line-1 (10.0.0.9:40000)", Minute(0));
  registry->OnSamples("filler-1", 100, Minute(29));
  registry->OnConnected("dashboard", "mqtt", "10.0.0.3:40000", Minute(0));  // Only listens.
  Json report = Diagnose(*registry, snapshot, Minute(30));
  EXPECT_EQ(report["findings"], Json::array());
  EXPECT_EQ(report["healthy"], true);
  EXPECT_EQ(report["items"][2]["name"], "line-1");
  EXPECT_EQ(report["items"][2]["carries"], Json::array({"filler-1"}));

  registry->OnUndescribed("line-1", "line-1/new-machine", Minute(31));
  report = Diagnose(*registry, snapshot, Minute(32));
  EXPECT_EQ(report["findings"][0]["kind"], "undescribed");
  EXPECT_EQ(report["findings"][0]["text"],
            "line-1 publishes on line-1/new-machine, which no thing describes: nothing is kept");
  registry->OnConnected("line-1", "mqtt", "10.0.0.9:40001",
                        Minute(33));  // It may have been described.
  EXPECT_EQ(Diagnose(*registry, snapshot, Minute(34))["healthy"], true);
}

TEST(DiagnosticsTest, ASiteWithoutDevicesIsHealthy) {
  const auto records = std::move(storage::Records::Open(":memory:").value());
  const auto registry = std::move(DeviceRegistry::Open(*records).value());
  EXPECT_EQ(Diagnose(*registry, {}, Minute(0))["healthy"], true);
}

}  // namespace
}  // namespace penstock::fleet
