// A line of two machines for the tests of this room, told by hand what it does.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "telemetry/testing_site.h"
#include "value/kpis.h"

namespace penstock::value {

using telemetry::At;

class TestLine {
 public:
  TestLine() {
    using things::ValueType;
    pump_ = site.Add("pump-7", "running", ValueType::kBoolean).id;
    filler_ = site.Add("filler-1", "running", ValueType::kBoolean).id;
    good_ = site.Add("filler-1", "good", ValueType::kInteger).id;
    reject_ = site.Add("filler-1", "reject", ValueType::kInteger).id;
    product_ = site.Add("filler-1", "product", ValueType::kInteger).id;
    auto& energy = site.Add("meter", "energy");
    energy.unit = "kWh";
    energy_ = energy.id;
    snapshot = site.Snapshot();
    auto read = KpiFileFromJson(*ParseYaml(kYaml), snapshot.get());
    EXPECT_TRUE(read) << read.error().ToString();
    file = read.value();
    records = *storage::Records::Open(":memory:");
    Open();
  }
  // As after a restart: from the records.
  void Open() {
    kpis.reset();
    states.reset();
    production.reset();
    facts = *AlarmFacts::Open(*records);
    states = *States::Open(*records, clock, *facts);
    production = *Production::Open(*records);
    states->Configure({file}, *snapshot);
    production->Configure({file}, *snapshot);
    kpis = *Kpis::Open(*records, clock, *facts, *states, *production);
  }
  // From `from` to `to` (minutes) each minute: who runs, and the counters as they are.
  void Run(int from, int to, bool pump, bool filler, double per_minute = 0, double rejects = 0) {
    telemetry::Batch batch;
    for (int minute = from; minute < to; ++minute) {
      const Time t = At(minute * 60);
      batch.Add(pump_, t, t, pump);
      batch.Add(filler_, t, t, filler);
      batch.Add(product_, t, t, product);
      batch.Add(good_, t, t, good += per_minute);
      batch.Add(reject_, t, t, reject += rejects);
      batch.Add(energy_, t, t, energy += 2);
    }
    states->Observe(batch);
    production->Observe(batch);
    clock.Set(At(to * 60));
  }
  decisions::Alarm Alarm(const std::string& id, const std::string& thing, int raised_minute) {
    decisions::Alarm alarm;
    alarm.id = id;
    alarm.thing = thing;
    alarm.asset = "acme/cologne/" + thing;
    alarm.cause = "bearing_wear";
    alarm.trace.bytes[0] = 1;
    alarm.raised = At(raised_minute * 60);
    return alarm;
  }
  static decisions::Alarm Answered(decisions::Alarm alarm, decisions::VerdictKind kind,
                                   int minute) {
    alarm.verdict = decisions::Verdict{
        .kind = kind, .code = "bearing_wear", .actor = "kim", .at = At(minute * 60)};
    return alarm;
  }

  static constexpr const char* kYaml = R"(
kpis: line-1
asset: acme/cologne/line-1
machines: [pump-7, filler-1]
producer: filler-1
count: {good: filler-1/good, reject: filler-1/reject}
ideal-rate: {point: filler-1/product, per: min, of: {"1": 600, "2": 300}}
energy: meter/energy
)";
  telemetry::TestSite site;
  PointId pump_, filler_, good_, reject_, product_, energy_;
  double good = 1000, reject = 10, product = 1, energy = 500;
  std::shared_ptr<const things::Snapshot> snapshot;
  KpiFile file;
  ManualClock clock{At(0)};
  std::unique_ptr<storage::Records> records;
  std::unique_ptr<AlarmFacts> facts;
  std::unique_ptr<States> states;
  std::unique_ptr<Production> production;
  std::unique_ptr<Kpis> kpis;
};

}  // namespace penstock::value
