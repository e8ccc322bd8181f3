#include "telemetry/quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "telemetry/batch_rows.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

// One pump with a pressure and a vibration; rules are set by each story.
class QualityMarkerTest : public testing::Test {
 protected:
  QualityMarkerTest()
      : pressure_(site_.Add("pump-7", "pressure")),
        vibration_(site_.Add("pump-7", "vibration", things::ValueType::kWaveform, 100)) {}

  // Marks one sample; its quality, or nothing when it was dropped.
  std::optional<Quality> Send(double at, double value, Quality quality = kGood,
                              double ingest_delay = 0) {
    if (marker_snapshot_stale_) marker_.SetSnapshot(site_.Snapshot());
    marker_snapshot_stale_ = false;
    Batch batch;
    batch.Add(pressure_.id, At(at), At(at + ingest_delay), value, quality);
    outcome_ = marker_.Mark(batch);
    if (batch.empty()) return std::nullopt;
    return batch.quality[0];
  }
  Batch Burst(double at, double amplitude, double offset = 0) {
    Batch batch;
    for (int i = 0; i < 100; ++i) {
      batch.Add(vibration_.id, At(at + i / 100.0), At(at + 1), offset + amplitude * std::sin(i));
    }
    return batch;
  }
  MarkOutcome Mark(Batch& batch) {
    marker_.SetSnapshot(site_.Snapshot());
    return marker_.Mark(batch);
  }

  TestSite site_;
  things::Point& pressure_;
  things::Point& vibration_;
  TestQuarantine quarantine_;
  QualityMarker marker_{quarantine_};
  bool marker_snapshot_stale_ = true;
  MarkOutcome outcome_;
};

TEST_F(QualityMarkerTest, OutsideTheRangeIsUncertainFarOutsideIsBad) {
  pressure_.quality.minimum = 0;
  pressure_.quality.maximum = 16;
  EXPECT_EQ(Send(0, 16), kGood);
  EXPECT_EQ(Send(1, 16.1), kUncertainEngineeringUnitsExceeded);
  EXPECT_EQ(Send(2, -1), kUncertainEngineeringUnitsExceeded);
  EXPECT_EQ(Send(3, 32.1), kBadOutOfRange);
  EXPECT_EQ(Send(4, -16.1), kBadOutOfRange);
}

TEST_F(QualityMarkerTest, OneBoundAloneKnowsNoFarOutside) {
  pressure_.quality.maximum = 16;
  EXPECT_EQ(Send(0, 1e6), kUncertainEngineeringUnitsExceeded);
  EXPECT_EQ(Send(1, -1e6), kGood);
}

TEST_F(QualityMarkerTest, ASteepStepIsMarkedAndASpikeDoesNotTaintWhatFollows) {
  pressure_.quality.minimum = 0;
  pressure_.quality.maximum = 16;
  pressure_.quality.max_rate_per_s = 1;
  EXPECT_EQ(Send(0, 5), kGood);
  EXPECT_EQ(Send(1, 7), kUncertainSubNormal);
  EXPECT_EQ(Send(2, 100), kBadOutOfRange);
  EXPECT_EQ(Send(3, 7.5), kGood);
}

TEST_F(QualityMarkerTest, AFlatLineIsASensorFailureUntilItMoves) {
  pressure_.quality.flat_after = std::chrono::seconds(10);
  pressure_.quality.flat_tolerance = 0.01;
  for (int t = 0; t < 10; ++t) EXPECT_EQ(Send(t, 5 + 0.005 * (t % 2)), kGood) << t;
  EXPECT_EQ(Send(10, 5), kBadSensorFailure);
  EXPECT_EQ(Send(11, 5.5), kGood);
}

