#include "storage/history.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "storage/duck.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint32_t kGood = 0, kUncertain = 0x40000000, kBad = 0x80000000;
const Time kStart = ParseTime("2026-01-31T08:00:00Z").value();

class HistoryTest : public ::testing::Test {
 protected:
  struct Row {
    uint32_t point;
    Time time;
    double value;
    uint32_t quality = kGood;
  };

  HistoryTest() { Open(); }
  static HistoryOptions Options() {
    return {.flush_every = hours(100), .merge_in_background = false};
  }
  void Open(const HistoryOptions& options = Options()) {
    history_.reset();
    auto opened = History::Open(folder_ / "history", options);
    ASSERT_TRUE(opened) << opened.error().ToString();
    history_ = std::move(*opened);
    history_->NamePoint(PointId{0}, "pump-7/flow", "pump");
    history_->NamePoint(PointId{1}, "pump-7/motor_current", "pump");
    history_->NamePoint(PointId{2}, "gearbox-2/torque", "gearbox");
  }
  void Append(const std::vector<Row>& rows, uint64_t first_sequence) {
    std::vector<PointId> point;
    std::vector<Time> source, ingest;
    std::vector<double> value;
    std::vector<uint32_t> quality;
    for (const Row& row : rows) {
      point.push_back(PointId{row.point});
      source.push_back(row.time);
      ingest.push_back(std::min(row.time, Time::max() - seconds(1)) +
                       std::chrono::milliseconds(20));
      value.push_back(row.value);
      quality.push_back(row.quality);
    }
    const Status status = history_->Append({point, source, ingest, value, quality, first_sequence});
    ASSERT_TRUE(status) << status.error().ToString();
  }
  void Append(const std::vector<Row>& rows) {
    Append(rows, next_sequence_);
    next_sequence_ += rows.size();
  }
  // One sample a second of each point.
  void AppendSeconds(Time from, int count) {
    for (int i = 0; i < count; ++i)
      Append({{0, from + seconds(i), i * 1.0},
              {1, from + seconds(i), i * 2.0},
              {2, from + seconds(i), i * 3.0}});
  }
  void Flush() {
    const Status status = history_->Flush();
    ASSERT_TRUE(status) << status.error().ToString();
  }
  std::vector<HistoryRow> Read(const std::string& path, Time from = kStart - hours(1000),
                               Time to = kStart + hours(1000), size_t limit = 1'000'000) {
    auto rows = history_->Read(path, from, to, limit);
    EXPECT_TRUE(rows) << rows.error().ToString();
    return std::move(rows).value_or(std::vector<HistoryRow>());
  }
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "history")) {
      const std::string name = entry.path().lexically_relative(folder_ / "history").string();
      if (name.ends_with(".parquet") && !name.starts_with("points-") &&
          !name.starts_with("rollup-"))
        files.push_back(name);
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TemporaryFolder folder_;
  std::unique_ptr<History> history_;
  uint64_t next_sequence_ = 0;
};

TEST_F(HistoryTest, RowsAreThereAtOnceAndStayWhenTheyMoveToFiles) {
  AppendSeconds(kStart, 60);
  EXPECT_EQ(Read("pump-7/flow").size(), 60u);
  EXPECT_EQ(history_->flushed_sequence_end(), 0u);
  Flush();
  EXPECT_EQ(history_->flushed_sequence_end(), 180u);
  EXPECT_EQ(history_->size().tail_rows, 0u);
  EXPECT_EQ(history_->size().file_rows, 180u);
  AppendSeconds(kStart + seconds(60), 10);
  const auto rows = Read("pump-7/motor_current");
  ASSERT_EQ(rows.size(), 70u);
  EXPECT_EQ(rows[0].time, kStart);
  EXPECT_EQ(rows[59].value, 118.0);
  EXPECT_EQ(rows[69].value, 18.0);

  Open();
  EXPECT_EQ(history_->flushed_sequence_end(), 180u);
  EXPECT_EQ(Read("pump-7/motor_current").size(), 60u)
      << "what was not flushed comes back from the log";
}

