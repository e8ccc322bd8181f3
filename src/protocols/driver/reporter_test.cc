#include "protocols/driver/reporter.h"

#include <cmath>

#include <gtest/gtest.h>

#include "protocols/driver/backoff.h"

namespace penstock::protocols {
namespace {

using std::chrono::seconds;

SourcePoint Point(things::ReportMode mode) {
  SourcePoint each;
  each.point.id = PointId{4};
  each.point.report = mode;
  each.point.sample_rate_hz = 4;
  return each;
}

class ReporterTest : public testing::Test {
 protected:
  const Time start_ = FromMicros(1'800'000'000'000'000);
  telemetry::Batch batch_;
};

TEST_F(ReporterTest, ReportsEveryReadingUnlessToldOtherwise) {
  Reporter reporter(std::vector{Point({})});
  for (int i = 0; i < 3; ++i) reporter.Add(0, start_, start_, 7, telemetry::kGood, batch_);
  EXPECT_EQ(batch_.size(), 3U);
}

TEST_F(ReporterTest, OnChangeAnEqualReadingIsHeldBackUntilTheLongestInterval) {
  Reporter reporter(
      std::vector{Point({.on_change = true, .deadband = 0.5, .max_interval = seconds(10)})});
  const auto read = [&](int after_s, double value) {
    reporter.Add(0, start_ + seconds(after_s), start_ + seconds(after_s), value, telemetry::kGood,
                 batch_);
    return batch_.size();
  };
  EXPECT_EQ(read(0, 7.0), 1U);
  EXPECT_EQ(read(1, 7.4), 1U);
  EXPECT_EQ(read(2, 7.5), 2U);  // Against the value that was reported, not the last one read.
  EXPECT_EQ(read(11, 7.5), 2U);
  EXPECT_EQ(read(12, 7.5), 3U);
}

TEST_F(ReporterTest, SilenceIsSaidOnceAndItsEndToo) {
  Reporter reporter(std::vector{Point({.on_change = true})});
  reporter.Add(0, start_, start_, 7, telemetry::kGood, batch_);
  for (int i = 0; i < 5; ++i) reporter.Fail(0, start_, telemetry::kBadNoCommunication, batch_);
  ASSERT_EQ(batch_.size(), 2U);
  EXPECT_EQ(batch_.value[1], 7);  // The last value there was, marked bad.
  EXPECT_EQ(batch_.quality[1], telemetry::kBadNoCommunication);
  reporter.Add(0, start_, start_, 7, telemetry::kGood, batch_);
  EXPECT_EQ(batch_.size(), 3U);
}

TEST_F(ReporterTest, ABurstIsSpacedByItsSampleRate) {
  Reporter reporter(std::vector{Point({})});
  const double values[] = {1, 2, std::nan(""), 4};
  reporter.AddWaveform(0, start_, start_ + seconds(2), values, telemetry::kGood, batch_);
  ASSERT_EQ(batch_.size(), 4U);
  EXPECT_EQ(batch_.source_time[0], start_);
  EXPECT_EQ(batch_.source_time[3], start_ + std::chrono::milliseconds(750));
  EXPECT_EQ(batch_.quality[2], telemetry::kBadSensorFailure);
  EXPECT_EQ(batch_.value[2], 2);
}

TEST(BackoffTest, DoublesUpToThirtySecondsWithJitter) {
  Backoff backoff("10.0.0.7:502");
  auto longest = Backoff::kFirst;
  for (int i = 0; i < 20; ++i) {
    const auto wait = backoff.Next();
    EXPECT_LE(wait, longest);
    EXPECT_GE(wait, longest * 3 / 4 - std::chrono::milliseconds(1));
    longest = std::min(longest * 2, Backoff::kLongest);
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next(), Backoff::kFirst);
}

TEST(BackoffTest, TwoDevicesDoNotWaitTheSameTime) {
  EXPECT_NE(Backoff("10.0.0.7:502").Next(), Backoff("10.0.0.8:502").Next());
}

}  // namespace
}  // namespace penstock::protocols
