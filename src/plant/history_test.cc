#include "plant/history.h"

#include <gtest/gtest.h>

#include <map>

#include "plant/machine.h"

namespace penstock::plant {
namespace {

const Time kStart = *ParseTime("2026-06-01T06:00:00Z");

uint64_t Digest(const HistoryRun& run) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  const auto mix = [&](double value) {
    hash = (hash ^ std::bit_cast<uint64_t>(value)) * 0x100000001B3ULL;
  };
  RunHistory(
      run,
      [&](const Reading& reading) {
        mix(reading.value);
        mix(static_cast<double>(ToMicros(reading.time)));
        for (const double sample : reading.waveform) mix(sample);
      },
      nullptr);
  return hash;
}

TEST(HistoryTest, IsTheSameForTheSameSeed) {
  EXPECT_EQ(Digest({.seed = 4, .start = kStart, .hours = 2}),
            Digest({.seed = 4, .start = kStart, .hours = 2}));
  EXPECT_NE(Digest({.seed = 4, .start = kStart, .hours = 2}),
            Digest({.seed = 5, .start = kStart, .hours = 2}));
}

TEST(HistoryTest, ReportsLikeTheSocketsDo) {
  std::map<std::string, int> counts;
  RunHistory(
      {.seed = 1, .start = kStart, .hours = 1, .report_interval = std::chrono::seconds(120)},
      [&](const Reading& reading) {
        ++counts[reading.path];
        if (!reading.waveform.empty()) {
          EXPECT_EQ(reading.waveform.size(), kBurstSamples);
          EXPECT_EQ(reading.sample_rate_hz, 2048);
        }
      },
      nullptr);
  EXPECT_EQ(counts.size(), 8u + 1 + 5 + 1 + 14 + 3 + 2);
  EXPECT_EQ(counts["pump-7/discharge_pressure"], 60);
  EXPECT_EQ(counts["pump-7/vibration_de"], 30);
  EXPECT_EQ(counts["gearbox-2/torque"], 30);
  EXPECT_EQ(counts["gearbox-2/vibration"], 30);
  EXPECT_EQ(counts["filler-1/good_count"], 60);
  EXPECT_EQ(counts["energy-meter-1/active_power"], 60);
  EXPECT_EQ(counts["weather-1/humidity"], 30);
}

TEST(HistoryTest, HasFaultsThatFailAndFaultsThatWereMended) {
  std::vector<FaultEvent> faults;
  std::vector<SensorFaultEvent> sensor_faults;
  RunHistory(
      {.seed = 2, .start = kStart, .hours = 96}, [](const Reading&) {}, &faults, &sensor_faults);
  int failed = 0, prevented = 0;
  std::map<std::string, int> kinds;
  for (const FaultEvent& fault : faults) {
    failed += fault.outcome() == "failed";
    prevented += fault.outcome() == "prevented";
    ++kinds[fault.machine + "/" + fault.kind];
    EXPECT_EQ(fault.SeverityAt(fault.onset - std::chrono::seconds(1)), 0);
    EXPECT_GE(fault.would_fail_at - fault.onset, std::chrono::minutes(89));
  }
  EXPECT_GT(failed, 5);
  EXPECT_GT(prevented, 10);
  EXPECT_EQ(kinds.size(), 6u);
  EXPECT_GT(sensor_faults.size(), 20u);
}

TEST(HistoryTest, MarksWhatTheRangeRefuses) {
  int bad = 0, outside = 0;
  RunHistory(
      {.seed = 2, .start = kStart, .hours = 48},
      [&](const Reading& reading) {
        if (reading.path != "pump-7/bearing_temperature" &&
            reading.path != "pump-7/discharge_pressure")
          return;
        bad += reading.bad;
        outside += !(reading.value >= -20 && reading.value <= 150);
      },
      nullptr);
  EXPECT_GE(bad, outside);
}

}  // namespace
}  // namespace penstock::plant