TEST_F(HistoryTest, FilesAreByProductAndDayAndReadableByAnyone) {
  AppendSeconds(ParseTime("2026-01-31T23:59:30Z").value(), 60);
  Flush();
  EXPECT_EQ(Files(),
            (std::vector<std::string>{"gearbox/2026-01-31/000000000002-000000000089.parquet",
                                      "gearbox/2026-02-01/000000000092-000000000179.parquet",
                                      "pump/2026-01-31/000000000000-000000000088.parquet",
                                      "pump/2026-02-01/000000000090-000000000178.parquet"}));
  const auto duck = Duck::Open({}).value();
  std::vector<std::string> columns;
  const std::string file =
      SqlText(folder_ / "history/pump/2026-01-31/000000000000-000000000088.parquet");
  ASSERT_TRUE(
      duck->Query("SELECT column_name || ' ' || column_type FROM "
                  "(DESCRIBE SELECT * FROM read_parquet(" +
                      file + "))",
                  [&](const Duck::Chunk& chunk) {
                    for (size_t i = 0; i < chunk.size(); ++i)
                      columns.emplace_back(chunk.Text(0, i));
                    return true;
                  }));
  EXPECT_EQ(columns,
            (std::vector<std::string>{"point VARCHAR", "time TIMESTAMP WITH TIME ZONE",
                                      "ingest_time TIMESTAMP WITH TIME ZONE", "value DOUBLE",
                                      "quality UINTEGER", "sequence BIGINT", "text VARCHAR"}));
}

TEST_F(HistoryTest, AReplayOfTheLogStoresNothingTwice) {
  AppendSeconds(kStart, 10);
  Flush();
  next_sequence_ = 0;
  AppendSeconds(kStart, 10);
  EXPECT_EQ(history_->size().tail_rows, 0u);
  // A record of the log that lies across the boundary: only its new rows count.
  Append({{0, kStart + seconds(9), 9.0}, {0, kStart + seconds(10), 10.0}}, 29);
  EXPECT_EQ(Read("pump-7/flow").size(), 11u);
}

TEST_F(HistoryTest, ACrashBetweenTheFilesOfAFlushNeitherLosesNorDoubles) {
  AppendSeconds(kStart, 10);
  Flush();
  const std::string before = ReadFile(folder_ / "history/manifest").value();
  AppendSeconds(kStart + seconds(10), 10);
  Flush();
  const auto files = Files();
  ASSERT_EQ(files.size(), 4u);
  history_.reset();
  // As after a kill: the manifest is the old one, one file of the second flush
  // is complete, the other torn.
  ASSERT_TRUE(WriteFileAtomically(folder_ / "history/manifest", before));
  fs::rename(folder_ / ("history/" + files[1]), folder_ / ("history/" + files[1] + ".tmp"));
  Open();
  EXPECT_EQ(history_->flushed_sequence_end(), 30u);
  EXPECT_EQ(Files().size(), 2u);
  next_sequence_ = 30;
  AppendSeconds(kStart + seconds(10), 10);
  Flush();
  for (const char* path : {"pump-7/flow", "pump-7/motor_current", "gearbox-2/torque"})
    EXPECT_EQ(Read(path).size(), 20u) << path;
  EXPECT_EQ(Files(), files);
}

