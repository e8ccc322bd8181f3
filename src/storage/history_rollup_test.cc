// Whatever is flushed, merged, rolled up or late: an aggregate is that of the rows.
#include <gtest/gtest.h>

#include <set>

#include <cmath>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/random.h"
#include "storage/duck.h"
#include "storage/history.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint32_t kGoodRow = 0, kBadRow = 0x80000000;
const Time kRollupStart = ParseTime("2026-01-30T21:17:03.25Z").value();

class HistoryRollupTest : public ::testing::Test {
 protected:
  struct Row {
    uint32_t point;
    Time time;
    double value;
    uint32_t quality = kGoodRow;
  };
  HistoryRollupTest() { Open(); }
  void Open() {
    history_.reset();
    auto opened =
        History::Open(folder_ / "history",
                      {.flush_every = hours(100), .merge_files = 3, .merge_in_background = false});
    ASSERT_TRUE(opened) << opened.error().ToString();
    history_ = std::move(*opened);
    for (uint32_t p = 0; p < 12; ++p)
      history_->NamePoint(PointId{p}, PathOf(p), p < 6 ? "pump" : "mixer");
  }
  static std::string PathOf(uint32_t point) { return fmt::format("thing-{}/flow", point); }
  void Append(const std::vector<Row>& rows) {
    std::vector<PointId> point;
    std::vector<Time> time;
    std::vector<double> value;
    std::vector<uint32_t> quality;
    for (const Row& row : rows) {
      point.push_back(PointId{row.point});
      time.push_back(row.time);
      value.push_back(row.value);
      quality.push_back(row.quality);
    }
    ASSERT_TRUE(history_->Append({point, time, time, value, quality, next_}));
    next_ += rows.size();
    all_.insert(all_.end(), rows.begin(), rows.end());
  }
  void Flush() {
    const Status status = history_->Flush();
    ASSERT_TRUE(status) << status.error().ToString();
  }
  // The answer by looking at every row.
  std::map<Time, TrendBucket> Expected(uint32_t point, Time from, Time to, Duration every) const {
    std::map<Time, std::vector<Row>> rows;
    for (const Row& row : all_) {
      if (row.point != point || row.time < from || row.time >= to) continue;
      const Time at = every == Duration(0)
                          ? from
                          : FromMicros(ToMicros(row.time) / every.count() * every.count());
      rows[at].push_back(row);
    }
    std::map<Time, TrendBucket> buckets;
    for (auto& [at, some] : rows) {
      std::stable_sort(some.begin(), some.end(),
                       [](const Row& a, const Row& b) { return a.time < b.time; });
      TrendBucket& b = buckets[at];
      b.count = some.size();
      double sum = 0;
      for (const Row& row : some) {
        if (row.quality == kBadRow) {
          ++b.bad;
        } else if (std::isfinite(row.value)) {
          b.min = b.good == 0 ? row.value : std::min(b.min, row.value);
          b.max = b.good == 0 ? row.value : std::max(b.max, row.value);
          if (b.good++ == 0) b.first = row.value;
          b.last = row.value;
          sum += row.value;
        }
      }
      b.mean = sum / static_cast<double>(b.good);
    }
    return buckets;
  }
  void ExpectAggregate(std::vector<uint32_t> points, Time from, Time to, Duration every) {
    std::vector<std::string> paths;
    for (const uint32_t point : points) paths.push_back(PathOf(point));
    const auto series = history_->Aggregate(paths, from, to, every);
    ASSERT_TRUE(series) << series.error().ToString();
    for (size_t i = 0; i < points.size(); ++i) {
      const auto expected = Expected(points[i], from, to, every);
      const auto& buckets = (*series)[i].buckets;
      EXPECT_EQ((*series)[i].path, paths[i]);
      ASSERT_EQ(buckets.size(), expected.size())
          << paths[i] << " " << FormatTime(from) << " every " << FormatDuration(every);
      size_t at = 0;
      for (const auto& [begin, want] : expected) {
        const TrendBucket& got = buckets[at++];
        EXPECT_EQ(got.from, begin);
        ASSERT_EQ(got.count, want.count) << paths[i] << " " << FormatTime(begin);
        EXPECT_EQ(got.bad, want.bad);
        EXPECT_EQ(got.good, want.good);
        if (want.good == 0) continue;
        EXPECT_EQ(got.min, want.min);
        EXPECT_EQ(got.max, want.max);
        EXPECT_EQ(got.first, want.first);
        EXPECT_EQ(got.last, want.last);
        EXPECT_NEAR(got.mean, want.mean, 1e-9 * (1 + std::fabs(want.mean)));
      }
    }
  }
  void ExpectAll() {
    const Time hour = FromMicros(ToMicros(kRollupStart) / 3'600'000'000 * 3'600'000'000);
    const std::vector<uint32_t> few = {0, 3, 7}, many = {11, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1};
    for (const auto& points : {few, many}) {
      ExpectAggregate(points, kRollupStart, kRollupStart + hours(30), Duration(0));
      ExpectAggregate(points, hour, hour + hours(24), hours(1));
      ExpectAggregate(points, kRollupStart + seconds(7), kRollupStart + hours(20), hours(3));
      ExpectAggregate(points, kRollupStart, kRollupStart + hours(6), minutes(5));
      ExpectAggregate(points, kRollupStart + seconds(100), kRollupStart + seconds(900), seconds(7));
    }
  }
  size_t FilesBelow(const std::string& folder) {
    size_t count = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder_ / ("history/" + folder), error), end;
         !error && it != end; ++it)
      count += it->path().extension() == ".parquet" ? 1 : 0;
    return count;
  }

  TemporaryFolder folder_;
  std::unique_ptr<History> history_;
  uint64_t next_ = 0;
  std::vector<Row> all_;
};

