#include "storage/durable_log.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "base/file.h"
#include "storage/disk.h"
#include "storage/log_record.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

// A disk that fails on demand, and that does not really sync: tests of what is kept where need no
// platter.
class TestDisk : public Disk {
 public:
  int Write(int fd, ByteView bytes, uint64_t offset) override {
    if (write_error == 0 || bytes.size() < write_fails_from_bytes)
      return Disk::Write(fd, bytes, offset);
    Disk::Write(fd, bytes.first(bytes.size() / 2),
                offset);  // As a full disk does: a part gets through.
    return write_error;
  }
  int Sync(int) override { return sync_error; }
  int Truncate(int fd, uint64_t size) override {
    return truncate_error != 0 ? truncate_error : Disk::Truncate(fd, size);
  }

  int write_error = 0, sync_error = 0, truncate_error = 0;
  size_t write_fails_from_bytes = 0;
};

class DurableLogTest : public ::testing::Test {
 protected:
  LogOptions Options() { return {.segment_bytes = 64 << 10, .max_bytes = 1 << 20, .disk = &disk_}; }
  std::unique_ptr<DurableLog> Open(const LogOptions& options) {
    auto log = DurableLog::Open(folder_.path(), options);
    EXPECT_TRUE(log) << log.error().ToString();
    return std::move(log).value_or(nullptr);
  }
  std::unique_ptr<DurableLog> Open() { return Open(Options()); }

  static std::string RecordText(uint64_t index) {
    return "record " + std::to_string(index) + std::string(index % 7 * 5, '.');
  }
  void Write(DurableLog& log, uint64_t count, uint64_t per_commit = 1) {
    for (uint64_t i = 1; i <= count; ++i) {
      const auto index = log.Append(AsBytes(RecordText(log.durable_end() + (i - 1) % per_commit)));
      ASSERT_TRUE(index) << index.error().ToString();
      if (i % per_commit != 0) continue;
      ASSERT_TRUE(log.Sync());
    }
  }
  struct Seen {
    std::vector<uint64_t> indexes;
    Status status;
  };
  // Everything read must be what was written under that index.
  Seen ReadAll(DurableLog& log, uint64_t from = 0) {
    Seen seen;
    seen.status = log.Read(from, [&](uint64_t index, ByteView record) {
      EXPECT_EQ(AsText(record), RecordText(index));
      seen.indexes.push_back(index);
      return true;
    });
    return seen;
  }
  std::string SegmentPath(uint64_t first_index) {
    return folder_ / fmt::format("{:020}.log", first_index);
  }
  static std::string Content(const std::string& path) { return ReadFile(path).value(); }
  static void Overwrite(const std::string& path, std::string_view content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }

  TemporaryFolder folder_;
  TestDisk disk_;
  DurableLog* log_told_ = nullptr;  // Of whom on_evict speaks.
};

std::vector<uint64_t> Range(uint64_t from, uint64_t to) {
  std::vector<uint64_t> range;
  for (; from < to; ++from) range.push_back(from);
  return range;
}

TEST_F(DurableLogTest, BeginsEmptyAndCountsFromZero) {
  const auto log = Open();
  EXPECT_EQ(log->begin(), 0u);
  EXPECT_EQ(log->durable_end(), 0u);
  EXPECT_EQ(log->Append(AsBytes(RecordText(0))).value(), 0u);
  EXPECT_EQ(log->Append(AsBytes(RecordText(1))).value(), 1u);
  EXPECT_EQ(log->durable_end(), 0u) << "nothing is durable before Sync";
  EXPECT_TRUE(ReadAll(*log).indexes.empty());
  ASSERT_TRUE(log->Sync());
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 2));
}

TEST_F(DurableLogTest, KeepsWhatWasSyncedAndNothingElse) {
  {
    const auto log = Open();
    Write(*log, 10, 5);
    ASSERT_TRUE(log->Append(AsBytes("never synced")));
  }
  const auto log = Open();
  EXPECT_EQ(log->durable_end(), 10u);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 10));
  EXPECT_EQ(ReadAll(*log, 7).indexes, Range(7, 10));
  Write(*log, 3);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 13));
}

