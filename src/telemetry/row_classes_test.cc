#include "telemetry/row_classes.h"

#include <gtest/gtest.h>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using storage::LogPriority;

// Knows which products have which files, and 10 rows of each path asked for.
class FilesOnly final : public storage::History {
 public:
  void NamePoint(PointId, const std::string&, const std::string&) override {}
  Status Append(const storage::HistoryColumns&) override { return {}; }
  Status Flush() override { return {}; }
  uint64_t flushed_sequence_end() const override { return 0; }
  Result<std::vector<storage::HistoryRow>> Read(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time,
                                           Time to) override {
    std::vector<Coverage> coverage;
    for (const std::string& path : paths) coverage.push_back({.path = path, .count = 10});
    asked_to = to;
    return coverage;
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Size size() const override { return {}; }
  std::vector<storage::HistoryFileView> Files(std::string_view product) override {
    std::vector<storage::HistoryFileView> found;
    for (const auto& file : files)
      if (file.product == product) found.push_back(file);
    return found;
  }

  std::vector<storage::HistoryFileView> files;
  Time asked_to{};
};

TEST(RowClassesTest, OnlyWholeDaysOfProductsThatAreThatOldGo) {
  TestSite site;
  site.Add("pump-7", "flow");
  site.Add("meter-1", "power").product = "meter";
  const auto snapshot = site.Snapshot();
  FilesOnly history;
  const Time day = std::chrono::floor<std::chrono::days>(At(0));
  history.files = {{.product = "pump", .level = "raw", .first = day},
                   {.product = "meter", .level = "1m", .first = day - std::chrono::days(9)}};
  storage::HistoryRetention rules{.raw = At(0)};
  EXPECT_TRUE(RowsThatGo(history, *snapshot, rules).empty());  // That day is not over.
  rules.raw_of_product["pump"] = At(0) + std::chrono::days(1);
  const auto gone = RowsThatGo(history, *snapshot, rules);
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0], std::pair(PointId{0}, uint64_t{10}));
  EXPECT_EQ(history.asked_to, day + std::chrono::days(1));
}

TEST(RowClassesTest, ThePriorityIsThatOfTheDescription) {
  TestSite site;
  site.Add("pump-7", "flow");
  site.Add("pump-7", "wave", things::ValueType::kWaveform, 100);
  site.Add("pump-7", "wave_kept", things::ValueType::kWaveform, 100);
  site.Add("pump-7", "tripped");
  site.Add("pump-7", "comfort");
  things::Snapshot snapshot = *site.Snapshot();
  snapshot.things[0].document = {{"properties",
                                  {{"wave_kept", {{"ps:priority", "normal"}}},
                                   {"tripped", {{"ps:priority", "high"}}},
                                   {"comfort", {{"ps:priority", "low"}}}}}};
  EXPECT_EQ(PrioritiesOf(snapshot),
            (std::vector<LogPriority>{LogPriority::kNormal, LogPriority::kLow, LogPriority::kNormal,
                                      LogPriority::kHigh, LogPriority::kLow}));
}

TEST(RowClassesTest, APointsRowsStayInTheirOrder) {
  const std::vector<LogPriority> priorities = {LogPriority::kLow, LogPriority::kHigh};
  Batch batch;
  for (int i = 0; i < 6; ++i) batch.Add(PointId{static_cast<uint32_t>(i % 3)}, At(i), At(i), i);
  const auto classes = ByPriority(batch, priorities);
  ASSERT_EQ(classes.size(), 3U);
  EXPECT_EQ(classes[0].priority, LogPriority::kHigh);
  EXPECT_EQ(classes[0].batch.value, (std::vector<double>{1, 4}));
  EXPECT_EQ(classes[1].batch.value, (std::vector<double>{2, 5}));
  EXPECT_EQ(classes[2].batch.value, (std::vector<double>{0, 3}));
  EXPECT_EQ(ByPriority(batch, {}).size(), 1U);
  EXPECT_TRUE(ByPriority({}, priorities).empty());
}

}  // namespace
}  // namespace penstock::telemetry