TEST_F(HistoryRollupTest, AnAggregateIsThatOfTheRowsInWhateverOrderTheyCame) {
  Random random(21);
  for (int part = 0; part < 14; ++part) {
    std::vector<Row> rows;
    for (uint32_t point = 0; point < 12; ++point) {
      // Point 3 has many rows in a second, the others one every half minute.
      const int count = point == 3 ? 6000 : 120;
      for (int i = 0; i < count; ++i) {
        const Duration step = point == 3 ? Duration(2000) : Duration(30'000'000);
        // Some come days too late, some from the future.
        // No two at the same time: which of them were the first is not said.
        const Duration late = random.Chance(point == 3 ? 0.0005 : 0.05)
                                  ? Duration(hours(random.Below(60))) + Duration(random.Below(1999))
                                  : Duration(0);
        rows.push_back({point, kRollupStart + minutes(60) * part + step * i - late,
                        std::round(random.Normal(50, 20) * 100) / 100,
                        random.Chance(0.03) ? kBadRow : kGoodRow});
      }
    }
    rows.back().value = NAN;
    Append(rows);
    if (part == 4) ExpectAll();
    Flush();
    if (part % 5 == 2) ExpectAll();
  }
  ExpectAll();
  EXPECT_GT(FilesBelow("rollup-1h"), 0u);
  EXPECT_GT(FilesBelow("rollup-1m"), 0u);
  EXPECT_GT(FilesBelow("rollup-1s"), 0u);
  Open();
  ExpectAll();
  // Rollups that somebody removed are made again.
  history_.reset();
  for (const char* each : {"rollup-1h", "rollup-1m", "rollup-1s"})
    fs::remove_all(folder_ / ("history/" + std::string(each)));
  Open();
  ExpectAll();
  Append({{0, kRollupStart + hours(40), 1.0}});
  Flush();
  EXPECT_GT(FilesBelow("rollup-1h"), 0u);
  ExpectAll();
}