TEST_F(QualityMarkerTest, TheSameSampleTwiceIsDroppedAndCounted) {
  EXPECT_EQ(Send(0, 5), kGood);
  EXPECT_EQ(Send(1, 6), kGood);
  EXPECT_EQ(Send(0, 5), std::nullopt);  // Redelivered after a broken connection.
  EXPECT_EQ(outcome_.duplicates.size(), 1U);
  EXPECT_EQ(Send(1, 6.5), kUncertainSubNormal);  // Same time, other value: kept, marked.
  EXPECT_EQ(Send(0.5, 5), kGood);                // Late, but new.
}

TEST_F(QualityMarkerTest, AWholeRequestSentAgainIsDropped) {
  const auto request = [&] {
    Batch batch;
    for (int t = 0; t < 5000; ++t) batch.Add(pressure_.id, At(t), At(6000), 5 + 0.001 * t);
    return batch;
  };
  Batch first = request(), second = request(), corrected = request();
  EXPECT_EQ(Mark(first).duplicates.size(), 0U);
  EXPECT_EQ(Mark(second).duplicates.size(), 5000U);
  EXPECT_TRUE(second.empty());
  corrected.value[17] = 9;
  EXPECT_EQ(Mark(corrected).duplicates.size(), 4999U);
  marker_.Forget(request());
  Batch third = request();
  EXPECT_EQ(Mark(third).duplicates.size(), 0U);  // It was refused: not to be found anywhere.
}

uint64_t Fingerprint(uint64_t i) { return i * 0x9E3779B97F4A7C15ULL | 2; }

TEST(RecentRowsTest, KnowsAtLeastTheLatestAndForgetsTheOld) {
  RecentRows rows;
  const uint64_t total = 5 * RecentRows::kRows;
  for (uint64_t i = 1; i <= total; ++i) rows.Add(Fingerprint(i));
  for (uint64_t i = total; i > total - RecentRows::kRows; --i)
    ASSERT_TRUE(rows.Has(Fingerprint(i)));
  for (uint64_t i = 1; i <= total - 2 * RecentRows::kRows; ++i)
    ASSERT_FALSE(rows.Has(Fingerprint(i)));
  rows.Remove(Fingerprint(total));
  EXPECT_FALSE(rows.Has(Fingerprint(total)));
}

TEST_F(QualityMarkerTest, WhatWasRefusedMayComeAgain) {
  EXPECT_EQ(Send(0, 5), kGood);
  Batch refused;
  refused.Add(pressure_.id, At(0), At(0), 5);
  marker_.Forget(refused);
  EXPECT_EQ(Send(0, 5), kGood);
}

TEST_F(QualityMarkerTest, WhatWasStoredInAnEarlierLifeIsADuplicateNow) {
  Batch replayed;
  replayed.Add(pressure_.id, At(0), At(0), 5);
  marker_.SetSnapshot(site_.Snapshot());
  marker_.Prime(replayed);
  EXPECT_EQ(Send(0, 5), std::nullopt);
  Batch burst = Burst(10, 1), again = burst;
  marker_.Prime(burst);
  EXPECT_EQ(Mark(again).duplicates.size(), 100U);
}

TEST_F(QualityMarkerTest, AClockFarAheadIsQuarantinedWithAdvice) {
  pressure_.quality.max_clock_skew = std::chrono::seconds(60);
  EXPECT_EQ(Send(0, 5, kGood, -61), std::nullopt);
  EXPECT_EQ(outcome_.quarantined.size(), 1U);
  ASSERT_EQ(quarantine_.entries.size(), 1U);
  EXPECT_EQ(quarantine_.entries[0].rule, "clock_skew");
  EXPECT_EQ(quarantine_.entries[0].point, "pump-7/pressure");
  EXPECT_NE(quarantine_.entries[0].message.find("61.0 s ahead"), std::string::npos);
  EXPECT_EQ(Send(0, 5, kGood, -59), kGood);
}

