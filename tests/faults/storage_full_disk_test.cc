// A disk that is really full: a small file system in memory where we may mount one, else a limit on
// file sizes. The log, the history and the records say so, lose nothing of before, and go on when
// there is room.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/records.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (mount("penstock-test", folder_.path().c_str(), "tmpfs", 0, "size=4m") != 0)
      GTEST_SKIP() << "needs the right to mount a small file system";
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  void FillDisk() {
    std::ofstream filler(folder_ / "filler", std::ios::binary);
    const std::string block(4096, 'f');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void FreeDisk() { fs::remove(folder_ / "filler"); }

  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST_F(FullDiskTest, TheLogRefusesAndGoesOn) {
  const LogOptions options{.segment_bytes = 256 << 10, .max_bytes = 64 << 20};
  auto log = DurableLog::Open(folder_ / "log", options).value();
  const std::string record(10'000, 'r');
  const auto commit = [&]() -> Status {
    TRY(log->Append(AsBytes(record)));
    return log->Sync();
  };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(commit());
  ASSERT_TRUE(log->SetCursor("history", 5));
  FillDisk();
  Status status;
  for (int i = 0; i < 1000 && status; ++i) status = commit();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted) << status.error().ToString();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(commit());
  EXPECT_TRUE(log->SetCursor("history", 15)) << "a cursor moves on a full disk";
  const uint64_t kept = log->durable_end();
  EXPECT_GE(kept, 20u);

  log.reset();
  log = DurableLog::Open(folder_ / "log", options).value();
  EXPECT_EQ(log->durable_end(), kept) << "a start on a full disk finds everything";
  EXPECT_EQ(log->Cursor("history").value(), 15u);
  FreeDisk();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(commit());
  uint64_t read = 0;
  EXPECT_TRUE(log->Read(0, [&](uint64_t, ByteView bytes) {
    EXPECT_EQ(AsText(bytes), record);
    ++read;
    return true;
  }));
  EXPECT_EQ(read, kept + 50);
}

TEST_F(FullDiskTest, TheHistoryKeepsItsRowsInMemoryUntilThereIsRoom) {
  auto history = History::Open(folder_ / "history", {.flush_every = std::chrono::hours(1)}).value();
  history->NamePoint(PointId{0}, "pump-7/flow", "pump");
  const Time start = ParseTime("2026-01-31T08:00:00Z").value();
  uint64_t sequence = 0;
  const auto append = [&](size_t rows) {
    std::vector<PointId> point(rows, PointId{0});
    std::vector<Time> time;
    std::vector<double> value;
    for (size_t i = 0; i < rows; ++i) {
      time.push_back(start + std::chrono::milliseconds(sequence + i));
      value.push_back(std::sin(static_cast<double>(sequence + i)));  // Does not compress.
    }
    const std::vector<uint32_t> quality(rows);
    ASSERT_TRUE(history->Append({point, time, time, value, quality, sequence}));
    sequence += rows;
  };
  append(1000);
  ASSERT_TRUE(history->Flush());
  FillDisk();
  append(50'000);
  const Status full = history->Flush();
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted) << full.error().ToString();
  EXPECT_EQ(history->flushed_sequence_end(), 1000u);
  const auto count = [&] {
    return history->Read("pump-7/flow", start, start + std::chrono::hours(1), 1'000'000)
        .value()
        .size();
  };
  EXPECT_EQ(count(), 51'000u);
  append(10);
  EXPECT_FALSE(history->Flush());
  EXPECT_EQ(count(), 51'010u);

  FreeDisk();
  ASSERT_TRUE(history->Flush());
  EXPECT_EQ(history->flushed_sequence_end(), sequence);
  EXPECT_EQ(count(), 51'010u);
  history.reset();
  history = History::Open(folder_ / "history", {}).value();
  EXPECT_EQ(count(), 51'010u);
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "history"))
    EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
}

TEST_F(FullDiskTest, RecordsRefuseAndGoOn) {
  const auto records = Records::Open(folder_ / "records.db").value();
  ASSERT_TRUE(records->Migrate("test", {{1, "CREATE TABLE t(x BLOB) STRICT"}}));
  const auto insert = [&] { return records->Run("INSERT INTO t VALUES(?)", {Bytes(8000, 7)}); };
  ASSERT_TRUE(insert());
  FillDisk();
  Result<int64_t> done = 1;
  int stored = 1;
  while (stored < 1000 && (done = insert())) ++stored;
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kResourceExhausted) << done.error().ToString();
  EXPECT_EQ(records->Query("SELECT count(*) FROM t").value()[0].Integer(0), stored);
  FreeDisk();
  ASSERT_TRUE(insert());
  EXPECT_EQ(records->Query("SELECT count(*) FROM t").value()[0].Integer(0), stored + 1);
}

// Where nothing can be mounted: a process whose files may not grow beyond a size.
TEST(FileSizeLimitTest, TheLogRefusesAndGoesOn) {
  const TemporaryFolder folder;
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const auto log = DurableLog::Open(folder / "log", {}).value();
    const std::string record(10'000, 'r');
    const auto commit = [&]() -> Status {
      TRY(log->Append(AsBytes(record)));
      return log->Sync();
    };
    for (int i = 0; i < 10; ++i) CHECK(commit().has_value());
    const rlimit tight{150'000, RLIM_INFINITY}, wide{RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    Status status;
    while (status) status = commit();
    CHECK(status.error().code == Code::kResourceExhausted);
    CHECK(setrlimit(RLIMIT_FSIZE, &wide) == 0);
    for (int i = 0; i < 10; ++i) CHECK(commit().has_value());
    uint64_t read = 0;
    CHECK(log->Read(0,
                    [&](uint64_t, ByteView bytes) {
                      CHECK(AsText(bytes) == record);
                      ++read;
                      return true;
                    })
              .has_value());
    CHECK(read == log->durable_end() && read >= 20);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace penstock::storage