TEST_F(DurableLogTest, GoesOnOverManySegments) {
  LogOptions options = Options();
  options.segment_bytes = 4096;
  {
    const auto log = Open(options);
    Write(*log, 1000, 10);
  }
  const auto log = Open(options);
  EXPECT_GT(ListFiles(folder_.path(), ".log")->size(), 5u);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 1000));
  EXPECT_EQ(ReadAll(*log, 999).indexes, Range(999, 1000));
  EXPECT_EQ(ReadAll(*log, 555).indexes, Range(555, 1000));
  EXPECT_TRUE(ReadAll(*log, 1000).indexes.empty());
}

TEST_F(DurableLogTest, CutsATornTailAtEveryByte) {
  std::vector<size_t> ends;  // File size after each record.
  {
    const auto log = Open();
    for (int i = 0; i < 6; ++i) {
      Write(*log, 1);
      ends.push_back(log->bytes());
    }
  }
  const std::string whole = Content(SegmentPath(0)).substr(0, ends.back());
  for (const bool zeros_behind : {false, true}) {
    for (size_t size = ends[2]; size <= whole.size(); ++size) {
      Overwrite(SegmentPath(0), whole.substr(0, size) + std::string(zeros_behind ? 5000 : 0, '\0'));
      const auto log = Open();
      const auto expected = static_cast<uint64_t>(
          std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= size; }));
      ASSERT_EQ(log->durable_end(), expected) << "cut at " << size;
      ASSERT_EQ(ReadAll(*log).indexes, Range(0, expected)) << "cut at " << size;
      Write(*log, 2);
      const auto seen = ReadAll(*log);
      ASSERT_TRUE(seen.status) << seen.status.error().ToString();
      ASSERT_EQ(seen.indexes, Range(0, expected + 2)) << "cut at " << size;
    }
  }
}

TEST_F(DurableLogTest, ATornHeaderOfANewSegmentIsNoSegment) {
  LogOptions options = Options();
  options.segment_bytes = 4096;
  {
    const auto log = Open(options);
    Write(*log, 200, 10);
  }
  const std::string header(AsText(EncodeSegmentHeader(200)));
  for (size_t size = 0; size <= header.size(); ++size) {
    Overwrite(SegmentPath(200), header.substr(0, size));
    const auto log = Open(options);
    ASSERT_EQ(log->durable_end(), 200u) << "header of " << size << " bytes";
    ASSERT_EQ(ReadAll(*log).indexes, Range(0, 200));
  }
}

TEST_F(DurableLogTest, LeavesOutADamagedRecordAndSaysSo) {
  size_t start = 0, end = 0;
  {
    const auto log = Open();
    Write(*log, 2);
    start = log->bytes();
    Write(*log, 1);
    end = log->bytes();
    Write(*log, 3);
  }
  const std::string whole = Content(SegmentPath(0));
  for (size_t at = start; at < end; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    Overwrite(SegmentPath(0), damaged);
    const auto log = Open();
    EXPECT_EQ(log->durable_end(), 6u) << "byte " << at;
    const auto seen = ReadAll(*log);
    ASSERT_EQ(seen.indexes, (std::vector<uint64_t>{0, 1, 3, 4, 5})) << "byte " << at;
    ASSERT_FALSE(seen.status);
    EXPECT_EQ(seen.status.error().code, Code::kDataLoss);
    EXPECT_NE(seen.status.error().message.find("2 to 2"), std::string::npos)
        << seen.status.error().message;
    EXPECT_TRUE(ReadAll(*log, 3).status) << "who reads behind the damage is not bothered";
    Write(*log, 1);
    EXPECT_EQ(ReadAll(*log).indexes.back(), 6u);
  }
}

