#include "storage/history_catalog.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace penstock::storage {
namespace {

HistoryFile File(std::string product, std::string day, uint64_t first, uint64_t last,
                 int level = 0) {
  const Time begin = DayBegin(day).value();
  return {.product = std::move(product),
          .day = std::move(day),
          .first_sequence = first,
          .last_sequence = last,
          .level = level,
          .rows = last - first + 1,
          .bytes = 1000,
          .first_time = begin + std::chrono::hours(1),
          .last_time = begin + std::chrono::hours(2)};
}

Catalog CatalogOf(std::initializer_list<HistoryFile> files) {
  Catalog catalog;
  for (const HistoryFile& file : files)
    catalog.files.push_back(std::make_shared<const StoredFile>("/history", file));
  return catalog;
}

TEST(HistoryCatalogTest, AManifestReadsBackAsItWasWritten) {
  Catalog catalog =
      CatalogOf({File("pump", "2026-01-31", 0, 99), File("odd / name", "2026-02-01", 100, 250, 2)});
  catalog.sequence_end = 251;
  HistoryFile rolled = File("pump", "2026-02-01", 251, 300, 1);
  rolled.by_minute = rolled.by_hour = true;
  rolled.rollup_bytes = 77;
  catalog.files.push_back(std::make_shared<const StoredFile>("/history", rolled));
  const HistoryRollup hours{
      .product = "pump", .period = "2026-02", .last_sequence = 300, .rows = 9};
  catalog.rollups.push_back(std::make_shared<const StoredRollup>("/history", hours));
  const std::string text = FormatManifest(catalog);
  const auto read = ParseManifest(text, "/history");
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->sequence_end, 251u);
  ASSERT_EQ(read->files.size(), 3u);
  EXPECT_TRUE(read->files[2]->info.by_minute && read->files[2]->info.by_hour);
  EXPECT_FALSE(read->files[2]->info.by_second);
  EXPECT_EQ(read->files[2]->info.rollup_bytes, 77u);
  ASSERT_EQ(read->rollups.size(), 1u);
  EXPECT_EQ(read->rollups[0]->path,
            "/history/rollup-1h/pump/2026-02/000000000000-000000000300-0.parquet");
  EXPECT_EQ(read->files[0]->path, "/history/pump/2026-01-31/000000000000-000000000099.parquet");
  EXPECT_EQ(read->files[1]->info.product, "odd / name");
  EXPECT_EQ(read->files[1]->info.level, 2);
  EXPECT_EQ(FormatManifest(*read), text);
}

TEST(HistoryCatalogTest, AManifestOfTheFirstVersionIsRead) {
  std::string text =
      "penstock-history 1\nend 20\npoint pump pump-7/flow\n"
      "file pump 2026-01-31 0 19 1 20 512 1769846400000000 1769846459000000\n";
  text += fmt::format("crc {:08x}\n", Crc32c(AsBytes(text)));
  const auto read = ParseManifest(text, "/history");
  ASSERT_TRUE(read) << read.error().ToString();
  ASSERT_EQ(read->old_points.size(), 1u);
  EXPECT_EQ(read->old_points[0].second, "pump-7/flow");
  EXPECT_FALSE(read->files.at(0)->info.by_hour);
}

TEST(HistoryCatalogTest, RollupsOfAMonthBecomeOne) {
  Catalog catalog;
  const auto add = [&](const std::string& month, uint64_t at, int level) {
    const HistoryRollup rollup{.product = "pump",
                               .period = month,
                               .first_sequence = at,
                               .last_sequence = at,
                               .level = level};
    catalog.rollups.push_back(std::make_shared<const StoredRollup>("/history", rollup));
  };
  for (uint64_t i = 0; i < 7; ++i) add("2026-01", i, 0);
  EXPECT_TRUE(FindRollupMerge(catalog).empty());
  add("2026-01", 7, 0);
  EXPECT_EQ(FindRollupMerge(catalog).size(), 8u);
  catalog.rollups.resize(3);
  add("2026-02", 9, 0);
  EXPECT_EQ(FindRollupMerge(catalog).size(), 3u) << "the month is over";
}

TEST(HistoryCatalogTest, FilesThatOverlapAreFound) {
  EXPECT_TRUE(
      FindOverlap(CatalogOf({File("pump", "2026-01-31", 0, 9), File("pump", "2026-01-31", 10, 19),
                             File("pump", "2026-02-01", 5, 12)}))
          .empty());
  EXPECT_EQ(
      FindOverlap(CatalogOf({File("pump", "2026-01-31", 0, 9), File("pump", "2026-01-31", 9, 19)}))
          .size(),
      2u);
}

