// Questions for single points: the answer is the same whether their group is asked for the first
// time or again, and however many files there are, few are open.
#include "storage/history_group.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
const Time kGroupStart = ParseTime("2026-01-31T08:00:00Z").value();

class HistoryGroupTest : public ::testing::Test {
 protected:
  void Open(uint32_t points, uint32_t products) {
    points_ = points;
    history_ = History::Open(folder_ / "history",
                             {.flush_every = std::chrono::hours(100), .merge_in_background = false})
                   .value();
    for (uint32_t p = 0; p < points; ++p)
      history_->NamePoint(PointId{p}, PathOf(p), fmt::format("product-{}", p % products));
  }
  // Rows [from, to) of each point, in files.
  void Fill(size_t from, size_t to) {
    for (size_t row = from; row < to; ++row) {
      std::vector<PointId> point;
      std::vector<double> value;
      for (uint32_t p = 0; p < points_; ++p) {
        point.push_back(PointId{p});
        value.push_back(ValueOf(p, row));
      }
      const std::vector<Time> time(points_, TimeOf(row));
      const std::vector<uint32_t> quality(points_);
      ASSERT_TRUE(history_->Append({point, time, time, value, quality, row * points_}));
    }
    ASSERT_TRUE(history_->Flush());
  }
  static std::string PathOf(uint32_t point) { return fmt::format("thing-{:04}/flow", point); }
  static Time TimeOf(size_t row) {
    return kGroupStart + std::chrono::milliseconds(100 * static_cast<int64_t>(row));
  }
  static double ValueOf(uint32_t point, size_t row) {
    return point + static_cast<double>(row) / 100;
  }
  void ExpectRows(uint32_t point, size_t from, size_t to) {
    const auto rows = history_->Read(PathOf(point), TimeOf(from), TimeOf(to), 1000);
    ASSERT_TRUE(rows) << rows.error().ToString();
    ASSERT_EQ(rows->size(), to - from);
    for (size_t i = 0; i < rows->size(); ++i) {
      ASSERT_EQ((*rows)[i].time, TimeOf(from + i));
      ASSERT_EQ((*rows)[i].value, ValueOf(point, from + i));
    }
  }
  static size_t OpenFiles() {
    return static_cast<size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
  }
  // Parquet files that are open here and no more in their folder.
  static std::vector<std::string> OpenAndGone() {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      const std::string file = fs::read_symlink(entry.path(), ignored).string();
      if (file.ends_with(".parquet (deleted)")) found.push_back(file);
    }
    return found;
  }

  TemporaryFolder folder_;
  std::unique_ptr<History> history_;
  uint32_t points_ = 0;
};

TEST_F(HistoryGroupTest, AnswersTheSameAgain) {
  Open(300, 1);
  Fill(0, 50);
  for (int round = 0; round < 3; ++round)
    for (uint32_t p = 0; p < points_; p += 7) ExpectRows(p, p % 10, 50 - p % 10);
  EXPECT_EQ(history_->Read("thing-9999/flow", TimeOf(0), TimeOf(50), 10)->size(), 0u);
}

TEST_F(HistoryGroupTest, FewOfManyFilesAreOpen) {
  const size_t before = OpenFiles();
  Open(300, 300);
  Fill(0, 3);
  for (int round = 0; round < 2; ++round) {
    for (uint32_t p = 0; p < points_; ++p) ExpectRows(p, 0, 3);
    EXPECT_LE(OpenFiles(), before + 260);
  }
  EXPECT_GE(OpenFiles(), before + 200);
}

// What was merged into another file, or deleted, takes no room on the disk, though it was asked
// for.
TEST_F(HistoryGroupTest, NoFileThatIsGoneIsOpen) {
  constexpr size_t kRows = 1200;  // Two minutes: enough for steps by minutes.
  Open(3, 1);
  for (size_t flush = 0; flush < 18; ++flush) {
    Fill(flush * kRows, (flush + 1) * kRows);
    const Time end = TimeOf((flush + 1) * kRows);
    for (uint32_t p = 0; p < points_; ++p) {
      const auto trend = history_->Trend(PathOf(p), kGroupStart, end, 2 * (flush + 1));
      ASSERT_TRUE(trend) << trend.error().ToString();
      for (const TrendBucket& bucket : *trend) EXPECT_EQ(bucket.count, kRows / 2);
      ExpectRows(p, flush * kRows + 5, flush * kRows + 500);
    }
    EXPECT_EQ(OpenAndGone(), std::vector<std::string>()) << flush;
  }
  EXPECT_LT(history_->size().files, 4u);  // Sixteen became one.
  ASSERT_TRUE(history_->Retain(kGroupStart + std::chrono::hours(48), UINT64_MAX));
  EXPECT_EQ(history_->size().files, 0u);
  EXPECT_EQ(OpenAndGone(), std::vector<std::string>());
}

}  // namespace
}  // namespace penstock::storage
