// A flush beside the writer: every row is in the answer at every moment, once, and what a failed
// one left is written by the next.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>

#include "base/random.h"
#include "storage/history.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Time kFlushStart = ParseTime("2026-01-31T08:00:00Z").value();
constexpr uint32_t kFlushPoints = 1500;  // So many that they are shared among the cores.

class HistoryFlushTest : public ::testing::Test {
 protected:
  HistoryFlushTest() { Open(); }
  void Open() {
    history_.reset();
    auto opened = History::Open(folder_ / "history",
                                {.flush_every = hours(100), .merge_in_background = false});
    ASSERT_TRUE(opened) << opened.error().ToString();
    history_ = std::move(*opened);
    for (uint32_t p = 0; p < kFlushPoints; ++p)
      history_->NamePoint(PointId{p}, PathOf(p), p % 3 == 0 ? "pump" : "mixer");
  }
  static std::string PathOf(uint32_t point) { return fmt::format("thing-{:04}/flow", point); }
  // A row of each of `count` points from `first` on.
  void Append(Time time, double value, uint32_t first = 0, uint32_t count = kFlushPoints,
              uint32_t quality = 0) {
    std::vector<PointId> point;
    for (uint32_t p = 0; p < count; ++p) point.push_back(PointId{first + p});
    const std::vector<Time> times(count, time);
    const std::vector<double> values(count, value);
    const std::vector<uint32_t> qualities(count, quality);
    ASSERT_TRUE(history_->Append({point, times, times, values, qualities, next_}));
    next_ += count;
  }
  std::vector<TrendSeries> Aggregate(std::span<const std::string> paths, Time from, Time to,
                                     Duration every) {
    auto series = history_->Aggregate(paths, from, to, every);
    EXPECT_TRUE(series) << series.error().ToString();
    return std::move(series).value_or(std::vector<TrendSeries>());
  }
  uint64_t CountAll() {
    std::vector<std::string> paths;
    for (uint32_t p = 0; p < kFlushPoints; ++p) paths.push_back(PathOf(p));
    uint64_t rows = 0;
    for (const auto& one : Aggregate(paths, kFlushStart, kFlushStart + hours(1), Duration(0)))
      for (const TrendBucket& bucket : one.buckets) rows += bucket.count;
    return rows;
  }

  TemporaryFolder folder_;
  std::unique_ptr<History> history_;
  uint64_t next_ = 0;
};

TEST_F(HistoryFlushTest, RowsAreInEveryAnswerOnceWhileTheyMoveToFiles) {
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 10; ++i) Append(kFlushStart + seconds(100 * round + i), i);
    const uint64_t asked_for = next_;
    std::promise<Status> done;
    auto answer = done.get_future();
    history_->FlushSoon([&](Status status) { done.set_value(std::move(status)); });
    while (answer.wait_for(milliseconds(0)) != std::future_status::ready) {
      if (next_ < asked_for + 20 * kFlushPoints) Append(kFlushStart + seconds(100 * round + 50), 1);
      EXPECT_EQ(CountAll(), next_);
    }
    EXPECT_TRUE(answer.get());
    // What came meanwhile may be in these files or in the next ones.
    EXPECT_GE(history_->flushed_sequence_end(), asked_for);
    EXPECT_LE(history_->flushed_sequence_end(), next_);
    EXPECT_EQ(CountAll(), next_);
  }
  ASSERT_TRUE(history_->Flush());
  EXPECT_EQ(history_->flushed_sequence_end(), next_);
  Open();
  EXPECT_EQ(CountAll(), next_);
}

TEST_F(HistoryFlushTest, PointsMayGetNamesMeanwhile) {
  for (int i = 0; i < 20; ++i) Append(kFlushStart + seconds(i), i);
  std::promise<Status> done;
  auto answer = done.get_future();
  history_->FlushSoon([&](Status status) { done.set_value(std::move(status)); });
  uint32_t id = kFlushPoints;
  while (answer.wait_for(milliseconds(0)) != std::future_status::ready) {
    history_->NamePoint(PointId{id}, fmt::format("new-{}/flow", id), "pump");
    if (id < kFlushPoints + 5000) Append(kFlushStart, 7, id++, 1);
  }
  ASSERT_TRUE(answer.get());
  ASSERT_TRUE(history_->Flush());
  for (uint32_t p = kFlushPoints; p < id; p += 97)
    EXPECT_EQ(
        history_->Read(fmt::format("new-{}/flow", p), kFlushStart, kFlushStart + seconds(1), 9)
            .value()
            .size(),
        1U);
}

