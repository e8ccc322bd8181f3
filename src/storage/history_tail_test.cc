#include "storage/history_tail.h"

#include <gtest/gtest.h>

namespace penstock::storage {
namespace {

// Rows of points 0, 1, 2, 0 ... in batches; every row's value tells its ingest time.
class HistoryTailTest : public ::testing::Test {
 protected:
  void Append(size_t rows, int64_t ingest_us, uint64_t first_sequence) {
    std::vector<PointId> point;
    std::vector<Time> time, ingest(rows, FromMicros(ingest_us));
    for (size_t i = 0; i < rows; ++i) {
      point.push_back(PointId{static_cast<uint32_t>(sequences_.size() % points_)});
      time.push_back(FromMicros(static_cast<int64_t>(sequences_.size())));
      sequences_.push_back(first_sequence + i);
    }
    const std::vector<double> value(rows, static_cast<double>(ingest_us));
    const std::vector<uint32_t> quality(rows);
    tail_.Append({point, time, ingest, value, quality, first_sequence}, 0);
  }

  // All rows as they were put, found by point and in one go.
  void ExpectAll(const TailSnapshot& snapshot, size_t rows) {
    ASSERT_EQ(snapshot.rows, rows);
    const TailByPoint sorted(snapshot);
    ASSERT_EQ(ToMicros(sorted.first_time()), 0);
    ASSERT_EQ(ToMicros(sorted.last_time()), static_cast<int64_t>(rows) - 1);
    for (uint32_t point = 0; point < points_; ++point) {
      TailRows taken, collected;
      sorted.Take(point, taken);
      snapshot.Collect(PointId{point}, Time::min(), Time::max(), collected);
      ASSERT_EQ(taken.time, collected.time);
      ASSERT_EQ(taken.ingest_time, collected.ingest_time);
      ASSERT_EQ(taken.sequence, collected.sequence);
      for (size_t i = 0; i < taken.size(); ++i) {
        ASSERT_EQ(taken.sequence[i], sequences_[static_cast<size_t>(taken.time[i])]);
        ASSERT_EQ(static_cast<double>(taken.ingest_time[i]), taken.value[i]);
      }
    }
  }

  uint32_t points_ = 3;
  HistoryTail tail_;
  std::vector<uint64_t> sequences_;
};

TEST_F(HistoryTailTest, RowsOfBigBatchesKeepTheirTimesAndNumbers) {
  uint64_t sequence = 100;
  for (int64_t batch = 0; batch < 20; ++batch, sequence += 5007) Append(5000, batch * 10, sequence);
  ExpectAll(tail_.Snapshot(), 100'000);
  EXPECT_EQ(tail_.sequence_end(), sequence - 7);
}

TEST_F(HistoryTailTest, RowsOfManyPointsAreFound) {
  points_ = 5000;
  Append(60'000, 7, 50);
  ExpectAll(tail_.Snapshot(), 60'000);
}

TEST_F(HistoryTailTest, RowsThatComeOneByOneDoToo) {
  Append(1000, 7, 50);
  for (int64_t i = 0; i < 20'000; ++i) Append(1, i, static_cast<uint64_t>(2000 + i + i / 3));
  Append(1000, 8, 90'000);
  ExpectAll(tail_.Snapshot(), 22'000);
}

TEST_F(HistoryTailTest, ASnapshotStandsWhileTheTailGoesOn) {
  for (int64_t i = 0; i < 200; ++i) Append(1, i, static_cast<uint64_t>(i));
  const TailSnapshot before = tail_.Snapshot();
  for (int64_t i = 200; i < 2000; ++i) Append(2, i, static_cast<uint64_t>(3 * i));
  ExpectAll(before, 200);
  ExpectAll(tail_.Snapshot(), 3800);
}

}  // namespace
}  // namespace penstock::storage