TEST_F(HistoryRollupTest, MinutesAndHoursOutliveTheSamples) {
  for (int hour = 0; hour < 60; ++hour) {
    std::vector<Row> rows;
    for (int i = 0; i < 360; ++i)
      for (const uint32_t point : {1U, 7U})
        rows.push_back({point, kRollupStart + hours(hour) + seconds(10) * i, hour + i / 1000.0});
    Append(rows);
    Flush();
  }
  const Time begin = FromMicros(ToMicros(kRollupStart) / 86'400'000'000 * 86'400'000'000),
             end = begin + days(4);
  const std::string paths[] = {PathOf(1), PathOf(7)};
  const auto minutes_before = history_->Aggregate(paths, begin, end, minutes(5)).value();
  const auto gone =
      history_->RetainBy({.raw = begin + days(2), .raw_of_product = {{"mixer", begin + days(1)}}})
          .value();
  std::map<std::string, uint64_t> rows;
  for (const HistoryDeletion& deletion : gone) {
    EXPECT_EQ(deletion.level, "raw");
    rows[deletion.product] += deletion.rows;
  }
  EXPECT_GT(rows["pump"], rows["mixer"]);
  EXPECT_GT(rows["mixer"], 0u);
  EXPECT_TRUE(history_->Read(PathOf(1), begin, begin + days(2), 10).value().empty());
  EXPECT_EQ(history_->Read(PathOf(7), begin, begin + days(2), 10).value().size(), 10u);
  for (int round = 0; round < 2; ++round) {
    const auto after = history_->Aggregate(paths, begin, end, minutes(5)).value();
    for (size_t p = 0; p < 2; ++p) {
      ASSERT_EQ(after[p].buckets.size(), minutes_before[p].buckets.size());
      for (size_t i = 0; i < after[p].buckets.size(); ++i) {
        EXPECT_EQ(after[p].buckets[i].count, minutes_before[p].buckets[i].count);
        EXPECT_EQ(after[p].buckets[i].max, minutes_before[p].buckets[i].max);
        EXPECT_EQ(after[p].buckets[i].last, minutes_before[p].buckets[i].last);
      }
    }
    Open();
  }
  // Then the minutes go too, and the hours stay.
  const auto more =
      history_->RetainBy({.raw = begin + days(2), .minutes = begin + days(2)}).value();
  EXPECT_TRUE(std::any_of(more.begin(), more.end(),
                          [](const HistoryDeletion& deletion) { return deletion.level == "1m"; }));
  const auto hourly = history_->Aggregate(paths, begin, end, hours(1)).value();
  uint64_t count = 0;
  for (const TrendBucket& bucket : hourly[0].buckets) count += bucket.count;
  EXPECT_EQ(count, 60u * 360);
}

TEST_F(HistoryRollupTest, ARowOfTwoFilesIsOneRow) {
  for (int part = 0; part < 2; ++part) {
    std::vector<Row> rows;
    for (int i = 0; i < 100; ++i)
      rows.push_back({1, kRollupStart + seconds(part * 100 + i), part * 100.0 + i});
    Append(rows);
    Flush();
  }
  history_.reset();
  // A copy of the first file as another one, under a name that reaches into the second.
  std::string first;
  for (const auto& entry : fs::directory_iterator(folder_ / "history/pump/2026-01-30"))
    if (entry.path().string().find("-000000000099") != std::string::npos)
      first = entry.path().string();
  fs::copy(first, folder_ / "history/pump/2026-01-30/000000000050-000000000150.parquet");
  fs::remove(folder_ / "history/manifest");
  Open();
  next_ = 200;
  Append({{2, kRollupStart, 1.0}});
  Flush();
  const auto rows = history_->Read(PathOf(1), kRollupStart, kRollupStart + hours(1), 1000).value();
  ASSERT_EQ(rows.size(), 200u);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].value, static_cast<double>(i));
  ExpectAggregate({1}, kRollupStart, kRollupStart + hours(1), Duration(0));
}