TEST_F(DurableLogTest, LeavesOutDamageInAnOlderSegment) {
  LogOptions options = Options();
  options.segment_bytes = 4096;
  {
    const auto log = Open(options);
    Write(*log, 400, 4);
  }
  std::string content = Content(SegmentPath(0));
  content[1000] = static_cast<char>(~content[1000]);
  content.resize(content.size() - 7);  // And its end is torn.
  Overwrite(SegmentPath(0), content);
  const auto log = Open(options);
  EXPECT_EQ(log->durable_end(), 400u);
  const auto seen = ReadAll(*log);
  EXPECT_EQ(seen.indexes.size(), 398u);
  ASSERT_FALSE(seen.status);
  EXPECT_EQ(seen.status.error().code, Code::kDataLoss);
  EXPECT_EQ(seen.status.error().where, SegmentPath(0));
}

TEST_F(DurableLogTest, ADamagedSegmentHeaderLosesNothing) {
  {
    const auto log = Open();
    Write(*log, 5);
  }
  std::string content = Content(SegmentPath(0));
  content[3] = '?';
  Overwrite(SegmentPath(0), content);
  EXPECT_EQ(ReadAll(*Open()).indexes, Range(0, 5));
}

TEST_F(DurableLogTest, AHoleInTheLastCommitIsATornTailAndNoDamage) {
  size_t start = 0;
  {
    const auto log = Open();
    Write(*log, 3);
    start = log->bytes();
    Write(*log, 4,
          4);  // One commit: a power cut may bring its second page to the disk and not its first.
  }
  std::string content = Content(SegmentPath(0));
  content[start + 10] = static_cast<char>(~content[start + 10]);
  Overwrite(SegmentPath(0), content);
  const auto log = Open();
  EXPECT_EQ(log->durable_end(), 3u);
  EXPECT_TRUE(ReadAll(*log).status);
  Write(*log, 2);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 5));
}

TEST_F(DurableLogTest, AFullDiskLosesNothingAndTheNextAppendWorks) {
  const auto log = Open();
  Write(*log, 3);
  disk_.write_error = ENOSPC;
  ASSERT_TRUE(log->Append(AsBytes("given up")));
  const Status full = log->Sync();
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted);
  EXPECT_FALSE(full.error().fix.empty());
  EXPECT_FALSE(log->Sync()) << "a mere retry must not look like a commit";
  EXPECT_EQ(log->durable_end(), 3u);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 3));

  disk_.write_error = 0;
  Write(*log, 3);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 6));
  EXPECT_EQ(ListFiles(folder_.path(), ".log")->size(), 1u);
}

TEST_F(DurableLogTest, ADiskWithoutRoomForTheZerosAheadStillCommits) {
  const auto log = Open();
  disk_.write_error = ENOSPC;
  disk_.write_fails_from_bytes = 1000;  // The records fit, what is put ahead does not.
  Write(*log, 3);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 3));
  EXPECT_EQ(fs::file_size(SegmentPath(0)), log->bytes());
}

