#include "telemetry/live_values.h"

#include <gtest/gtest.h>

#include <cmath>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

class LiveValuesTest : public testing::Test {
 protected:
  LiveValuesTest() {
    flow_ = site_.Add("pump-7", "flow").id;
    vibration_ = site_.Add("pump-7", "vibration", things::ValueType::kWaveform, 100).id;
    live_.SetSnapshot(site_.Snapshot());
  }
  void Send(double at, double value, Quality quality = kGood) {
    Batch batch;
    batch.Add(flow_, At(at), At(at), value, quality);
    live_.Observe(batch);
  }

  TestSite site_;
  PointId flow_, vibration_;
  std::chrono::steady_clock::time_point steady_{std::chrono::seconds(100)};
  LiveValues live_{[this] { return steady_; }};
};

TEST_F(LiveValuesTest, ShowsTheNewestValueEvenWhenAnOlderOneComesLate) {
  EXPECT_FALSE(live_.Get(flow_));
  Send(10, 5);
  Send(5, 4);
  EXPECT_EQ(live_.Get(flow_)->value, 5);
  EXPECT_EQ(live_.Get(flow_)->time, At(10));
  EXPECT_EQ(live_.Get(flow_)->samples, 2U);
}

TEST_F(LiveValuesTest, AWaveformShowsItsRmsWithoutItsOffset) {
  Batch batch;
  for (int i = 0; i < 100; ++i)
    batch.Add(vibration_, At(i / 100.0), At(1), i % 2 == 0 ? 12.0 : 8.0);
  live_.Observe(batch);
  EXPECT_DOUBLE_EQ(live_.Get(vibration_)->value, 2);
  EXPECT_EQ(live_.Get(vibration_)->samples, 100U);
}

TEST_F(LiveValuesTest, TheSparklineHoldsMeansOfGoodSamplesOfEightHours) {
  const double step = 600;
  Send(0, 1);
  Send(10, 3);
  Send(20, 99, kBad);
  Send(47 * step, 7);
  auto spark = live_.Spark(flow_, At(47 * step));
  EXPECT_EQ(spark[0], 2);
  EXPECT_EQ(spark[1], std::nullopt);
  EXPECT_EQ(spark[47], 7);
  spark = live_.Spark(flow_, At(48 * step));
  EXPECT_EQ(spark[46], 7);
  Send(48 * step, 8);  // Takes the place of the oldest bucket.
  EXPECT_EQ(live_.Spark(flow_, At(48 * step))[47], 8);
}

TEST_F(LiveValuesTest, TellsWhatChangedSinceLastAsked) {
  uint64_t revision = 0;
  Send(0, 1);
  EXPECT_EQ(live_.ChangedSince(revision).size(), 1U);
  EXPECT_TRUE(live_.ChangedSince(revision).empty());
  Send(1, 2);
  ASSERT_EQ(live_.ChangedSince(revision).size(), 1U);
}

TEST_F(LiveValuesTest, CountsSamplesPerRealSecond) {
  EXPECT_EQ(live_.samples_per_s(), 0);
  for (int second = 0; second < 4; ++second) {
    for (int i = 0; i < 10; ++i) Send(second * 10 + i, i);
    steady_ += std::chrono::seconds(1);
  }
  EXPECT_DOUBLE_EQ(live_.samples_per_s(), 10);
  steady_ += std::chrono::seconds(60);
  EXPECT_EQ(live_.samples_per_s(), 0);
}

}  // namespace
}  // namespace penstock::telemetry
