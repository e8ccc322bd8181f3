#include "storage/history_index.h"

#include <gtest/gtest.h>

#include "storage/parquet_reader.h"
#include "storage/parquet_writer.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

constexpr ParquetColumn kIndexColumns[] = {{"point", ParquetKind::kText},
                                           {"time", ParquetKind::kTime}};

ParquetFilePointer FileWithOnePoint(const std::string& path) {
  auto writer = ParquetWriter::Create(path, kIndexColumns).value();
  const int64_t time = 0;
  const void* const data[] = {&time};
  EXPECT_TRUE(writer->Add("pump-7/flow", data, 1));
  EXPECT_TRUE(writer->Finish());
  return ParquetFile::Open(path, kIndexColumns).value();
}

HistoryIndex::PointsPointer PointsOfBytes(size_t bytes) {
  auto points = std::make_shared<HistoryIndex::Points>();
  for (uint32_t i = 0; i < bytes / 8; ++i) {
    points->entries.push_back(i * 7);
    points->begins.push_back(i);
  }
  return points;
}

TEST(HistoryIndexTest, KnowsAFileWhileItIsOpen) {
  const TemporaryFolder folder;
  HistoryIndex index;
  auto file = FileWithOnePoint(folder / "a.parquet");
  EXPECT_EQ(index.FindPoints(file, 0), nullptr);
  EXPECT_EQ(index.FindPages(file, 0, 1), nullptr);
  index.KeepPoints(file, 0, PointsOfBytes(24));
  ASSERT_NE(index.FindPoints(file, 0), nullptr);
  EXPECT_EQ(index.FindPoints(file, 0)->entries.size(), 3U);
  EXPECT_EQ(index.FindPages(file, 0, 1), nullptr);
  const auto reader = ParquetColumnReader::Load(*file, 0, 1).value();
  index.KeepPages(file, 0, 1, reader.pages());
  EXPECT_EQ(index.FindPages(file, 0, 1), reader.pages());
  EXPECT_EQ(index.FindPages(file, 0, 0), nullptr);
  const auto anew = FileWithOnePoint(folder / "a.parquet");
  EXPECT_EQ(index.FindPoints(anew, 0), nullptr);
  EXPECT_EQ(index.FindPages(anew, 0, 1), nullptr);
}

TEST(HistoryIndexTest, FindsEveryPointAndNoOther) {
  const auto points = PointsOfBytes(8 * 1000);
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(points->PlaceOf(i * 7), i);
  EXPECT_EQ(points->PlaceOf(1), std::nullopt);
  EXPECT_EQ(points->PlaceOf(7000), std::nullopt);
  EXPECT_EQ(HistoryIndex::Points().PlaceOf(0), std::nullopt);
}

TEST(HistoryIndexTest, ForgetsTheFileLeastLatelyAskedForAndThoseThatAreGone) {
  const TemporaryFolder folder;
  HistoryIndex index;
  const auto first = FileWithOnePoint(folder / "1"), second = FileWithOnePoint(folder / "2"),
             third = FileWithOnePoint(folder / "3");
  index.KeepPoints(first, 0, PointsOfBytes(HistoryIndex::kBytesMax / 2));
  index.KeepPoints(second, 0, PointsOfBytes(HistoryIndex::kBytesMax / 2));
  EXPECT_NE(index.FindPoints(first, 0), nullptr);
  index.KeepPoints(third, 0, PointsOfBytes(80));
  EXPECT_EQ(index.FindPoints(second, 0), nullptr);
  EXPECT_NE(index.FindPoints(first, 0), nullptr);
  EXPECT_NE(index.FindPoints(third, 0), nullptr);
  index.KeepPoints(second, 0, PointsOfBytes(HistoryIndex::kBytesMax / 2 + 8));  // Too large for it.
  EXPECT_EQ(index.FindPoints(second, 0), nullptr);
  EXPECT_NE(index.FindPoints(first, 0), nullptr);
}

}  // namespace
}  // namespace penstock::storage