TEST(HistoryCatalogTest, ADamagedManifestIsToldByAnyByte) {
  Catalog catalog = CatalogOf({File("pump", "2026-01-31", 0, 99)});
  const std::string text = FormatManifest(catalog);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(ParseManifest(damaged, "/history")) << "byte " << i;
    EXPECT_FALSE(ParseManifest(text.substr(0, i), "/history")) << "cut at " << i;
  }
}

TEST(HistoryCatalogTest, NamesBecomeFoldersThatCannotEscape) {
  for (const std::string name :
       {"pump@1.2", "", "..", ".hidden", "a/b", "ü", "100 %", "a%2Fb", "rollup-1h"}) {
    const std::string escaped = EscapeName(name);
    EXPECT_EQ(escaped.find('/'), std::string::npos);
    EXPECT_NE(escaped[0], '.');
    EXPECT_FALSE(escaped.starts_with("rollup-"));
    EXPECT_EQ(UnescapeName(escaped).value(), name);
  }
  EXPECT_FALSE(UnescapeName("%G0"));
  EXPECT_FALSE(UnescapeName("abc%2"));
}

TEST(HistoryCatalogTest, AFilesNameTellsItsSequences) {
  const HistoryFile file = File("a/b", "2026-01-31", 7, 1'234'567'890'123'456);
  const auto read = FileOfPath(file.RelativePath());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->product, "a/b");
  EXPECT_EQ(read->day, "2026-01-31");
  EXPECT_EQ(read->last_sequence, file.last_sequence);
  EXPECT_FALSE(FileOfPath("pump/2026-01-31/notes.parquet"));
  EXPECT_FALSE(FileOfPath("pump/2026-13-31/1-2.parquet"));
  EXPECT_FALSE(FileOfPath("2026-01-31/1-2.parquet"));
}

TEST(HistoryCatalogTest, QueriesSeeOnlyFilesThatCanMatter) {
  Catalog catalog = CatalogOf({File("pump", "2026-01-31", 0, 9), File("pump", "2026-02-01", 10, 19),
                               File("gearbox", "2026-02-01", 20, 29)});
  const Time day = DayBegin("2026-02-01").value();
  const std::string pump[] = {"pump"}, none[] = {"mixer"};
  EXPECT_EQ(catalog.FilesOf(pump, day, day + std::chrono::days(1)).size(), 1u);
  EXPECT_EQ(catalog.FilesOf(pump, day - std::chrono::days(1), day + std::chrono::days(1)).size(),
            2u);
  EXPECT_EQ(catalog.FilesOf(pump, day, day + std::chrono::minutes(59)).size(), 0u);
  EXPECT_EQ(catalog.FilesOf(none, day, day + std::chrono::days(1)).size(), 0u);
}

TEST(HistoryCatalogTest, MergesManySmallFilesAndTheFewOfAPastDay) {
  Catalog catalog;
  const auto add = [&](const HistoryFile& file) {
    catalog.files.push_back(std::make_shared<const StoredFile>("/history", file));
  };
  for (uint64_t i = 0; i < 5; ++i) add(File("pump", "2026-02-01", i * 10, i * 10 + 9));
  EXPECT_TRUE(FindMerge(catalog, 6).empty());
  EXPECT_EQ(FindMerge(catalog, 5).size(), 5u);
  add(File("gearbox", "2026-02-02", 90, 99));
  EXPECT_TRUE(FindMerge(catalog, 6).empty()) << "another product's day says nothing";
  add(File("pump", "2026-02-02", 100, 109));
  EXPECT_EQ(FindMerge(catalog, 6).size(), 5u) << "the day is over";
}

TEST(HistoryCatalogTest, DaysAreThoseOfUtc) {
  EXPECT_EQ(DayOf(ParseTime("2026-01-31T23:59:59.999999Z").value()), "2026-01-31");
  EXPECT_EQ(DayOf(ParseTime("2026-02-01T00:30:00+01:00").value()), "2026-01-31");
  EXPECT_EQ(DayOf(FromMicros(-5)), "1970-01-01");
  EXPECT_EQ(DayOf(Time::max()), "2261-12-31");
}

}  // namespace
}  // namespace penstock::storage