TEST_F(DurableLogTest, AFailedSyncIsNotBelievedLater) {
  {
    const auto log = Open();
    Write(*log, 2);
    ASSERT_TRUE(log->Append(AsBytes("doubtful")));
    disk_.sync_error = EIO;
    const Status failed = log->Sync();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::kUnavailable);
    EXPECT_EQ(log->durable_end(), 2u);
    // Cutting back needed a sync too: the log refuses until it has read what is there.
    disk_.sync_error = 0;
    const auto refused = log->Append(AsBytes("x"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_EQ(ReadAll(*log).indexes, Range(0, 2)) << "what is durable is still served";
  }
  const auto log = Open();
  Write(*log, 2);
  EXPECT_EQ(ReadAll(*log).indexes, Range(0, 4));
}

TEST_F(DurableLogTest, AfterAFailedSyncTheNextCommitBeginsANewSegment) {
  class OnceFailing : public TestDisk {
   public:
    int Sync(int) override { return std::exchange(sync_error, 0); }
  } disk;
  LogOptions options = Options();
  options.disk = &disk;
  {
    const auto log = Open(options);
    Write(*log, 2);
    ASSERT_TRUE(log->Append(AsBytes("doubtful")));
    disk.sync_error = EIO;
    ASSERT_FALSE(log->Sync());
    Write(*log, 2);
    EXPECT_TRUE(fs::exists(SegmentPath(2)));
    EXPECT_EQ(ReadAll(*log).indexes, Range(0, 4));
  }
  EXPECT_EQ(ReadAll(*Open(options)).indexes, Range(0, 4));
}

TEST_F(DurableLogTest, CursorsSurviveAndHoldTheLogBack) {
  LogOptions options = Options();
  options.segment_bytes = 4096;
  options.max_bytes = 40'000;
  {
    const auto log = Open(options);
    EXPECT_EQ(log->Cursor("history").value(), 0u);
    Write(*log, 100, 10);
    ASSERT_TRUE(log->SetCursor("history", 100));
    ASSERT_TRUE(log->SetCursor("uplink", 40));
    EXPECT_EQ(log->SetCursor("history", 101).error().code, Code::kInvalidArgument);
  }
  const auto log = Open(options);
  EXPECT_EQ(log->Cursor("history").value(), 100u);
  EXPECT_EQ(log->Cursor("uplink").value(), 40u);

  Result<uint64_t> last = 0;
  while ((last = log->Append(AsBytes(std::string(500, 'x'))))) ASSERT_TRUE(log->Sync());
  EXPECT_EQ(last.error().code, Code::kResourceExhausted) << "the slow consumer's records are kept";
  EXPECT_LE(log->bytes(), options.max_bytes);
  EXPECT_LE(log->begin(), 40u);

  ASSERT_TRUE(log->SetCursor("uplink", log->durable_end()));
  ASSERT_TRUE(log->SetCursor("history", log->durable_end()));
  ASSERT_TRUE(log->Append(AsBytes(std::string(500, 'x')))) << "the log makes room by itself";
  ASSERT_TRUE(log->Sync());
  EXPECT_GT(log->begin(), 40u);
  uint64_t first = 0;
  ASSERT_TRUE(log->Read(0, [&](uint64_t index, ByteView) {
    first = index;
    return false;
  }));
  EXPECT_EQ(first, log->begin()) << "reading from before the beginning begins at the beginning";
}

TEST_F(DurableLogTest, RefusesWhatIsTooLarge) {
  const auto log = Open();
  const Bytes large(kRecordBytesMax + 1);
  EXPECT_EQ(log->Append(large).error().code, Code::kInvalidArgument);
  Write(*log, 1);
}

TEST_F(DurableLogTest, HasOneWriter) {
  const auto log = Open();
  const auto second = DurableLog::Open(folder_.path(), Options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
}

TEST_F(DurableLogTest, IsReadWhileItIsWrittenAndTrimmed) {
  LogOptions options = Options();
  options.segment_bytes = 4096;
  options.max_bytes = 32 << 10;
  const auto log = Open(options);
  std::jthread reader([&](const std::stop_token& stop) {
    uint64_t next = 0;
    while (!stop.stop_requested()) {
      const Status status = log->Read(next, [&](uint64_t index, ByteView record) {
        EXPECT_GE(index, next);
        EXPECT_EQ(AsText(record), RecordText(index));
        next = index + 1;
        return true;
      });
      EXPECT_TRUE(status) << status.error().ToString();
      EXPECT_TRUE(log->SetCursor("reader", next));
    }
  });
  for (int i = 0; i < 3000; ++i) {
    const auto index = log->Append(AsBytes(RecordText(log->durable_end())));
    if (!index) {
      EXPECT_EQ(index.error().code, Code::kResourceExhausted);
      std::this_thread::yield();
      continue;
    }
    ASSERT_TRUE(log->Sync());
  }
}

// Three records of 1,000 bytes each round: low, normal and high.
void WriteRounds(DurableLog& log, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    for (const auto priority : {LogPriority::kLow, LogPriority::kNormal, LogPriority::kHigh}) {
      const Bytes record(1000, static_cast<uint8_t>(priority));
      const auto index = log.Append(record, priority);
      ASSERT_TRUE(index) << index.error().ToString();
    }
    ASSERT_TRUE(log.Sync());
  }
}

std::map<uint8_t, int> CountByPriority(DurableLog& log) {
  std::map<uint8_t, int> counts;
  EXPECT_TRUE(log.Read(0, [&](uint64_t, ByteView record) {
    ++counts[record[0]];
    return true;
  }));
  return counts;
}

TEST_F(DurableLogTest, AFullLogGivesUpWhatMattersLeastForWhoMayLose) {
  LogOptions options = Options();
  std::map<LogPriority, int> evicted;
  uint64_t evicted_bytes = 0;
  options.on_evict = [&](uint64_t, LogPriority priority, ByteView record) {
    ++evicted[priority];
    evicted_bytes += record.size();
  };
  auto log = Open(options);
  ASSERT_TRUE(log->SetCursor("uplink", 0));
  log->MayLose("uplink");
  WriteRounds(*log, 500);  // 1.5 MB into 1 MiB.
  EXPECT_LE(log->bytes(), options.max_bytes);
  EXPECT_EQ(evicted.count(LogPriority::kNormal), 0U);
  EXPECT_EQ(evicted_bytes, 1000U * static_cast<uint64_t>(evicted[LogPriority::kLow]));
  auto counts = CountByPriority(*log);
  EXPECT_EQ(counts[0], 500);
  EXPECT_EQ(counts[2], 500);
  EXPECT_EQ(counts[1] + evicted[LogPriority::kLow], 500);
  WriteRounds(*log, 500);
  counts = CountByPriority(*log);
  EXPECT_EQ(counts[2] + evicted[LogPriority::kHigh], 1000);
  EXPECT_EQ(counts[0] + evicted[LogPriority::kNormal], 1000);
  EXPECT_GT(counts[2], counts[0]);  // The important ones stay longest.
  const uint64_t end = log->durable_end();
  log.reset();
  log = Open(options);
  EXPECT_EQ(log->durable_end(), end);
  EXPECT_EQ(CountByPriority(*log), counts);
}

TEST_F(DurableLogTest, WhatAnotherConsumerNeedsIsNotGivenUp) {
  auto log = Open();
  ASSERT_TRUE(log->SetCursor("history", 0));
  ASSERT_TRUE(log->SetCursor("uplink", 0));
  log->MayLose("uplink");
  Result<uint64_t> index = 0;
  const Bytes record(1000, 1);
  while (index && log->Sync()) index = log->Append(record, LogPriority::kLow);
  EXPECT_EQ(index.error().code, Code::kResourceExhausted);
  EXPECT_EQ(CountByPriority(*log)[1], static_cast<int>(log->durable_end()));
}

TEST_F(DurableLogTest, AThinnedSegmentIsStillSearchedForDamage) {
  auto log = Open();
  ASSERT_TRUE(log->SetCursor("uplink", 0));
  log->MayLose("uplink");
  WriteRounds(*log, 500);
  log.reset();
  const auto files = ListFiles(folder_.path(), ".log");
  ASSERT_TRUE(files);
  {
    std::fstream file(folder_ / files->front(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(kSegmentHeaderBytes + 2 * kRecordHeaderBytes + 10));
    file.put('x');
  }
  log = Open();
  int seen = 0;
  const Status read = log->Read(0, [&](uint64_t, ByteView) {
    ++seen;
    return true;
  });
  EXPECT_EQ(read.error().code, Code::kDataLoss);
  EXPECT_GT(seen, 900);
}

TEST_F(DurableLogTest, OldSegmentsGoWhenEverybodyHasReadThem) {
  LogOptions options = Options();
  options.max_age = std::chrono::hours(24);
  auto log = Open(options);
  WriteRounds(*log, 200);
  const uint64_t bytes = log->bytes();
  log.reset();
  const auto files = ListFiles(folder_.path(), ".log");
  ASSERT_TRUE(files);
  for (const std::string& name : *files)
    fs::last_write_time(folder_ / name, fs::file_time_type::clock::now() - std::chrono::hours(25));
  log = Open(options);
  ASSERT_TRUE(log->SetCursor("history", 0));
  ASSERT_TRUE(log->Trim());
  EXPECT_EQ(log->bytes(), bytes);
  ASSERT_TRUE(log->SetCursor("history", log->durable_end()));
  ASSERT_TRUE(log->Trim());
  EXPECT_LT(log->bytes(), bytes / 4);
  EXPECT_GT(log->begin(), 0U);
}

TEST_F(DurableLogTest, WhatGrewTooOldForItsClassIsGivenUpThoughThereIsRoom) {
  ManualClock clock{FromMicros(1'780'000'000'000'000)};
  LogOptions options = Options();
  options.clock = &clock;
  options.keep_unread[static_cast<size_t>(LogPriority::kLow)] = std::chrono::hours(24);
  options.keep_unread[static_cast<size_t>(LogPriority::kNormal)] = std::chrono::hours(72);
  std::map<LogPriority, int> evicted;
  options.on_evict = [&](uint64_t index, LogPriority priority, ByteView) {
    ++evicted[priority];
    // Nobody can read it any more when its owner hears of it.
    ASSERT_TRUE(log_told_->Read(index, [&](uint64_t next, ByteView) {
      EXPECT_NE(next, index);
      return false;
    }));
  };
  auto log = Open(options);
  log_told_ = log.get();
  ASSERT_TRUE(log->SetCursor("uplink", 0));
  ASSERT_TRUE(log->SetCursor("history", 0));
  log->MayLose("uplink");
  WriteRounds(*log, 20);
  clock.Advance(std::chrono::hours(4));  // A slow log closes its segments by age.
  WriteRounds(*log, 20);
  EXPECT_GE(ListFiles(folder_.path(), ".log")->size(), 2U);
  clock.Advance(std::chrono::hours(23));
  ASSERT_TRUE(log->Trim());
  EXPECT_TRUE(evicted.empty()) << "history has not read it";
  ASSERT_TRUE(log->SetCursor("history", log->durable_end()));
  ASSERT_TRUE(log->Trim());
  EXPECT_EQ(evicted, (std::map<LogPriority, int>{{LogPriority::kLow, 20}}));
  clock.Advance(std::chrono::hours(24 * 30));
  WriteRounds(*log, 1);
  ASSERT_TRUE(log->Trim());
  EXPECT_EQ(evicted[LogPriority::kLow], 40);
  EXPECT_EQ(evicted[LogPriority::kNormal], 40);
  EXPECT_EQ(evicted.count(LogPriority::kHigh), 0U);
  EXPECT_EQ(CountByPriority(*log)[static_cast<int>(LogPriority::kHigh)], 41);
}

TEST_F(DurableLogTest, ADroppedCursorHoldsNothing) {
  LogOptions options = Options();
  ManualClock clock{FromMicros(1'780'000'000'000'000)};
  options.clock = &clock;
  options.max_age = std::chrono::hours(24);
  auto log = Open(options);
  ASSERT_TRUE(log->SetCursor("history", 0));
  ASSERT_TRUE(log->SetCursor("hub", 0));
  WriteRounds(*log, 100);
  clock.Advance(std::chrono::hours(48));
  WriteRounds(*log, 1);
  ASSERT_TRUE(log->SetCursor("history", log->durable_end()));
  ASSERT_TRUE(log->Trim());
  EXPECT_EQ(log->begin(), 0U);
  ASSERT_TRUE(log->DropCursor("hub"));
  ASSERT_TRUE(log->DropCursor("hub"));
  ASSERT_TRUE(log->Trim());
  EXPECT_EQ(log->begin(), 300U);
  log.reset();
  log = Open(options);
  EXPECT_EQ(log->Cursor("hub").value(), 0U);
  EXPECT_EQ(log->Cursor("history").value(), 303U);
}

}  // namespace
}  // namespace penstock::storage
