// A tail torn at every byte, and every bit flipped: of the last records of the durable log, of its
// cursors, of the history's manifest. Nothing damaged is ever served, and nothing before it is
// lost.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/file.h"
#include "base/log.h"
#include "storage/disk.h"
#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/log_cursors.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

// The files are made up anyway; waiting for the disk would only cost time.
class HastyDisk final : public Disk {
 public:
  int Sync(int) override { return 0; }
};

class TornAndFlippedTest : public ::testing::Test {
 protected:
  TornAndFlippedTest() { SetLogLevel(LogLevel::kError); }  // Thousands of warnings else.
  ~TornAndFlippedTest() override { SetLogLevel(LogLevel::kInfo); }

  static void Put(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // In memory where there is such a file system: thousands of opens that sync nothing of worth.
  const int in_memory_ =
      setenv("TMPDIR", std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp", 0);
  TemporaryFolder folder_;
  HastyDisk disk_;
};

class TornLogTest : public TornAndFlippedTest {
 protected:
  static constexpr uint64_t kRecords = 8;

  static std::string Text(uint64_t index) {
    return fmt::format("record {} {}", index,
                       std::string(3 + index, static_cast<char>('a' + index)));
  }
  std::unique_ptr<DurableLog> Open() {
    return DurableLog::Open(folder_ / "log", {.disk = &disk_}).value();
  }
  // Eight records in five commits: 0 1 2 | 3 | 4 5 | 6 | 7. Where each begins and ends in the file.
  void SetUp() override {
    std::vector<uint64_t> ends;
    {
      const auto log = Open();
      for (uint64_t index = 0; index < kRecords; ++index) {
        ASSERT_TRUE(log->Append(AsBytes(Text(index))));
        if (index >= 2 && index != 4) {
          ASSERT_TRUE(log->Sync());
        }
      }
    }
    file_ = (fs::directory_iterator(folder_ / "log")->path()).string();
    for (const auto& entry : fs::directory_iterator(folder_ / "log"))
      if (entry.path().extension() == ".log") file_ = entry.path().string();
    bytes_ = ReadFile(file_).value();
    uint64_t at = 32;  // The segment's header.
    for (uint64_t index = 0; index < kRecords; ++index) {
      begins_.push_back(at);
      at += 20 + Text(index).size();
    }
    begins_.push_back(at);
    bytes_.resize(at);  // Without the zeros ahead: every byte counts.
  }
  // Opens the log as it lies there. All records before `damaged` are served, none is served that
  // was not written, and what is written afterwards is kept beside them.
  void Expect(uint64_t damaged, const std::string& what) {
    const auto read = [&](DurableLog& log) {
      std::map<uint64_t, std::string> served;
      (void)log.Read(0, [&](uint64_t index, ByteView record) {
        served[index] = AsText(record);
        return true;
      });
      return served;
    };
    std::map<uint64_t, std::string> before;
    {
      const auto log = Open();
      before = read(*log);
      for (uint64_t index = 0; index < damaged; ++index)
        ASSERT_TRUE(before.contains(index)) << what << ": record " << index << " is lost";
      for (const auto& [index, text] : before)
        ASSERT_EQ(text, Text(index)) << what << ": served with a wrong content";
      ASSERT_FALSE(before.contains(damaged)) << what;
      const auto next = log->Append(AsBytes("new"));
      ASSERT_TRUE(next) << what;
      ASSERT_TRUE(log->Sync()) << what;
      before[*next] = "new";
    }
    ASSERT_EQ(read(*Open()), before) << what;
  }

  std::string file_, bytes_;
  std::vector<uint64_t> begins_;
};

TEST_F(TornLogTest, CutAtEveryByte) {
  for (uint64_t size = begins_[3]; size < bytes_.size(); ++size) {
    Put(file_, std::string_view(bytes_).substr(0, size));
    uint64_t damaged = 0;
    while (begins_[damaged + 1] <= size) ++damaged;
    ASSERT_NO_FATAL_FAILURE(Expect(damaged, fmt::format("cut at {}", size)));
  }
}

TEST_F(TornLogTest, CutAtEveryByteWithZerosOrOldBytesBehind) {
  for (const char filler : {'\0', '\xff', 'r'})
    for (uint64_t size = begins_[5]; size < bytes_.size(); ++size) {
      std::string torn = bytes_.substr(0, size) + std::string(64, filler);
      // A filler that happens to be the missing byte mends what was torn.
      uint64_t damaged = 0;
      while (damaged < kRecords &&
             torn.compare(0, begins_[damaged + 1], bytes_, 0, begins_[damaged + 1]) == 0)
        ++damaged;
      if (damaged == kRecords) continue;
      Put(file_, torn);
      ASSERT_NO_FATAL_FAILURE(Expect(damaged, fmt::format("cut at {}, then {:#x}", size, filler)));
    }
}

TEST_F(TornLogTest, EveryBitOfTheLastRecordsFlipped) {
  for (uint64_t at = begins_[3]; at < bytes_.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes_;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      Put(file_, flipped);
      uint64_t damaged = 0;
      while (begins_[damaged + 1] <= at) ++damaged;
      ASSERT_NO_FATAL_FAILURE(Expect(damaged, fmt::format("byte {}, bit {}", at, bit)));
    }
}

// Damage in front of records that were acknowledged later costs the damaged one alone.
TEST_F(TornLogTest, AFlippedBitCostsOneRecordWhenALaterCommitProvesIt) {
  for (uint64_t at = begins_[3]; at < begins_[4]; ++at) {
    std::string flipped = bytes_;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    Put(file_, flipped);
    const auto log = Open();
    uint64_t served = 0;
    const Status read = log->Read(0, [&](uint64_t index, ByteView record) {
      EXPECT_EQ(AsText(record), Text(index));
      ++served;
      return true;
    });
    ASSERT_EQ(served, kRecords - 1) << "byte " << at;
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::kDataLoss);
  }
}

TEST_F(TornAndFlippedTest, CursorsAreTheLastOnesOrThoseBefore) {
  const std::string path = folder_ / "cursors";
  {
    const auto cursors = LogCursors::Open(path, disk_).value();
    ASSERT_TRUE(cursors->Set("history", 1000));
    ASSERT_TRUE(cursors->Set("uplink", 2000));
    ASSERT_TRUE(cursors->Set("history", 3000));
  }
  const std::string bytes = ReadFile(path).value();
  ASSERT_EQ(bytes.size(), 2 * kCursorSlotBytes);
  const CursorMap last{{"history", 3000}, {"uplink", 2000}},
      before{{"history", 1000}, {"uplink", 2000}};
  const auto expect = [&](std::string_view changed, const std::string& what) {
    Put(path, changed);
    const auto cursors = LogCursors::Open(path, disk_);
    ASSERT_TRUE(cursors) << what;
    ASSERT_TRUE((*cursors)->all() == last || (*cursors)->all() == before) << what;
  };
  for (size_t at = 0; at < bytes.size(); ++at) {
    const size_t in_slot = at % kCursorSlotBytes;
    const bool used = in_slot < 64 || in_slot >= kCursorSlotBytes - 4;
    for (int bit = 0; bit < 8; bit += used ? 1 : 8) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      ASSERT_NO_FATAL_FAILURE(expect(flipped, fmt::format("byte {}, bit {}", at, bit)));
    }
  }
  // A slot torn while it is written: new bytes in front, the old ones behind.
  const std::string old = bytes.substr(0, kCursorSlotBytes), fresh = bytes.substr(kCursorSlotBytes);
  for (size_t cut = 0; cut < kCursorSlotBytes; cut += cut < 128 ? 1 : 61) {
    ASSERT_NO_FATAL_FAILURE(
        expect(old + fresh.substr(0, cut) + std::string(kCursorSlotBytes - cut, '\0'),
               fmt::format("second slot torn at {}", cut)));
    ASSERT_NO_FATAL_FAILURE(
        expect(old.substr(0, cut) + std::string(kCursorSlotBytes - cut, '\0') + fresh,
               fmt::format("first slot torn at {}", cut)));
  }
}

