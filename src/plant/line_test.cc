#include "plant/line.h"

#include <gtest/gtest.h>

#include <map>

namespace penstock::plant {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Time kLineStart = *ParseTime("2026-06-01T06:00:00Z");

// All that a run reported, as text.
std::string Transcript(uint64_t seed, std::vector<Duration> strides, Duration length) {
  Truth truth;
  Line line({seed, kLineStart, seconds(120), {}}, truth);
  std::string text;
  const auto write = [&](const Report& report) {
    fmt::format_to(std::back_inserter(text), "{} {}", report.station.name(),
                   FormatTime(report.time));
    for (const Measured& measured : report.values)
      fmt::format_to(std::back_inserter(text), " {}", measured.value);
    for (const double sample : report.waveform)
      fmt::format_to(std::back_inserter(text), " {}", sample);
    text += '\n';
  };
  Time now = kLineStart;
  for (size_t i = 0; now < kLineStart + length; ++i) {
    now = std::min(now + strides[i % strides.size()], kLineStart + length);
    line.AdvanceTo(now, write);
  }
  return text + truth.ToJson().dump();
}

TEST(LineTest, TheSameSeedGivesTheSameRunHoweverTheClockWent) {
  const std::string smooth = Transcript(7, {Duration(2'400'000)}, hours(2));
  EXPECT_EQ(smooth, Transcript(7, {Duration(17'345'678), hours(1), Duration(1)}, hours(2)));
  EXPECT_NE(smooth, Transcript(8, {Duration(2'400'000)}, hours(2)));
}

TEST(LineTest, ReportsComeOnTheirGrid) {
  Truth truth;
  Line line({1,
             kLineStart,
             seconds(120),
             {.healthy_hours = 0, .sensor_fault_hours = 0, .early_fault = false}},
            truth);
  std::map<std::string, int> reports, waveforms;
  line.AdvanceTo(kLineStart + hours(1), [&](const Report& report) {
    ++reports[std::string(report.station.name())];
    if (report.waveform.empty()) return;
    ++waveforms[std::string(report.station.name())];
    EXPECT_EQ(report.waveform.size(), kBurstSamples);
    EXPECT_EQ(report.waveform_time + seconds(1), report.time);
    EXPECT_EQ(report.time.time_since_epoch() % seconds(120), Duration(0));
  });
  EXPECT_EQ(reports["filler-1"], 60);
  EXPECT_EQ(reports["energy-meter-1"], 60);
  EXPECT_EQ(reports["weather-1"], 30);
  EXPECT_EQ(reports["gearbox-2"], 30);
  EXPECT_EQ(waveforms["pump-7"], 30);
  EXPECT_EQ(waveforms["gearbox-2"], 30);
  EXPECT_TRUE(truth.faults.empty());
  EXPECT_TRUE(truth.sensor_faults.empty());
}

TEST(LineTest, TheEarlyFaultBeginsWithinMinutesHalfWorn) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Truth truth;
    Line line({seed, kLineStart, seconds(120), {}}, truth);
    line.AdvanceTo(kLineStart + minutes(7), nullptr);
    ASSERT_EQ(truth.faults.size(), 1u) << seed;
    EXPECT_NEAR(truth.faults[0].DamageAt(truth.faults[0].onset), 0.35, 1e-9);
    EXPECT_LT(truth.faults[0].would_fail_at - truth.faults[0].onset, minutes(90));
  }
}

TEST(LineTest, AFaultThatNobodyMendsStopsTheMachine) {
  Truth truth;
  Line line({3, kLineStart, seconds(120), {.sensor_fault_hours = 0}}, truth);
  line.AdvanceTo(kLineStart + hours(2), nullptr);
  ASSERT_FALSE(truth.faults.empty());
  const FaultEvent& fault = truth.faults[0];
  ASSERT_TRUE(fault.failed_at);
  EXPECT_EQ(*fault.failed_at, fault.would_fail_at);
  EXPECT_EQ(fault.outcome(), "failed");
  line.AdvanceTo(kLineStart + hours(5), nullptr);
  ASSERT_TRUE(truth.faults[0].repaired_at);
  EXPECT_GT(*truth.faults[0].repaired_at - *truth.faults[0].failed_at, minutes(70));
}

TEST(LineTest, ARepairInTimePreventsTheFailure) {
  Truth truth;
  Line line({3, kLineStart, seconds(120), {.sensor_fault_hours = 0}}, truth);
  line.AdvanceTo(kLineStart + minutes(20), nullptr);
  Station* station = line.Find(truth.faults.at(0).machine);
  ASSERT_TRUE(station->life().faulty());
  station->life().BeginRepair(line.now(), minutes(30), "repair");
  line.AdvanceTo(kLineStart + minutes(21), nullptr);
  EXPECT_TRUE(station->life().down());
  line.AdvanceTo(kLineStart + minutes(51), nullptr);
  EXPECT_FALSE(station->life().down());
  EXPECT_EQ(truth.faults[0].outcome(), "prevented");
  EXPECT_EQ(truth.faults[0].repaired_at, kLineStart + minutes(50));
  // The next one on this machine leaves it at least 20 healthy minutes.
  line.AdvanceTo(kLineStart + hours(24), nullptr);
  for (size_t i = 1; i < truth.faults.size(); ++i)
    if (truth.faults[i].machine == truth.faults[0].machine) {
      EXPECT_GE(truth.faults[i].onset, kLineStart + minutes(70));
      break;
    }
}