// As DuckDB, pandas or an earlier version writes them.
TEST_F(HistoryRollupTest, FilesOfOthersAreReadAndMergedAsOurs) {
  history_.reset();
  const auto duck = Duck::Open({}).value();
  fs::create_directories(folder_ / "history/pump/2026-01-30");
  for (int file = 0; file < 3; ++file) {
    for (int i = 0; i < 50; ++i)
      all_.push_back({1, kRollupStart + seconds(file * 50 + i), file * 50.0 + i});
    ASSERT_TRUE(duck->Run(fmt::format(
        "COPY (SELECT '{}' AS point, {} + to_seconds({} + i) AS time, {} AS ingest_time, "
        "({} + i)::DOUBLE AS value, 0::UINTEGER AS quality, {} + i AS sequence FROM range(50) "
        "t(i)) "
        "TO '{}' (FORMAT parquet)",
        PathOf(1), SqlTime(kRollupStart), file * 50, SqlTime(kRollupStart), file * 50, file * 50,
        folder_ / fmt::format("history/pump/2026-01-30/{:012}-{:012}.parquet", file * 50,
                              file * 50 + 49))));
  }
  fs::remove(folder_ / "history/manifest");
  Open();
  EXPECT_EQ(history_->flushed_sequence_end(), 150u);
  const std::string path[] = {PathOf(1)};
  EXPECT_EQ(history_->Last(path).value().at(0).value, 149.0);
  ExpectAggregate({1}, kRollupStart, kRollupStart + hours(2), Duration(0));
  ExpectAggregate({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, kRollupStart, kRollupStart + hours(2),
                  seconds(10));
  next_ = 150;
  Append({{1, kRollupStart + seconds(150), 150.0}});
  Flush();
  EXPECT_LE(FilesBelow("pump"), 2u) << "the three became one";
  ExpectAggregate({1}, kRollupStart, kRollupStart + hours(2), seconds(10));
}

TEST_F(HistoryRollupTest, TextsStandBesideTheirNumbers) {
  history_->SetTexts([](double code) -> std::optional<std::string_view> {
    if (code == 3) return std::nullopt;
    return code == 1 ? "running" : "stopped";
  });
  history_->NameText(PointId{2});
  Append({{1, kRollupStart, 1.0},
          {2, kRollupStart, 1.0},
          {2, kRollupStart + seconds(1), 1.0},
          {2, kRollupStart + seconds(2), 2.0},
          {2, kRollupStart + seconds(3), 1.0},
          {2, kRollupStart + seconds(4), 3.0}});
  Flush();
  const auto duck = Duck::Open({}).value();
  std::vector<std::string> texts;
  ASSERT_TRUE(duck->Query(
      fmt::format("SELECT coalesce(text, 'none') FROM read_parquet('{}') ORDER BY point, time",
                  folder_ / "history/pump/*/*.parquet"),
      [&](const Duck::Chunk& chunk) {
        for (size_t i = 0; i < chunk.size(); ++i) texts.emplace_back(chunk.Text(0, i));
        return true;
      }));
  EXPECT_EQ(texts,
            (std::vector<std::string>{"none", "running", "running", "stopped", "running", "none"}));
  std::set<std::string> visited;
  ASSERT_TRUE(history_->VisitTexts([&](std::string_view text) { visited.emplace(text); }));
  EXPECT_EQ(visited, (std::set<std::string>{"running", "stopped"}));
  EXPECT_EQ(history_->Read(PathOf(2), kRollupStart, kRollupStart + hours(1), 9).value().at(2).value,
            2.0);
}

TEST_F(HistoryRollupTest, ACopyIsAHistoryOfItsOwn) {
  for (int part = 0; part < 7; ++part) {
    Append(
        {{1, kRollupStart + hours(part), part * 1.0}, {7, kRollupStart + hours(part), part * 2.0}});
    Flush();
  }
  ASSERT_TRUE(history_->CopyTo(folder_ / "copy"));
  const auto copy = History::OpenReadOnly(folder_ / "copy").value();
  EXPECT_EQ(copy->Read(PathOf(7), kRollupStart, kRollupStart + hours(99), 99).value().size(), 7u);
  EXPECT_EQ(copy->flushed_sequence_end(), 14u);
}

}  // namespace
}  // namespace penstock::storage
