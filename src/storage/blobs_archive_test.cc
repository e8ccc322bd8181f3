#include "storage/blobs_archive.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "storage/history.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

class BlobArchiveTest : public testing::Test {
 protected:
  std::string Source() { return folder_ / "history"; }

  // Two flushes of one point, on two days.
  void WriteHistory() {
    HistoryOptions options;
    options.merge_in_background = false;
    const auto history = History::Open(Source(), options).value();
    history->NamePoint(PointId{0}, "pump-7/flow", "pump");
    for (int day = 0; day < 2; ++day) {
      const Time time = clock_.Now() - std::chrono::days(1 - day);
      const PointId point{0};
      const double value = 1.5;
      const uint32_t quality = 0;
      ASSERT_TRUE(history->Append({.point = {&point, 1},
                                   .source_time = {&time, 1},
                                   .ingest_time = {&time, 1},
                                   .value = {&value, 1},
                                   .quality = {&quality, 1},
                                   .first_sequence = static_cast<uint64_t>(day)}));
      ASSERT_TRUE(history->Flush());
    }
  }
  std::unique_ptr<BlobArchive> ArchiveOf(const std::string& history_folder) {
    auto archive = std::make_unique<BlobArchive>(*blobs_, history_folder, "acme/cologne", clock_);
    EXPECT_TRUE(archive->Load());
    return archive;
  }

  TemporaryFolder folder_;
  ManualClock clock_{*ParseTime("2026-02-03T12:00:00Z")};
  std::unique_ptr<Blobs> blobs_ = Blobs::Open("file:" + (folder_ / "store")).value();
};

TEST_F(BlobArchiveTest, ANewNodeIsRestoredFromIt) {
  WriteHistory();
  const auto archive = ArchiveOf(Source());
  const auto first = archive->Push(BlobArchive::Take::kAll);
  ASSERT_TRUE(first) << first.error().ToString();
  EXPECT_EQ(first->files, 2u);
  EXPECT_EQ(archive->Push(BlobArchive::Take::kAll)->files, 0u);

  const auto restored = ArchiveOf(folder_ / "new");
  const auto pulled = restored->Pull();
  ASSERT_TRUE(pulled) << pulled.error().ToString();
  EXPECT_EQ(pulled->files, 2u);
  const auto history = History::Open(folder_ / "new", {}).value();
  EXPECT_EQ(history->flushed_sequence_end(), 2u);
  EXPECT_EQ(history->Read("pump-7/flow", Time{}, clock_.Now() + std::chrono::days(1), 10)->size(),
            2u);
  EXPECT_EQ(restored->Pull().error().code, Code::kFailedPrecondition);
}

TEST_F(BlobArchiveTest, TakesOnlyDaysThatAreOver) {
  WriteHistory();
  const auto archive = ArchiveOf(Source());
  EXPECT_EQ(archive->Push(BlobArchive::Take::kClosedDays)->files, 1u);
  EXPECT_EQ(archive->manifest().files.begin()->first.substr(0, 15), "pump/2026-02-02");
}

TEST_F(BlobArchiveTest, AFileComesBackWhileSomebodyReadsIt) {
  WriteHistory();
  const auto archive = ArchiveOf(Source());
  ASSERT_TRUE(archive->Push(BlobArchive::Take::kAll));
  const std::string path = archive->manifest().files.begin()->first;
  EXPECT_TRUE(archive->Uploaded(path));
  const auto local = archive->Fetch(path);
  ASSERT_TRUE(local) << local.error().ToString();
  EXPECT_EQ(access(local->path.c_str(), R_OK), 0);
  EXPECT_EQ(archive->Fetch(path)->path, local->path);
  EXPECT_EQ(archive->Fetch("pump/2026-02-02/000000000007-000000000009.parquet").error().code,
            Code::kNotFound);
}

TEST_F(BlobArchiveTest, WhatLeftTheHistoryStaysForOneMorePush) {
  WriteHistory();
  const auto archive = ArchiveOf(Source());
  ASSERT_TRUE(archive->Push(BlobArchive::Take::kAll));
  {
    const auto history = History::Open(Source(), {}).value();
    ASSERT_TRUE(history->Retain(clock_.Now(), 1 << 30));
  }
  EXPECT_EQ(archive->Push(BlobArchive::Take::kAll)->removed, 0u);
  EXPECT_EQ(blobs_->List("history/", "")->items.size(), 2u);
  {
    const auto history = History::Open(Source(), {}).value();
    history->NamePoint(PointId{0}, "pump-7/flow", "pump");
    const PointId point{0};
    const Time time = clock_.Now();
    const double value = 2;
    const uint32_t quality = 0;
    ASSERT_TRUE(
        history->Append({{&point, 1}, {&time, 1}, {&time, 1}, {&value, 1}, {&quality, 1}, 2}));
    ASSERT_TRUE(history->Flush());
  }
  EXPECT_EQ(archive->Push(BlobArchive::Take::kAll)->removed, 1u);
}

TEST_F(BlobArchiveTest, AnotherSiteIsRefused) {
  WriteHistory();
  ASSERT_TRUE(ArchiveOf(Source())->Push(BlobArchive::Take::kAll));
  BlobArchive other(*blobs_, Source(), "acme/berlin", clock_);
  ASSERT_TRUE(other.Load());
  EXPECT_EQ(other.Push(BlobArchive::Take::kAll).error().code, Code::kFailedPrecondition);
}

TEST_F(BlobArchiveTest, ADamagedFileIsNotRestored) {
  WriteHistory();
  const auto archive = ArchiveOf(Source());
  ASSERT_TRUE(archive->Push(BlobArchive::Take::kAll));
  const std::string path = archive->manifest().files.begin()->first;
  ASSERT_TRUE(blobs_->Put("history/" + path, AsBytes("damaged")));
  EXPECT_EQ(ArchiveOf(folder_ / "new")->Pull().error().code, Code::kDataLoss);
}

TEST(ArchiveManifestTest, RefusesWhatItDidNotWrite) {
  ArchiveManifest manifest{.owner = "acme/c d",
                           .history = "penstock-history 1\nend 5\ncrc 00000000\n",
                           .files = {},
                           .pushed = FromMicros(1'000'000)};
  manifest.files["pump/2026-02-02/000000000000-000000000001.parquet"] = {5, std::string(64, 'a')};
  const std::string text = FormatArchiveManifest(manifest);
  const auto parsed = ParseArchiveManifest(text);
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->owner, manifest.owner);
  EXPECT_EQ(parsed->history, manifest.history);
  EXPECT_EQ(parsed->files.size(), 1u);
  for (size_t i = 0; i < text.size(); i += 7) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(ParseArchiveManifest(damaged)) << i;
  }
  const auto with_file = [](const std::string& line) {
    const std::string body = "penstock-archive 1\n" + line + "\nhistory 0\n";
    return ParseArchiveManifest(body + fmt::format("crc {:08x}\n", Crc32c(AsBytes(body))));
  };
  for (const char* line : {"file ../../etc/passwd 5 00", "file x", "file", "what",
                           "file ../2026-02-02/000000000000-000000000001.parquet 5 "
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_FALSE(with_file(line)) << line;
}

}  // namespace
}  // namespace penstock::storage
