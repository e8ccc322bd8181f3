#include "value/history_evidence.h"

#include <gtest/gtest.h>

#include "telemetry/testing_site.h"

namespace penstock::value {
namespace {

using telemetry::At;

// One report every two minutes for four hours, an hour of it missing.
class GappyHistory final : public storage::History {
 public:
  void NamePoint(PointId, const std::string&, const std::string&) override {}
  Status Append(const storage::HistoryColumns&) override { return {}; }
  Status Flush() override { return {}; }
  uint64_t flushed_sequence_end() const override { return 0; }
  Result<std::vector<storage::HistoryRow>> Read(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string&, Time from, Time to,
                                                  size_t buckets) override {
    EXPECT_EQ((to - from) / static_cast<int64_t>(buckets), std::chrono::minutes(1));
    std::vector<storage::TrendBucket> present;
    for (int minute = 0; minute < 240; minute += 2) {
      if (minute < 60 || minute >= 120) present.push_back({.from = At(minute * 60)});
    }
    return present;
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time,
                                           Time) override {
    if (paths[0] != "pump-7/flow") return std::vector<Coverage>();
    return std::vector<Coverage>{{.path = paths[0],
                                  .count = 90,
                                  .bad = 2,
                                  .first = At(0),
                                  .last = At(238 * 60),
                                  .minutes_present = 88}};
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Size size() const override { return {}; }
};

TEST(HistoryEvidenceTest, AGapDoesNotStretchTheUsualInterval) {
  GappyHistory history;
  const auto ids = things::PointIdsInMemory();
  const things::Directory directory("/nowhere", *ids);
  const HistoryEvidence evidence(
      history, directory, [](const auto&) { return Result<uint64_t>(7); },
      [](const auto&) { return Result<std::optional<ModelFacts>>(std::nullopt); });
  const auto coverage = evidence.Coverage("pump-7/flow", At(0), At(14'400));
  ASSERT_TRUE(coverage) << coverage.error().ToString();
  EXPECT_EQ(coverage->samples, 90U);
  EXPECT_EQ(coverage->report_interval, std::chrono::minutes(2));
  EXPECT_FALSE(coverage->known);  // In no Thing Description.
  EXPECT_EQ(evidence.Coverage("pump-7/nothing", At(0), At(1))->samples, 0U);
  EXPECT_EQ(*evidence.Labels({}), 7U);
}

}  // namespace
}  // namespace penstock::value
