// What leaves the history says of which points it was; what leaves for the archive comes back when
// it is asked for.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "storage/blobs_archive.h"
#include "storage/history.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

using std::chrono::days;

class HistoryArchiveTest : public testing::Test {
 protected:
  void Open(uint64_t cache_bytes = 1 << 30) {
    history_.reset();
    archive_ =
        std::make_unique<BlobArchive>(*blobs_, Folder(), "acme/cologne", clock_, cache_bytes);
    HistoryOptions options;
    options.merge_in_background = false;
    options.archive = archive_.get();
    auto history = History::Open(Folder(), options);
    ASSERT_TRUE(history) << history.error().ToString();
    history_ = std::move(*history);
    history_->NamePoint(PointId{0}, "pump-7/flow", "pump");
    history_->NamePoint(PointId{1}, "pump-7/power", "pump");
    history_->NamePoint(PointId{2}, "mixer-1/speed", "mixer");
  }
  // So many rows of each point on a day, in one file a product.
  void Day(int day, int rows) {
    for (uint32_t id = 0; id < 3; ++id)
      for (int i = 0; i < rows; ++i) {
        const PointId point{id};
        const Time time = begin_ + days(day) + std::chrono::minutes(i);
        const double value = day * 100 + i;
        const uint32_t quality = 0;
        ASSERT_TRUE(history_->Append({.point = {&point, 1},
                                      .source_time = {&time, 1},
                                      .ingest_time = {&time, 1},
                                      .value = {&value, 1},
                                      .quality = {&quality, 1},
                                      .first_sequence = sequence_++}));
      }
    ASSERT_TRUE(history_->Flush());
  }
  std::string Folder() const { return folder_ / "history"; }
  size_t RowsRead(const std::string& path, int day) {
    const auto rows = history_->Read(path, begin_ + days(day), begin_ + days(day + 1), 1000);
    EXPECT_TRUE(rows) << rows.error().ToString();
    return rows ? rows->size() : 0;
  }
  bool IsHere(const HistoryFileView& file) { return access(file.path.c_str(), F_OK) == 0; }

  TemporaryFolder folder_;
  const Time begin_ = *ParseTime("2026-02-01T00:00:00Z");
  ManualClock clock_{begin_ + days(5)};
  std::unique_ptr<Blobs> blobs_ = Blobs::Open("file:" + (folder_ / "store")).value();
  std::unique_ptr<BlobArchive> archive_;
  std::unique_ptr<History> history_;
  uint64_t sequence_ = 0;
};

using Counted = std::map<std::string, uint64_t, std::less<>>;

Counted CountedOf(const std::vector<HistoryDeletion>& gone) {
  Counted all;
  for (const HistoryDeletion& deletion : gone)
    for (const auto& [path, rows] : deletion.of_point) all[path] += rows;
  return all;
}

TEST_F(HistoryArchiveTest, WhatGoesByAgeByProductOrByBytesIsToldByPoint) {
  Open();
  for (int day = 0; day < 4; ++day) Day(day, 10 + day);
  HistoryRetention rules{.raw = begin_ + days(1), .minutes = begin_ + days(9)};
  rules.raw_of_product["mixer"] = begin_ + days(2);
  EXPECT_EQ(CountedOf(history_->RetainBy(rules).value()),
            (Counted{{"mixer-1/speed", 21}, {"pump-7/flow", 10}, {"pump-7/power", 10}}));
  rules.max_bytes = 1;
  EXPECT_EQ(CountedOf(history_->RetainBy(rules).value()),
            (Counted{{"mixer-1/speed", 12}, {"pump-7/flow", 23}, {"pump-7/power", 23}}));
  EXPECT_EQ(RowsRead("pump-7/flow", 3), 13u);
}

TEST_F(HistoryArchiveTest, RowsOfAnotherAccountAreNotCounted) {
  Open();
  Day(0, 10);  // Sequences 0 to 29.
  Day(1, 10);
  HistoryRetention rules{.raw = begin_ + days(3), .minutes = begin_ + days(3)};
  rules.not_counted_from = 5;
  rules.not_counted_to = 25;
  const auto gone = history_->RetainBy(rules).value();
  EXPECT_EQ(CountedOf(gone),
            (Counted{{"mixer-1/speed", 15}, {"pump-7/flow", 15}, {"pump-7/power", 10}}));
  uint64_t rows = 0;
  for (const HistoryDeletion& deletion : gone) rows += deletion.rows;
  EXPECT_EQ(rows, 60u);
}

TEST_F(HistoryArchiveTest, MinutesThatAreKeptLongerTellTheSame) {
  Open();
  Day(0, 10);
  Day(1, 10);
  const auto gone = history_->RetainBy({.raw = begin_ + days(1)}).value();
  EXPECT_EQ(CountedOf(gone).at("pump-7/flow"), 10u);
}

