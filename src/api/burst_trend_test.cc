#include "api/burst_trend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace penstock::api {
namespace {

using storage::HistoryRow;
using storage::TrendBucket;

// Rows of one waveform; only Read is asked.
class Rows final : public storage::History {
 public:
  std::vector<HistoryRow> rows;
  size_t reads = 0;

  Result<std::vector<HistoryRow>> Read(const std::string&, Time from, Time to,
                                       size_t limit) override {
    ++reads;
    std::vector<HistoryRow> found;
    for (const HistoryRow& row : rows)
      if (row.time >= from && row.time < to) found.push_back(row);
    if (found.size() > limit)
      found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(limit));
    return found;
  }
  void NamePoint(PointId, const std::string&, const std::string&) override {}
  Status Append(const storage::HistoryColumns&) override { return {}; }
  Status Flush() override { return {}; }
  uint64_t flushed_sequence_end() const override { return 0; }
  Result<std::vector<TrendBucket>> Trend(const std::string&, Time, Time, size_t) override {
    return std::vector<TrendBucket>();
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string>, Time, Time) override {
    return std::vector<Coverage>();
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Size size() const override { return {}; }
};

Time At(int64_t seconds, int64_t micros = 0) { return FromMicros(seconds * 1'000'000 + micros); }

// Ten samples at 1 kHz, +a and -a in turn: their RMS is a.
void AddBurst(Rows& history, int64_t second, double amplitude, uint32_t quality = 0) {
  for (int i = 0; i < 10; ++i)
    history.rows.push_back({At(second, i * 1000), i % 2 == 0 ? amplitude : -amplitude, quality});
}

TEST(BurstTrendTest, AValueIsTheRmsOfABurst) {
  Rows history;
  AddBurst(history, 10, 1.5);
  AddBurst(history, 20, 3);
  AddBurst(history, 70, 2);
  const auto trend = BurstTrend(history, "pump-7/vibration", 1000, At(0), At(120), 2).value();
  ASSERT_EQ(trend.size(), 2u);
  EXPECT_DOUBLE_EQ(trend[0].first, 1.5);
  EXPECT_DOUBLE_EQ(trend[0].max, 3);
  EXPECT_EQ(trend[0].count, 2u);
  EXPECT_DOUBLE_EQ(trend[1].last, 2);
}

TEST(BurstTrendTest, ABurstAcrossTwoSlicesCountsOnce) {
  Rows history;
  for (int i = 0; i < 20; ++i) AddBurst(history, i * 5, 1 + i);
  for (const size_t slice : {10u, 11u, 15u, 25u, 30u, 1000u}) {
    history.reads = 0;
    const auto trend = BurstTrend(history, "p/v", 1000, At(0), At(100), 20, slice).value();
    ASSERT_EQ(trend.size(), 20u) << slice;
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(trend[i].count, 1u) << slice;
      EXPECT_NEAR(trend[i].last, 1.0 + static_cast<double>(i), 1e-12) << slice;
    }
    EXPECT_LE(history.reads, 22u) << slice;
  }
}

TEST(BurstTrendTest, ABurstLongerThanASliceIsTakenInParts) {
  Rows history;
  AddBurst(history, 10, 2);
  const auto trend = BurstTrend(history, "p/v", 1000, At(0), At(100), 1, 4).value();
  ASSERT_EQ(trend.size(), 1u);
  EXPECT_EQ(trend[0].count, 3u);
  EXPECT_DOUBLE_EQ(trend[0].max, 2);
}

TEST(BurstTrendTest, ABadSampleMakesTheBurstBad) {
  Rows history;
  AddBurst(history, 10, 2);
  history.rows[3].value = std::numeric_limits<double>::quiet_NaN();
  AddBurst(history, 20, 2, 0x80000000);
  const auto trend = BurstTrend(history, "p/v", 1000, At(0), At(100), 1).value();
  ASSERT_EQ(trend.size(), 1u);
  EXPECT_EQ(trend[0].count, 2u);
  EXPECT_EQ(trend[0].bad, 2u);
  EXPECT_TRUE(std::isnan(trend[0].max));
}

TEST(BurstTrendTest, NothingInTheRangeIsNoBucket) {
  Rows history;
  EXPECT_TRUE(BurstTrend(history, "p/v", 1000, At(0), At(100), 10).value().empty());
  EXPECT_FALSE(BurstTrend(history, "p/v", 0, At(0), At(100), 10));
}

}  // namespace
}  // namespace penstock::api
