#include "storage/history_catalog.h"

#include <gtest/gtest.h>

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
  catalog.points["pump"] = {"pump-7/flow", "pump-7/motor current"};
  const std::string text = FormatManifest(catalog);
  const auto read = ParseManifest(text, "/history");
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->sequence_end, 251u);
  EXPECT_EQ(read->points, catalog.points);
  ASSERT_EQ(read->files.size(), 2u);
  EXPECT_EQ(read->files[0]->path, "/history/pump/2026-01-31/000000000000-000000000099.parquet");
  EXPECT_EQ(read->files[1]->info.product, "odd / name");
  EXPECT_EQ(read->files[1]->info.level, 2);
  EXPECT_EQ(FormatManifest(*read), text);
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
  for (const std::string name : {"pump@1.2", "", "..", ".hidden", "a/b", "ü", "100 %", "a%2Fb"}) {
    const std::string escaped = EscapeName(name);
    EXPECT_EQ(escaped.find('/'), std::string::npos);
    EXPECT_NE(escaped[0], '.');
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
  catalog.points = {{"pump", {"pump-7/flow"}}, {"gearbox", {"gearbox-2/torque"}}};
  const Time day = DayBegin("2026-02-01").value();
  EXPECT_EQ(catalog.FilesOf("pump-7/flow", day, day + std::chrono::days(1)).size(), 1u);
  EXPECT_EQ(
      catalog.FilesOf("pump-7/flow", day - std::chrono::days(1), day + std::chrono::days(1)).size(),
      2u);
  EXPECT_EQ(catalog.FilesOf("pump-7/flow", day, day + std::chrono::minutes(59)).size(), 0u);
  EXPECT_EQ(catalog.FilesOf("pump-8/flow", day, day + std::chrono::days(1)).size(), 0u);
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