TEST_F(HistoryArchiveTest, ACopiedFileLeavesAndIsReadAllTheSame) {
  Open();
  for (int day = 0; day < 4; ++day) Day(day, 10);
  EXPECT_EQ(history_->EvictArchived(begin_ + days(2), 1 << 30)->files, 0u) << "nothing is copied";
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  const auto evicted = history_->EvictArchived(begin_ + days(2), 1 << 30);
  ASSERT_TRUE(evicted) << evicted.error().ToString();
  EXPECT_EQ(evicted->files, 4u);
  EXPECT_EQ(history_->size().archived_files, 4u);
  for (int life = 0; life < 2; ++life, Open()) {
    size_t here = 0;
    for (const auto& file : history_->Files("pump")) here += IsHere(file) ? 1 : 0;
    EXPECT_EQ(here, 2u);
    for (int day = 0; day < 4; ++day) EXPECT_EQ(RowsRead("pump-7/flow", day), 10u) << day;
    const auto trend = history_->Trend("pump-7/power", begin_, begin_ + days(4), 4);
    ASSERT_TRUE(trend);
    EXPECT_EQ(trend->size(), 4u);
    // A second push keeps what is in the archive alone.
    ASSERT_TRUE(archive_->Load());
    ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
    EXPECT_EQ(archive_->manifest().files.size(), 8u);
  }
  // Retention takes it there, too, and counts it.
  const auto gone =
      history_->RetainBy({.raw = begin_ + days(1), .minutes = begin_ + days(1)}).value();
  EXPECT_EQ(CountedOf(gone).at("mixer-1/speed"), 10u);
  ASSERT_TRUE(archive_->Load());
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  EXPECT_EQ(archive_->manifest().files.size(), 6u);
}

TEST_F(HistoryArchiveTest, WhoReadsAFileKeepsItUntilItIsDone) {
  Open();
  for (int day = 0; day < 3; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  auto files = history_->Files("pump");
  ASSERT_EQ(history_->EvictArchived(begin_ + days(1), 1 << 30)->files, 2u);
  EXPECT_TRUE(IsHere(files[0]));
  const std::string path = files[0].path;
  files.clear();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  const auto local = history_->Local(history_->Files("pump")[0]);
  ASSERT_TRUE(local) << local.error().ToString();
  EXPECT_TRUE(IsHere(*local));
}

TEST_F(HistoryArchiveTest, AFullDiskSendsAwayMore) {
  Open();
  for (int day = 0; day < 3; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  EXPECT_EQ(history_->EvictArchived(begin_, 1)->files, 4u);  // All but the newest day.
  EXPECT_EQ(RowsRead("mixer-1/speed", 0), 10u);
}

TEST_F(HistoryArchiveTest, TheCacheHasABoundAndSaysSo) {
  Open();
  for (int day = 0; day < 4; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  ASSERT_TRUE(history_->EvictArchived(begin_ + days(3), 1 << 30));
  uint64_t largest = 0;
  for (const auto& file : history_->Files("pump")) largest = std::max(largest, file.bytes);
  Open(largest);
  ASSERT_TRUE(archive_->Load());
  for (int round = 0; round < 2; ++round)
    for (int day = 0; day < 3; ++day) EXPECT_EQ(RowsRead("pump-7/flow", day), 10u);
  const auto cached = ListFiles(Folder() + "/fetched", ".parquet");
  ASSERT_TRUE(cached);
  EXPECT_EQ(cached->size(), 1u);
  const auto files = history_->Files("pump");
  const auto held = history_->Local(files[0]);
  ASSERT_TRUE(held);
  const auto second = history_->Local(files[1]);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kResourceExhausted);
  EXPECT_NE(second.error().fix.find("cache_mib"), std::string::npos);
}

TEST_F(HistoryArchiveTest, AnArchiveThatIsAwayIsSaidClearly) {
  Open();
  for (int day = 0; day < 3; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  ASSERT_TRUE(history_->EvictArchived(begin_ + days(1), 1 << 30));
  blobs_->Stop();
  const auto rows = history_->Read("pump-7/flow", begin_, begin_ + days(1), 10);
  ASSERT_FALSE(rows);
  EXPECT_NE(rows.error().ToString().find("archive"), std::string::npos) << rows.error().ToString();
  EXPECT_EQ(RowsRead("pump-7/flow", 1), 10u) << "what is here is read";
  // A process without an archive says what is missing.
  history_.reset();
  const auto alone = History::OpenReadOnly(Folder());
  ASSERT_TRUE(alone);
  const auto read = (*alone)->Read("pump-7/flow", begin_, begin_ + days(1), 10);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kFailedPrecondition);
}

TEST_F(HistoryArchiveTest, ACrashBetweenMarkAndRemovalLeavesNothing) {
  Open();
  for (int day = 0; day < 2; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  const std::string path = history_->Files("pump")[0].path;
  const std::string content = ReadFile(path).value();
  ASSERT_TRUE(history_->EvictArchived(begin_ + days(1), 1 << 30));
  history_.reset();
  ASSERT_TRUE(WriteFileAtomically(path, content));
  Open();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  ASSERT_TRUE(archive_->Load());
  EXPECT_EQ(RowsRead("pump-7/flow", 0), 10u);
}

TEST_F(HistoryArchiveTest, ABackupReadsTheRestFromTheSameArchive) {
  Open();
  for (int day = 0; day < 3; ++day) Day(day, 10);
  ASSERT_TRUE(archive_->Push(BlobArchive::Take::kAll));
  ASSERT_TRUE(history_->EvictArchived(begin_ + days(1), 1 << 30));
  const std::string copy = folder_ / "copy";
  ASSERT_TRUE(history_->CopyTo(copy));
  BlobArchive archive(*blobs_, copy, "acme/cologne", clock_);
  HistoryOptions options;
  options.archive = &archive;
  const auto restored = History::Open(copy, options);
  ASSERT_TRUE(restored) << restored.error().ToString();
  const auto rows = (*restored)->Read("pump-7/flow", begin_, begin_ + days(3), 100);
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(rows->size(), 30u);
}

}  // namespace
}  // namespace penstock::storage