TEST(LineTest, AnInspectionOfAHealthyMachineIsAShortStop) {
  Truth truth;
  Line line({3, kLineStart, seconds(120), {.healthy_hours = 0, .early_fault = false}}, truth);
  line.AdvanceTo(kLineStart + minutes(5), nullptr);
  Station* pump = line.Find("pump-7");
  pump->life().BeginRepair(line.now(), minutes(10), "inspection");
  line.AdvanceTo(kLineStart + minutes(10), nullptr);
  EXPECT_EQ(pump->measured()[7].value, 0);  // The coil.
  line.AdvanceTo(kLineStart + minutes(20), nullptr);
  EXPECT_EQ(pump->measured()[7].value, 1);
  EXPECT_TRUE(truth.faults.empty());
  ASSERT_EQ(truth.stops.size(), 1u);
  EXPECT_EQ(truth.stops[0].reason, "inspection");
}

TEST(LineTest, NormalOperationVaries) {
  Truth truth;
  Line line({11, kLineStart, seconds(120), {.healthy_hours = 0, .early_fault = false}}, truth);
  std::map<double, int> products;
  double rate_max = 0;
  int stopped = 0, reports = 0;
  line.AdvanceTo(kLineStart + hours(24), [&](const Report& report) {
    if (report.station.name() != "filler-1") return;
    ++reports;
    ++products[report.values[4].value];
    rate_max = std::max(rate_max, report.values[2].value);
    stopped += report.values[5].value == 0;
  });
  EXPECT_GE(products.size(), 2u);
  EXPECT_GT(rate_max, 300);
  EXPECT_GT(stopped, reports / 50);
  EXPECT_LT(stopped, reports / 4);
}

TEST(LineTest, SensorFaultsEndByThemselvesOrByRepair) {
  Truth truth;
  Line line({5,
             kLineStart,
             seconds(120),
             {.healthy_hours = 0, .sensor_fault_hours = 0.2, .early_fault = false}},
            truth);
  line.AdvanceTo(kLineStart + hours(24), nullptr);
  ASSERT_GT(truth.sensor_faults.size(), 20u);
  for (size_t i = 0; i + 1 < truth.sensor_faults.size(); ++i) {
    const SensorFaultEvent& fault = truth.sensor_faults[i];
    ASSERT_TRUE(fault.ended_at);
    EXPECT_FALSE(fault.repaired);
    EXPECT_GE(*fault.ended_at - fault.began, minutes(10));
    EXPECT_LE(*fault.ended_at - fault.began, minutes(40));
    EXPECT_LT(*fault.ended_at, truth.sensor_faults[i + 1].began);
  }
  while (truth.sensor_faults.back().ended_at) line.AdvanceTo(line.now() + minutes(1), nullptr);
  EXPECT_EQ(line.RepairSensors(truth.sensor_faults.back().machine), 1);
  EXPECT_TRUE(truth.sensor_faults.back().repaired);
}

TEST(LineTest, AStoppedPumpEmptiesTheBowlAndStopsTheFiller) {
  Truth truth;
  Line line({3,
             kLineStart,
             seconds(120),
             {.healthy_hours = 0, .sensor_fault_hours = 0, .early_fault = false}},
            truth);
  line.AdvanceTo(kLineStart + minutes(5), nullptr);
  ASSERT_GT(line.state().rate, 100);
  line.Find("pump-7")->life().BeginRepair(line.now(), minutes(20), "repair");
  line.AdvanceTo(kLineStart + minutes(15), nullptr);
  EXPECT_LT(line.state().rate, 5);
  EXPECT_LT(line.state().bowl_level, 10);
}

TEST(TruthTest, TellsTheCrewWhatWasOn) {
  Truth truth;
  FaultEvent fault{"pump-7", "seal_leak"};
  fault.onset = kLineStart;
  fault.would_fail_at = kLineStart + hours(2);
  fault.repair_began = kLineStart + hours(1);
  truth.faults.push_back(fault);
  truth.stops.push_back({"pump-7", "repair", kLineStart + hours(1), kLineStart + minutes(90)});
  EXPECT_EQ(truth.Inspect("pump-7", kLineStart + minutes(30), kLineStart + minutes(40)).fault,
            "seal_leak");
  EXPECT_EQ(truth.Inspect("pump-7", kLineStart + minutes(50), kLineStart + minutes(70)).fault,
            "seal_leak");
  EXPECT_EQ(truth.Inspect("pump-7", kLineStart + minutes(100), kLineStart + minutes(105)).fault,
            "");
  EXPECT_TRUE(
      truth.Inspect("pump-7", kLineStart + minutes(100), kLineStart + minutes(105)).stopped);
  EXPECT_FALSE(truth.Inspect("pump-7", kLineStart + hours(3), kLineStart + hours(3)).stopped);
  EXPECT_EQ(truth.Inspect("filler-1", kLineStart + minutes(30), kLineStart + minutes(40)).fault,
            "");
}

}  // namespace
}  // namespace penstock::plant