TEST_F(HistoryTest, LateAndUnsortedSamplesFindTheirPlace) {
  Random random(7);
  std::vector<Row> rows;
  for (int i = 0; i < 3000; ++i)
    rows.push_back(
        {0, kStart + seconds(static_cast<int64_t>(random.Below(200'000))), static_cast<double>(i)});
  Append(rows);
  const auto in_memory = Read("pump-7/flow");
  Flush();
  const auto in_files = Read("pump-7/flow");
  ASSERT_EQ(in_files.size(), 3000u);
  EXPECT_TRUE(
      std::is_sorted(in_files.begin(), in_files.end(),
                     [](const HistoryRow& a, const HistoryRow& b) { return a.time < b.time; }));
  for (size_t i = 0; i < in_files.size(); ++i) ASSERT_EQ(in_files[i].time, in_memory[i].time);
  EXPECT_EQ(Files().size(), 3u) << "one file per day";
}

TEST_F(HistoryTest, ReadGivesTheLatestRows) {
  for (int part = 0; part < 12; ++part) {
    AppendSeconds(kStart + seconds(part * 20), 20);
    if (part < 11) Flush();
  }
  auto rows = Read("pump-7/flow", kStart, kStart + hours(1), 30);
  ASSERT_EQ(rows.size(), 30u);
  EXPECT_EQ(rows.front().time, kStart + seconds(210));
  EXPECT_EQ(rows.back().time, kStart + seconds(239));
  rows = Read("pump-7/flow", kStart + seconds(5), kStart + seconds(50), 3);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows.back().time, kStart + seconds(49)) << "the end is not included";
  EXPECT_TRUE(Read("pump-7/flow", kStart, kStart + hours(1), 0).empty());
  EXPECT_TRUE(Read("pump-9/flow").empty());
  EXPECT_FALSE(history_->Read("pump-7/flow", kStart, kStart, 10));
}

TEST_F(HistoryTest, ATrendIsThatOfAllSamplesWhereverTheyAre) {
  Random random(3);
  std::vector<Row> all;
  for (int i = 0; i < 5000; ++i) {
    const bool gap = i > 2000 && i < 2600;
    if (gap) continue;
    const Row row{0, kStart + seconds(i), std::round(random.Normal(50, 10) * 100) / 100,
                  random.Chance(0.05) ? kBad : kGood};
    all.push_back(row);
    Append({row});
    if (i % 900 == 0 && i < 4000) Flush();
  }
  const size_t buckets = 37;
  const auto trend =
      history_->Trend("pump-7/flow", kStart, kStart + seconds(5000), buckets).value();
  const int64_t step = (5'000'000'000 + 36) / 37;
  std::map<int64_t, std::vector<Row>> expected;
  for (const Row& row : all) expected[(row.time - kStart).count() / step].push_back(row);
  EXPECT_LT(expected.size(), buckets) << "the gap shows";
  ASSERT_EQ(trend.size(), expected.size());
  size_t at = 0;
  for (const auto& [number, rows] : expected) {
    const TrendBucket& bucket = trend[at++];
    EXPECT_EQ(bucket.from, kStart + Duration(number * step));
    EXPECT_EQ(bucket.count, rows.size());
    std::vector<double> good;
    for (const Row& row : rows)
      if (row.quality == kGood) good.push_back(row.value);
    EXPECT_EQ(bucket.bad, rows.size() - good.size());
    EXPECT_EQ(bucket.first, good.front());
    EXPECT_EQ(bucket.last, good.back());
    EXPECT_EQ(bucket.min, *std::min_element(good.begin(), good.end()));
    EXPECT_EQ(bucket.max, *std::max_element(good.begin(), good.end()));
  }
}

TEST_F(HistoryTest, ABucketOfBadSamplesHasNoValue) {
  Append(
      {{0, kStart, 5.0, kBad}, {0, kStart + seconds(1), 6.0, kBad}, {0, kStart + seconds(2), NAN}});
  const auto trend = history_->Trend("pump-7/flow", kStart, kStart + seconds(10), 1).value();
  ASSERT_EQ(trend.size(), 1u);
  EXPECT_EQ(trend[0].count, 3u);
  EXPECT_EQ(trend[0].bad, 2u);
  EXPECT_TRUE(std::isnan(trend[0].min) && std::isnan(trend[0].mean));
  EXPECT_FALSE(history_->Trend("pump-7/flow", kStart, kStart + seconds(1), 0));
}

TEST_F(HistoryTest, TheLastRowOfEveryPointIsFoundWhereverItIs) {
  AppendSeconds(kStart, 10);
  Flush();
  for (int part = 0; part < 12; ++part) {
    Append({{0, kStart + seconds(20 + part), 100.0 + part}});
    Flush();
  }
  // Of a late row in a newer file, the older file's stays the last.
  Append({{0, kStart + seconds(5), -1.0}, {1, kStart + seconds(9), 99.0, kBad}});
  Flush();
  Append({{0, kStart + seconds(15), -2.0}});
  const auto all = history_->Last({}).value();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].path, "gearbox-2/torque");
  EXPECT_EQ(all[0].value, 27.0);
  EXPECT_EQ(all[0].time, kStart + seconds(9));
  EXPECT_EQ(all[1].path, "pump-7/flow");
  EXPECT_EQ(all[1].value, 111.0);
  EXPECT_EQ(all[2].value, 99.0) << "of equal times the later to arrive";
  EXPECT_EQ(all[2].quality, kBad);
  Open();
  EXPECT_EQ(history_->Last({}).value().size(), 3u);
  const std::string some[] = {"pump-7/flow", "pump-9/none"};
  const auto named = history_->Last(some).value();
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].time, kStart + seconds(31));
  EXPECT_EQ(named[0].ingest_time, named[0].time + std::chrono::milliseconds(20));
}

TEST_F(HistoryTest, CoverageCountsMinutesWithAGoodSample) {
  for (int i = 0; i < 600; ++i) {
    const int minute = i / 60;
    const uint32_t quality = minute == 3 ? kBad : minute == 4 ? kUncertain : kGood;
    if (minute != 5) Append({{0, kStart + seconds(i), 1.0, quality}});
    if (i == 200) Flush();
  }
  const std::string paths[] = {"pump-7/flow", "pump-7/motor_current"};
  const auto coverage = history_->CoverageOf(paths, kStart, kStart + hours(1)).value();
  ASSERT_EQ(coverage.size(), 2u);
  EXPECT_EQ(coverage[0].path, "pump-7/flow");
  EXPECT_EQ(coverage[0].count, 540u);
  EXPECT_EQ(coverage[0].bad, 60u);
  EXPECT_EQ(coverage[0].minutes_present, 7u);
  EXPECT_EQ(coverage[0].first, kStart);
  EXPECT_EQ(coverage[0].last, kStart + seconds(599));
  EXPECT_EQ(coverage[1].count, 0u);
}

TEST_F(HistoryTest, SmallFilesBecomeLargerOnes) {
  HistoryOptions options = Options();
  options.merge_files = 4;
  Open(options);
  for (int part = 0; part < 18; ++part) {
    AppendSeconds(kStart + seconds(part * 20), 20);
    // A late sample that overlaps the files before.
    Append({{0, kStart + seconds(part) + std::chrono::milliseconds(500), -1.0}});
    Flush();
  }
  EXPECT_LE(Files().size(), 2u * (3 + 3)) << "at most three of each level and product";
  EXPECT_EQ(Files().size(), history_->size().files) << "merged inputs are gone";
  const auto rows = Read("pump-7/flow");
  ASSERT_EQ(rows.size(), 18u * 21);
  EXPECT_TRUE(
      std::is_sorted(rows.begin(), rows.end(),
                     [](const HistoryRow& a, const HistoryRow& b) { return a.time < b.time; }));
  EXPECT_EQ(Read("gearbox-2/torque").size(), 360u);
  EXPECT_EQ(history_->size().file_rows, next_sequence_);

  // Sorted within the file too, for whoever reads it without us.
  const auto duck = Duck::Open({}).value();
  for (const std::string& file : Files()) {
    int64_t wrong = -1;
    ASSERT_TRUE(
        duck->Query("SELECT count(*) FROM (SELECT point, time, lag(point) OVER "
                    "() p, lag(time) "
                    "OVER () t FROM read_parquet(" +
                        SqlText(folder_ / ("history/" + file)) +
                        ")) WHERE point < p OR (point = p AND time < t)",
                    [&](const Duck::Chunk& chunk) {
                      wrong = chunk.Column<int64_t>(0)[0];
                      return true;
                    }));
    EXPECT_EQ(wrong, 0) << file;
  }
  Open(options);
  EXPECT_EQ(Read("pump-7/flow").size(), 18u * 21);
}

TEST_F(HistoryTest, ALargePointIsMergedWithoutSorting) {
  HistoryOptions options = Options();
  options.merge_files = 3;
  Open(options);
  for (int part = 0; part < 3; ++part) {
    std::vector<Row> rows;
    for (int i = 0; i < 150'000; ++i)
      rows.push_back(
          {0, kStart + Duration((part * 150'000 + i) * 488), static_cast<double>(i % 1000)});
    rows.push_back({1, kStart + seconds(part), 1.0});
    rows.push_back({2, kStart + seconds(part), 1.0});
    Append(rows);
    Flush();
  }
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_EQ(Read("pump-7/flow").size(), 450'000u);
  EXPECT_EQ(Read("pump-7/motor_current").size(), 3u);
}

TEST_F(HistoryTest, OldDaysGoAndSoDoTheOldestWhenThereIsNoRoom) {
  for (int day = 0; day < 5; ++day) {
    AppendSeconds(kStart + hours(24 * day), 100);
    Flush();
  }
  EXPECT_EQ(history_->Retain(kStart + hours(24), UINT64_MAX).value(), 300u);
  EXPECT_EQ(history_->Retain(kStart + hours(24), UINT64_MAX).value(), 0u);
  EXPECT_EQ(Files().size(), 8u);
  EXPECT_FALSE(fs::exists(folder_ / "history/pump/2026-01-31"));
  const uint64_t bytes = history_->size().file_bytes;
  EXPECT_EQ(history_->Retain(kStart, bytes / 2 + 100).value(), 600u);
  EXPECT_LE(history_->size().file_bytes, bytes / 2 + 100);
  EXPECT_EQ(history_->Retain(kStart, 0).value(), 300u) << "the newest day stays";
  EXPECT_EQ(Read("pump-7/flow").size(), 100u);
}

TEST_F(HistoryTest, ADamagedManifestIsRebuiltFromTheFiles) {
  AppendSeconds(kStart, 100);
  Flush();
  AppendSeconds(kStart + seconds(100), 100);
  Flush();
  history_.reset();
  {
    std::ofstream manifest(folder_ / "history/manifest", std::ios::app);
    manifest << "junk";
  }
  Open();
  EXPECT_EQ(history_->flushed_sequence_end(), 600u);
  EXPECT_EQ(Read("pump-7/flow").size(), 200u);
  EXPECT_TRUE(fs::exists(folder_ / "history/manifest.damaged"));

  // A damaged file costs its own rows and nothing else.
  const auto files = Files();
  history_.reset();
  fs::remove(folder_ / "history/manifest");
  std::ofstream(folder_ / ("history/" + files[0])) << "not parquet";
  Open();
  EXPECT_EQ(Read("gearbox-2/torque").size(), 100u);
  EXPECT_EQ(Read("pump-7/flow").size(), 200u);
}

TEST_F(HistoryTest, AMissingFileCostsItsOwnRowsAndNothingElse) {
  AppendSeconds(kStart, 100);
  Flush();
  const auto files = Files();
  history_.reset();
  fs::remove(folder_ / ("history/" + files[0]));
  Open();
  EXPECT_TRUE(Read("gearbox-2/torque").empty());
  EXPECT_EQ(Read("pump-7/flow").size(), 100u);
  AppendSeconds(kStart, 1);
}

TEST_F(HistoryTest, AnotherProcessReadsAlong) {
  const auto reader = History::OpenReadOnly(folder_ / "history").value();
  const auto count = [&] {
    return reader->Read("pump-7/flow", kStart, kStart + hours(1), 1000).value().size();
  };
  EXPECT_EQ(count(), 0u);
  AppendSeconds(kStart, 10);
  EXPECT_EQ(count(), 0u);
  Flush();
  EXPECT_EQ(count(), 10u);
  EXPECT_EQ(History::Open(folder_ / "history", Options()).error().code, Code::kFailedPrecondition);
}

TEST_F(HistoryTest, APointWithoutANameIsStoredAllTheSame) {
  Append({{77, kStart, 4.5}});
  Flush();
  history_->NamePoint(PointId{78}, "it's a \"path\"/with 'quotes'", "");
  Append({{78, kStart, 5.5}});
  Flush();
  EXPECT_EQ(Read("unnamed/77").size(), 1u);
  EXPECT_EQ(Read("it's a \"path\"/with 'quotes'").size(), 1u);
  Open();
  EXPECT_EQ(Read("unnamed/77").size(), 1u);
}

TEST_F(HistoryTest, TimesFromAnotherWorldDoNoHarm) {
  Append({{0, Time::min(), 1.0}, {0, Time::max(), 2.0}, {0, kStart, 3.0}});
  Flush();
  Open();
  EXPECT_EQ(history_->flushed_sequence_end(), 3u);
  EXPECT_EQ(Read("pump-7/flow").size(), 1u);
  EXPECT_EQ(Read("pump-7/flow", Time::min(), Time::max()).size(), 2u) << "the end is not included";
}

TEST_F(HistoryTest, FlushesByItselfWhenTheTailIsLong) {
  HistoryOptions options = Options();
  options.tail_rows_max = 100;
  Open(options);
  AppendSeconds(kStart, 60);
  EXPECT_GE(history_->flushed_sequence_end(), 150u);
  EXPECT_EQ(Read("pump-7/flow").size(), 60u);
}

TEST_F(HistoryTest, FlushesByItselfOnlyWhenItMay) {
  HistoryOptions options = Options();
  options.tail_rows_max = 100;
  Open(options);
  bool may = false;
  history_->FlushOnlyIf([&] { return may; });
  AppendSeconds(kStart, 60);
  EXPECT_EQ(history_->flushed_sequence_end(), 0u);
  may = true;
  AppendSeconds(kStart + std::chrono::minutes(1), 1);
  EXPECT_GE(history_->flushed_sequence_end(), 150u);
}

TEST_F(HistoryTest, QueriesCountEveryRowOnceWhileFilesAreWrittenAndMerged) {
  HistoryOptions options = Options();
  options.merge_files = 3;
  options.merge_in_background = true;
  Open(options);
  std::atomic<uint64_t> appended{0};
  std::vector<std::jthread> readers;
  for (int t = 0; t < 2; ++t)
    readers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const uint64_t at_least = appended;
        const auto trend = history_->Trend("pump-7/flow", kStart, kStart + hours(1), 60);
        ASSERT_TRUE(trend) << trend.error().ToString();
        uint64_t count = 0;
        for (const TrendBucket& bucket : *trend) count += bucket.count;
        EXPECT_GE(count, at_least);
        EXPECT_LE(count, appended + 20);
      }
    });
  for (int part = 0; part < 15; ++part) {
    for (int i = 0; i < 20; ++i) {
      Append({{0, kStart + seconds(part * 20 + i), 1.0}});
      ++appended;
    }
    Flush();
  }
}

}  // namespace
}  // namespace penstock::storage