// A manifest that is not whole is put aside and the files speak for themselves: no row is lost or
// doubled.
TEST_F(TornAndFlippedTest, AHistoryWithADamagedManifestHasAllItsRows) {
  const Time start = ParseTime("2026-01-31T23:59:00Z").value();
  constexpr uint64_t kRows = 120;
  {
    const auto history = History::Open(folder_ / "history", {}).value();
    history->NamePoint(PointId{0}, "pump-7/flow", "pump");
    for (uint64_t sequence = 0; sequence < kRows; ++sequence) {
      const PointId point{0};
      const Time time = start + std::chrono::seconds(sequence);
      const auto value = static_cast<double>(sequence);
      const uint32_t quality = 0;
      ASSERT_TRUE(history->Append({std::span(&point, 1), std::span(&time, 1), std::span(&time, 1),
                                   std::span(&value, 1), std::span(&quality, 1), sequence}));
      if (sequence % 40 == 39) {
        ASSERT_TRUE(history->Flush());
      }
    }
  }
  const std::string path = folder_ / "history/manifest";
  const std::string bytes = ReadFile(path).value();
  const auto expect = [&](std::string_view changed, const std::string& what) {
    Put(path, changed);
    const auto history = History::Open(folder_ / "history", {.merge_in_background = false});
    ASSERT_TRUE(history) << what << ": " << history.error().ToString();
    EXPECT_EQ((*history)->flushed_sequence_end(), kRows) << what;
    const auto rows = (*history)->Read("pump-7/flow", start, start + std::chrono::hours(1), 1000);
    ASSERT_TRUE(rows) << what << ": " << rows.error().ToString();
    ASSERT_EQ(rows->size(), kRows) << what;
    for (uint64_t i = 0; i < kRows; ++i)
      ASSERT_EQ((*rows)[i].value, static_cast<double>(i)) << what;
  };
  for (size_t size = 0; size < bytes.size(); size += 7)
    ASSERT_NO_FATAL_FAILURE(
        expect(std::string_view(bytes).substr(0, size), fmt::format("cut at {}", size)));
  for (size_t at = 0; at < bytes.size(); at += 3) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    ASSERT_NO_FATAL_FAILURE(expect(flipped, fmt::format("byte {} flipped", at)));
  }
}

}  // namespace
}  // namespace penstock::storage