TEST_F(QualityMarkerTest, WithoutARuleAClockADayAheadIsQuarantinedToo) {
  EXPECT_EQ(Send(0, 5, kGood, -86'401), std::nullopt);
}

TEST_F(QualityMarkerTest, WhatIsNoNumberOrOfNoPointIsQuarantined) {
  EXPECT_EQ(Send(0, std::numeric_limits<double>::quiet_NaN()), std::nullopt);
  Batch batch;
  batch.Add(PointId{77}, At(0), At(0), 1);
  batch.Add(pressure_.id, At(1), At(1), 1);
  EXPECT_EQ(Mark(batch).quarantined.size(), 1U);
  ASSERT_EQ(batch.size(), 1U);  // The good one beside it stays.
  EXPECT_EQ(batch.point[0], pressure_.id);
  EXPECT_EQ(quarantine_.entries[1].rule, "unknown_point");
}

TEST_F(QualityMarkerTest, ADriversBadQualityIsNeverImproved) {
  pressure_.quality.maximum = 1;
  EXPECT_EQ(Send(0, 5, kBadNoCommunication), kBadNoCommunication);
}

TEST_F(QualityMarkerTest, SilenceIsToldOnceWithTheLastValue) {
  pressure_.quality.stale_after = std::chrono::seconds(30);
  Send(0, 5);
  Batch out;
  marker_.Sweep(At(30), out);
  EXPECT_TRUE(out.empty());
  marker_.Sweep(At(31), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out.value[0], 5);
  EXPECT_EQ(out.quality[0], kUncertainLastUsableValue);
  EXPECT_EQ(out.source_time[0], At(31));
  marker_.Sweep(At(60), out);
  EXPECT_EQ(out.size(), 1U);
  Send(61, 6);
  marker_.Sweep(At(92), out);
  EXPECT_EQ(out.size(), 2U);
}

TEST_F(QualityMarkerTest, ABurstIsJudgedAsOne) {
  vibration_.quality.minimum = -10;
  vibration_.quality.maximum = 10;
  Batch batch = Burst(0, 1), loud = Burst(10, 12), wild = Burst(20, 40);
  batch.Append(loud);
  batch.Append(wild);
  Mark(batch);
  ASSERT_EQ(batch.size(), 300U);
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(batch.quality[i], kGood);
    EXPECT_EQ(batch.quality[100 + i], kUncertainEngineeringUnitsExceeded);
    EXPECT_EQ(batch.quality[200 + i], kBadOutOfRange);
  }
}

TEST_F(QualityMarkerTest, ABurstSentTwiceIsADuplicateAsAWhole) {
  Batch first = Burst(0, 1), second = Burst(0, 1), next = Burst(5, 1.1);
  EXPECT_EQ(Mark(first).duplicates.size(), 0U);
  EXPECT_EQ(Mark(next).duplicates.size(), 0U);
  EXPECT_EQ(Mark(second).duplicates.size(), 100U);
}

TEST_F(QualityMarkerTest, AFrozenWaveformIsASensorFailure) {
  vibration_.quality.flat_after = std::chrono::seconds(10);
  for (int t = 0; t <= 20; t += 5) {
    Batch batch = Burst(t, 1);  // The same buffer again and again.
    Mark(batch);
    EXPECT_EQ(batch.quality[0], t < 10 ? kGood : kBadSensorFailure) << t;
  }
}

TEST_F(QualityMarkerTest, OneValueThatIsNoNumberTakesItsBurstAlong) {
  Batch batch = Burst(0, 1);
  batch.value[50] = std::numeric_limits<double>::infinity();
  Batch good = Burst(5, 1);
  batch.Append(good);
  EXPECT_EQ(Mark(batch).quarantined.size(), 100U);
  EXPECT_EQ(batch.size(), 100U);
  EXPECT_EQ(quarantine_.entries.size(), 1U);
}

TEST(BurstEndTest, AGapOfMoreThanTwoSpacingsEndsABurst) {
  Batch batch;
  for (const double t : {0.0, 0.01, 0.03, 0.06}) batch.Add(PointId{0}, At(t), At(1), 0);
  EXPECT_EQ(BurstEnd(batch, 0, 100), 3U);
  EXPECT_EQ(BurstEnd(batch, 0, 0), 4U);
}

}  // namespace
}  // namespace penstock::telemetry