TEST_F(HistoryFlushTest, WhatAFailedOneLeftIsWrittenByTheNext) {
  Append(kFlushStart, 1);
  std::ofstream(folder_ / "history/mixer") << "a file where a folder is to be";
  const auto flush = [&] {
    std::promise<Status> done;
    auto answer = done.get_future();
    history_->FlushSoon([&](Status status) { done.set_value(std::move(status)); });
    return answer.get();
  };
  EXPECT_FALSE(flush());
  EXPECT_EQ(history_->flushed_sequence_end(), 0U);
  Append(kFlushStart + seconds(1), 2);
  EXPECT_EQ(CountAll(), next_);
  fs::remove(folder_ / "history/mixer");
  EXPECT_TRUE(flush());
  EXPECT_EQ(history_->flushed_sequence_end(), next_);
  EXPECT_EQ(history_->size().tail_rows, 0U);
  EXPECT_EQ(CountAll(), next_);
}

// Both ways through the files: thousands at once, and each point by itself.
TEST_F(HistoryFlushTest, ThousandsAtOnceGetWhatEachGetsAlone) {
  Random random(7);
  for (int file = 0; file < 3; ++file) {
    for (int i = 0; i < 30; ++i) {
      const Time time = kFlushStart + seconds(300 * file + 10 * i + random.Below(5));
      const double value = static_cast<double>(random.Below(10'000)) / 100;
      Append(time, value);
      if (file == 1 && i % 7 == 3) Append(time + seconds(1), NAN, 100, 200);
      if (file == 2 && i % 7 == 3) Append(time + seconds(1), 5, 300, 200, 0x80000000);
    }
    ASSERT_TRUE(history_->Flush());
  }
  std::vector<std::string> paths;
  for (uint32_t p = 0; p < kFlushPoints; p += 2) paths.push_back(PathOf(p));
  paths.push_back(PathOf(4));  // Twice.
  paths.push_back("nobody/ever-wrote");
  for (const auto& [from, to, every] : {std::tuple(seconds(0), seconds(3600), seconds(0)),
                                        std::tuple(seconds(47), seconds(633), seconds(0)),
                                        std::tuple(seconds(0), seconds(900), seconds(60)),
                                        std::tuple(seconds(7), seconds(800), seconds(300))}) {
    for (int again = 0; again < 2; ++again) {  // The second time the files' points are known.
      const auto all = Aggregate(paths, kFlushStart + from, kFlushStart + to, every);
      ASSERT_EQ(all.size(), paths.size());
      for (size_t i = 0; i < paths.size(); i += 13) {
        const auto alone =
            Aggregate({&paths[i], 1}, kFlushStart + from, kFlushStart + to, every).at(0);
        ASSERT_EQ(all[i].buckets.size(), alone.buckets.size()) << paths[i];
        for (size_t b = 0; b < alone.buckets.size(); ++b) {
          const TrendBucket &x = all[i].buckets[b], &y = alone.buckets[b];
          EXPECT_EQ(std::tuple(x.from, x.count, x.good, x.bad),
                    std::tuple(y.from, y.count, y.good, y.bad));
          EXPECT_EQ(std::tuple(x.first, x.min, x.max, x.last),
                    std::tuple(y.first, y.min, y.max, y.last));
          EXPECT_NEAR(x.mean, y.mean, 1e-9);
        }
      }
    }
  }
}

TEST_F(HistoryFlushTest, APointAskedForTwiceHasItsRowsTwice) {
  Append(kFlushStart, 1);
  std::vector<std::string> paths;
  for (const uint32_t p : {9, 3, 5, 3, 1, 2, 4, 6, 7, 8, 9}) paths.push_back(PathOf(p));
  for (const bool in_files : {false, true}) {
    if (in_files) {
      ASSERT_TRUE(history_->Flush());
    }
    const auto series = Aggregate(paths, kFlushStart, kFlushStart + hours(1), Duration(0));
    const auto coverage = history_->CoverageOf(paths, kFlushStart, kFlushStart + hours(1)).value();
    ASSERT_EQ(series.size(), paths.size());
    for (size_t i = 0; i < paths.size(); ++i) {
      EXPECT_EQ(series[i].path, paths[i]);
      EXPECT_EQ(series[i].buckets.size(), 1U) << paths[i] << in_files;
      EXPECT_EQ(coverage[i].count, 1U) << paths[i] << in_files;
    }
  }
}

}  // namespace
}  // namespace penstock::storage
