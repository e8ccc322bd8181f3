#include "plant/sensor.h"

#include <gtest/gtest.h>

#include <cmath>

namespace penstock::plant {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr PointKind kPressure = {
    "discharge_pressure", "bar", Encoding::kFloat32, 0, -0.5, 16, 0.02};
constexpr PointKind kTemperature = {
    "bearing_temperature", "Cel", Encoding::kSigned, 0.1, -20, 150, 0.06};
constexpr PointKind kRunning = {"running", "", Encoding::kBoolean, 0, 0, 1, 0};

TEST(SensorTest, AnHonestInstrumentAddsItsNoise) {
  Instrument instrument(kPressure, Random(1));
  double sum = 0, squares = 0;
  for (int i = 0; i < 5000; ++i) {
    const double off = instrument.Measure(5, FromMicros(i)).value - 5;
    sum += off;
    squares += off * off;
  }
  EXPECT_NEAR(sum / 5000, 0, 0.002);
  EXPECT_NEAR(std::sqrt(squares / 5000), 0.02, 0.002);
}

TEST(SensorTest, StuckStandsStill) {
  Instrument instrument(kPressure, Random(1));
  const double last = instrument.Measure(5, {}).value;
  instrument.BeginFault(SensorFault::kStuck, {}, minutes(10));
  EXPECT_EQ(instrument.Measure(7, {}).value, last);
  EXPECT_EQ(instrument.Measure(3, {}).value, last);
  instrument.EndFault();
  EXPECT_NEAR(instrument.Measure(3, {}).value, 3, 0.2);
}

TEST(SensorTest, OffsetIsThereAtOnceAndDriftGetsThere) {
  Instrument offset(kPressure, Random(1)), drift(kPressure, Random(1));
  const Time start{};
  offset.BeginFault(SensorFault::kOffset, start, minutes(10));
  drift.BeginFault(SensorFault::kDrift, start, minutes(10));
  const double bias = std::abs(offset.Measure(5, start).value - 5);
  EXPECT_GT(bias, 0.04 * 16.5 - 0.1);
  EXPECT_LT(bias, 0.12 * 16.5 + 0.1);
  EXPECT_NEAR(drift.Measure(5, start).value, 5, 0.1);
  EXPECT_NEAR(std::abs(drift.Measure(5, start + minutes(5)).value - 5), bias / 2, 0.15);
  EXPECT_NEAR(std::abs(drift.Measure(5, start + minutes(10)).value - 5), bias, 0.15);
}

TEST(SensorTest, SpikesReachTheEndOfTheScaleNowAndThen) {
  Instrument instrument(kPressure, Random(1));
  instrument.BeginFault(SensorFault::kSpikes, {}, minutes(10));
  int spikes = 0;
  for (int i = 0; i < 1000; ++i) spikes += instrument.Measure(5, {}).value > 15;
  EXPECT_GT(spikes, 180);
  EXPECT_LT(spikes, 320);
}

TEST(SensorTest, DropOutGivesTheDevicesErrorCode) {
  Instrument pressure(kPressure, Random(1)), temperature(kTemperature, Random(1));
  pressure.BeginFault(SensorFault::kDropOut, {}, minutes(10));
  temperature.BeginFault(SensorFault::kDropOut, {}, minutes(10));
  EXPECT_TRUE(pressure.Measure(5, {}).lost);
  EXPECT_TRUE(std::isnan(pressure.Measure(5, {}).value));
  EXPECT_DOUBLE_EQ(temperature.Measure(40, {}).value, -3276.8);
}

TEST(SensorTest, ALieLeavesTheNoiseOfLaterReadingsAsItWas) {
  Instrument honest(kPressure, Random(1)), liar(kPressure, Random(1));
  liar.BeginFault(SensorFault::kSpikes, {}, minutes(10));
  for (int i = 0; i < 10; ++i) {
    honest.Measure(5, {});
    liar.Measure(5, {});
  }
  liar.EndFault();
  EXPECT_EQ(honest.Measure(5, {}).value, liar.Measure(5, {}).value);
}

TEST(SensorTest, ACoilCannotLie) { EXPECT_FALSE(Instrument(kRunning, Random(1)).can_lie()); }

TEST(SensorTest, ValuesTravelRounded) {
  EXPECT_DOUBLE_EQ(AsItTravels(kTemperature, 41.2345), 412 * 0.1);
  EXPECT_EQ(AsItTravels(kPressure, 5.1), static_cast<double>(5.1f));
  EXPECT_EQ(AsItTravels({"p", "bar", Encoding::kText, 0.001, 0, 6, 0}, 1.23456), 1.235);
  EXPECT_EQ(AsItTravels({"p", "A", Encoding::kUnsigned, 0.01, 0, 60, 0}, -1), 0);
}

TEST(SensorTest, EveryKindHasANameAndASummary) {
  EXPECT_EQ(SensorFaultKinds().size(), 5u);
  for (const SensorFaultKind& kind : SensorFaultKinds())
    EXPECT_TRUE(kind.summary.ends_with('.')) << kind.name;
}

}  // namespace
}  // namespace penstock::plant
