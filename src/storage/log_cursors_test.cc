#include "storage/log_cursors.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

TEST(LogCursorsTest, SurviveAReopenAndStayInPlace) {
  const TemporaryFolder folder;
  const std::string path = folder / "cursors";
  {
    const auto cursors = LogCursors::Open(path, SystemDisk()).value();
    for (uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(cursors->Set("history", i * 10));
    ASSERT_TRUE(cursors->Set("uplink", 7));
  }
  EXPECT_EQ(std::filesystem::file_size(path), 2 * kCursorSlotBytes);
  const CursorMap expected{{"history", 40}, {"uplink", 7}};
  EXPECT_EQ(LogCursors::Open(path, SystemDisk()).value()->all(), expected);
}

TEST(LogCursorsTest, ATornSlotLeavesTheOneBefore) {
  const TemporaryFolder folder;
  const std::string path = folder / "cursors";
  {
    const auto cursors = LogCursors::Open(path, SystemDisk()).value();
    ASSERT_TRUE(cursors->Set("history", 1));  // Slot 1.
    ASSERT_TRUE(cursors->Set("history", 2));  // Slot 0.
  }
  std::string content = ReadFile(path).value();
  content[30] = static_cast<char>(content[30] + 1);
  std::ofstream(path, std::ios::binary) << content;
  const auto cursors = LogCursors::Open(path, SystemDisk()).value();
  EXPECT_EQ(cursors->all().at("history"), 1u);
  ASSERT_TRUE(cursors->Set("history", 3));
  EXPECT_EQ(cursors->all().at("history"), 3u);
}

TEST(LogCursorsTest, DamageInBothSlotsIsPutAside) {
  const TemporaryFolder folder;
  const std::string path = folder / "cursors";
  std::ofstream(path, std::ios::binary) << std::string(2 * kCursorSlotBytes, 'z');
  EXPECT_TRUE(LogCursors::Open(path, SystemDisk()).value()->all().empty());
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST(LogCursorsTest, RefuseWhatDoesNotFit) {
  const TemporaryFolder folder;
  const auto cursors = LogCursors::Open(folder / "cursors", SystemDisk()).value();
  EXPECT_EQ(cursors->Set("", 1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(cursors->Set(std::string(65, 'n'), 1).error().code, Code::kInvalidArgument);
  Status status;
  int count = 0;
  for (; status && count < 1000; ++count) status = cursors->Set(fmt::format("{:064}", count), 1);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  EXPECT_GT(count, 40);
  EXPECT_EQ(cursors->all().size(), static_cast<size_t>(count - 1))
      << "a refused cursor changes nothing";
}

TEST(LogCursorsTest, AFailedWriteChangesNothing) {
  class Broken : public Disk {
   public:
    int Sync(int) override { return fails ? EIO : 0; }
    bool fails = false;
  } disk;
  const TemporaryFolder folder;
  const auto cursors = LogCursors::Open(folder / "cursors", disk).value();
  ASSERT_TRUE(cursors->Set("history", 1));
  disk.fails = true;
  EXPECT_FALSE(cursors->Set("history", 2));
  EXPECT_EQ(cursors->all().at("history"), 1u);
}

}  // namespace
}  // namespace penstock::storage
