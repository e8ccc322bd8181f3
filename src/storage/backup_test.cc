#include "storage/backup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/records.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
const Time kBackupStart = ParseTime("2026-01-31T08:00:00Z").value();

// A node's way of storing: the log first, then the history, whose flush moves
// the cursor.
struct Store {
  explicit Store(const std::string& data)
      : records(Records::Open(data + "/records.db").value()),
        log(DurableLog::Open(data + "/log", {.segment_bytes = 4096, .max_bytes = 64 << 20})
                .value()),
        history(History::Open(data + "/history",
                              {.flush_every = std::chrono::hours(9), .merge_in_background = false})
                    .value()) {
    history->NamePoint(PointId{0}, "pump-7/flow", "pump");
  }
  Status Add(uint64_t number) {
    const std::string text = std::to_string(number);
    TRY(log->Append(AsBytes(text)));
    TRY(log->Sync());
    return ToHistory(number);
  }
  Status ToHistory(uint64_t number) {
    const PointId point{0};
    const Time time = kBackupStart + std::chrono::seconds(number);
    const auto value = static_cast<double>(number);
    const uint32_t quality = 0;
    return history->Append(
        {{&point, 1}, {&time, 1}, {&time, 1}, {&value, 1}, {&quality, 1}, number});
  }
  Status Flush() {
    TRY(history->Flush());
    TRY(log->SetCursor("history", log->durable_end()));
    return log->Trim();
  }
  std::unique_ptr<Records> records;
  std::unique_ptr<DurableLog> log;
  std::unique_ptr<History> history;
};

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    fs::create_directories(data_ + "/models/m");
    (void)WriteFileAtomically(data_ + "/models/m/1.onnx", "weights");
  }
  TemporaryFolder folder_;
  const std::string data_ = folder_ / "data", backup_ = folder_ / "backup",
                    restored_ = folder_ / "restored";
};

TEST_F(BackupTest, HasWhatWasAcknowledgedBeforeItWhileOthersWrite) {
  Store store(data_);
  ASSERT_TRUE(store.records->Run("CREATE TABLE t(x INTEGER)"));
  std::atomic<uint64_t> acknowledged{0};
  uint64_t before = 0;
  {
    std::jthread writer([&](const std::stop_token& stop) {
      for (uint64_t i = 0; !stop.stop_requested(); ++i) {
        ASSERT_TRUE(store.Add(i));
        acknowledged = i + 1;
        if (i % 97 == 96) {
          ASSERT_TRUE(store.Flush());
        }
      }
    });
    while (acknowledged < 150) std::this_thread::yield();
    before = acknowledged;
    const auto made =
        BackUp({.data = data_, .records = store.records.get(), .history = store.history.get()},
               backup_, kBackupStart);
    ASSERT_TRUE(made) << made.error().ToString();
  }
  ASSERT_TRUE(Restore(backup_, restored_));
  EXPECT_EQ(ReadFile(restored_ + "/models/m/1.onnx").value(), "weights");
  Store again(restored_);
  EXPECT_TRUE(again.records->Query("SELECT x FROM t"));
  // As a node starts: the log from the cursor on, what is in the files left
  // out.
  const uint64_t cursor = std::clamp(again.log->Cursor("history").value(), again.log->begin(),
                                     again.log->durable_end());
  ASSERT_TRUE(again.log->Read(cursor, [&](uint64_t, ByteView record) {
    return again.ToHistory(std::stoull(std::string(AsText(record)))).has_value();
  }));
  const auto rows =
      again.history
          ->Read("pump-7/flow", kBackupStart, kBackupStart + std::chrono::hours(99), 1 << 20)
          .value();
  ASSERT_GE(rows.size(), before);
  for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i].value, static_cast<double>(i));
}

TEST_F(BackupTest, ADamagedOrUnfinishedBackupIsNotRestored) {
  {
    Store store(data_);
    for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(store.Add(i));
    ASSERT_TRUE(store.Flush());
    ASSERT_TRUE(
        BackUp({data_, store.records.get(), store.history.get(), ""}, backup_, kBackupStart));
    EXPECT_EQ(BackUp({data_, nullptr, nullptr, ""}, backup_, kBackupStart).error().code,
              Code::kAlreadyExists);
  }
  std::string file;
  for (const auto& entry : fs::recursive_directory_iterator(backup_ + "/history/pump"))
    if (entry.is_regular_file()) file = entry.path().string();
  const std::string whole = ReadFile(file).value();
  fs::remove(file);  // A hard link: the node's own file stays as it is.
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(file, damaged));
  EXPECT_EQ(Restore(backup_, restored_).error().code, Code::kDataLoss);
  fs::remove_all(restored_);
  fs::remove(file);
  EXPECT_EQ(Restore(backup_, restored_).error().code, Code::kDataLoss);
  fs::remove_all(restored_);
  ASSERT_TRUE(WriteFileAtomically(file, whole));
  EXPECT_TRUE(Restore(backup_, restored_));
  EXPECT_EQ(Restore(backup_, restored_).error().code, Code::kAlreadyExists);
  fs::remove(backup_ + "/backup.json");
  EXPECT_EQ(Restore(backup_, folder_ / "other").error().code, Code::kFailedPrecondition);
}

TEST_F(BackupTest, APathThatLeavesTheFolderIsRefused) {
  fs::create_directories(backup_);
  ASSERT_TRUE(WriteFileAtomically(
      backup_ + "/backup.json",
      R"({"format":1,"files":[{"path":"../outside","bytes":0,"crc32c":"00000000"}]})"));
  EXPECT_EQ(Restore(backup_, restored_).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace penstock::storage
