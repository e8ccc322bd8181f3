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
  // One point of each product has a row each second.
  void Fill(uint32_t points, uint32_t products, size_t rows) {
    points_ = points;
    history_ = History::Open(folder_ / "history",
                             {.flush_every = std::chrono::hours(100), .merge_in_background = false})
                   .value();
    for (uint32_t p = 0; p < points; ++p)
      history_->NamePoint(PointId{p}, PathOf(p), fmt::format("product-{}", p % products));
    for (size_t row = 0; row < rows; ++row) {
      std::vector<PointId> point;
      std::vector<double> value;
      for (uint32_t p = 0; p < points; ++p) {
        point.push_back(PointId{p});
        value.push_back(ValueOf(p, row));
      }
      const std::vector<Time> time(points, TimeOf(row));
      const std::vector<uint32_t> quality(points);
      ASSERT_TRUE(history_->Append({point, time, time, value, quality, row * points}));
    }
    ASSERT_TRUE(history_->Flush());
  }
  static std::string PathOf(uint32_t point) { return fmt::format("thing-{:04}/flow", point); }
  static Time TimeOf(size_t row) {
    return kGroupStart + std::chrono::seconds(static_cast<int64_t>(row));
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

  TemporaryFolder folder_;
  std::unique_ptr<History> history_;
  uint32_t points_ = 0;
};

TEST_F(HistoryGroupTest, AnswersTheSameAgain) {
  Fill(300, 1, 50);
  for (int round = 0; round < 3; ++round)
    for (uint32_t p = 0; p < points_; p += 7) ExpectRows(p, p % 10, 50 - p % 10);
  EXPECT_EQ(history_->Read("thing-9999/flow", TimeOf(0), TimeOf(50), 10)->size(), 0u);
}

TEST_F(HistoryGroupTest, FewOfManyFilesAreOpen) {
  const size_t before = OpenFiles();
  Fill(300, 300, 3);
  for (int round = 0; round < 2; ++round) {
    for (uint32_t p = 0; p < points_; ++p) ExpectRows(p, 0, 3);
    EXPECT_LE(OpenFiles(), before + 260);
  }
  EXPECT_GE(OpenFiles(), before + 200);
}

}  // namespace
}  // namespace penstock::storage
