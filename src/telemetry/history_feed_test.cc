#include "telemetry/history_feed.h"

#include <gtest/gtest.h>

#include <map>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

class RowsInMemory final : public storage::History {
 public:
  void NamePoint(PointId, const std::string&, const std::string&) override {}
  Status Append(const storage::HistoryColumns&) override { return {}; }
  Status Flush() override { return {}; }
  uint64_t flushed_sequence_end() const override { return 0; }
  Result<std::vector<storage::HistoryRow>> Read(const std::string& path, Time from, Time to,
                                                size_t limit) override {
    std::vector<storage::HistoryRow> found;
    for (const auto& row : rows[path]) {
      if (row.time >= from && row.time < to && found.size() < limit) found.push_back(row);
    }
    return found;
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string>, Time, Time) override {
    return {};
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Size size() const override { return {}; }

  std::map<std::string, std::vector<storage::HistoryRow>> rows;
};

TEST(HistoryFeedTest, GivesABurstWholeEvenAcrossTheEndOfASlice) {
  TestSite site;
  const PointId flow = site.Add("pump-7", "flow").id;
  const PointId vibration = site.Add("pump-7", "vibration", things::ValueType::kWaveform, 100).id;
  RowsInMemory history;
  for (int t = 0; t < 120; t += 10)
    history.rows["pump-7/flow"].push_back({At(t), static_cast<double>(t), kGood});
  // One burst from 59.5 to 60.5, the slices meet at 60.
  for (int i = 0; i < 100; ++i)
    history.rows["pump-7/vibration"].push_back({At(59.5 + i / 100.0), 1.0 * i, kGood});
  std::vector<Batch> batches;
  const PointId points[] = {flow, vibration};
  auto fed = FeedFromHistory(history, *site.Snapshot(), points, At(0), At(120),
                             [&](const Batch& batch) { batches.push_back(batch); },
                             {.slice = std::chrono::seconds(60)});
  ASSERT_TRUE(fed) << fed.error().ToString();
  EXPECT_EQ(*fed, 112U);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(std::ranges::count(batches[0].point, vibration), 0);
  EXPECT_EQ(std::ranges::count(batches[1].point, vibration), 100);
  EXPECT_EQ(std::ranges::count(batches[0].point, flow), 6);
}

TEST(HistoryFeedTest, TooManyRowsAreAnErrorNotAGap) {
  TestSite site;
  const PointId flow = site.Add("pump-7", "flow").id;
  RowsInMemory history;
  for (int t = 0; t < 100; ++t) history.rows["pump-7/flow"].push_back({At(t), 0, kGood});
  const PointId points[] = {flow};
  auto fed = FeedFromHistory(history, *site.Snapshot(), points, At(0), At(100), [](const Batch&) {},
                             {.rows_per_read = 50});
  EXPECT_EQ(fed.error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace penstock::telemetry
