#include "storage/history_index.h"

#include <gtest/gtest.h>

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

std::shared_ptr<const HistoryIndex::Group> Stretches(size_t count) {
  return std::make_shared<HistoryIndex::Group>(count, HistoryIndex::Stretch{1, 2});
}

TEST(HistoryIndexTest, KnowsAFileWhileItIsOpen) {
  const TemporaryFolder folder;
  HistoryIndex index;
  auto file = FileWithOnePoint(folder / "a.parquet");
  EXPECT_EQ(index.Find(file, 0), nullptr);
  index.Keep(file, 0, Stretches(3));
  ASSERT_NE(index.Find(file, 0), nullptr);
  EXPECT_EQ(index.Find(file, 0)->size(), 3U);
  EXPECT_EQ(index.Find(FileWithOnePoint(folder / "a.parquet"), 0), nullptr);  // Opened anew.
}

TEST(HistoryIndexTest, ForgetsTheFileLeastLatelyAskedForAndThoseThatAreGone) {
  const TemporaryFolder folder;
  HistoryIndex index;
  const auto first = FileWithOnePoint(folder / "1"), second = FileWithOnePoint(folder / "2"),
             third = FileWithOnePoint(folder / "3");
  index.Keep(first, 0, Stretches(HistoryIndex::kStretchesMax / 2));
  index.Keep(second, 0, Stretches(HistoryIndex::kStretchesMax / 2));
  EXPECT_NE(index.Find(first, 0), nullptr);
  index.Keep(third, 0, Stretches(10));
  EXPECT_EQ(index.Find(second, 0), nullptr);
  EXPECT_NE(index.Find(first, 0), nullptr);
  EXPECT_NE(index.Find(third, 0), nullptr);
  index.Keep(second, 0, Stretches(HistoryIndex::kStretchesMax + 1));  // Too large for it.
  EXPECT_EQ(index.Find(second, 0), nullptr);
  EXPECT_NE(index.Find(first, 0), nullptr);
}

}  // namespace
}  // namespace penstock::storage
