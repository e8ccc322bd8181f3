// kill -9 in the middle of writing: what was acknowledged is there, once, and nothing else is
// served.
//
// A child process writes and reports each acknowledgement through a pipe; we kill it at a random
// moment and look at what it left. Time and place of the kill differ from run to run, which is the
// point; what must hold does not.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/check.h"
#include "base/random.h"
#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/records.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// Runs `child` in a process of its own, kills it after `patience`, returns the last number it
// reported.
template <typename Child>
uint64_t RunAndKill(std::chrono::microseconds patience, const Child& child) {
  int pipe_fds[2];
  CHECK(pipe(pipe_fds) == 0);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    close(pipe_fds[0]);
    child([&](uint64_t number) {
      CHECK(write(pipe_fds[1], &number, sizeof number) == sizeof number);
    });
    _exit(0);
  }
  close(pipe_fds[1]);
  std::this_thread::sleep_for(patience);
  kill(pid, SIGKILL);
  uint64_t last = 0, number = 0;
  while (read(pipe_fds[0], &number, sizeof number) == sizeof number) last = number;
  close(pipe_fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  return last;
}

std::string RecordText(uint64_t index) {
  return fmt::format("record {} {}", index, std::string(index % 300, 'x'));
}

TEST(StorageCrashTest, TheLogKeepsEveryAcknowledgedRecord) {
  const TemporaryFolder folder;
  const LogOptions options{.segment_bytes = 64 << 10, .max_bytes = 64 << 20};
  Random random(static_cast<uint64_t>(getpid()));
  uint64_t acknowledged = 0;
  for (int round = 0; round < 40; ++round) {
    const auto patience = std::chrono::microseconds(5'000 + random.Below(60'000));
    const uint64_t last = RunAndKill(patience, [&](const auto& report) {
      const auto log = DurableLog::Open(folder / "log", options).value();
      Random sizes(static_cast<uint64_t>(getpid()));
      uint64_t next = log->durable_end();
      while (true) {
        for (uint64_t i = 1 + sizes.Below(20); i > 0; --i)
          CHECK(log->Append(AsBytes(RecordText(next++))).has_value());
        CHECK(log->Sync().has_value());
        report(log->durable_end());
      }
    });
    acknowledged = std::max(acknowledged, last);
    const auto log = DurableLog::Open(folder / "log", options);
    ASSERT_TRUE(log) << log.error().ToString();
    ASSERT_GE((*log)->durable_end(), acknowledged) << "round " << round;
    uint64_t expected = 0;
    const Status read = (*log)->Read(0, [&](uint64_t index, ByteView record) {
      EXPECT_EQ(index, expected++);
      EXPECT_EQ(AsText(record), RecordText(index));
      return true;
    });
    ASSERT_TRUE(read) << read.error().ToString();
    ASSERT_EQ(expected, (*log)->durable_end());
  }
  EXPECT_GT(acknowledged, 100u) << "the rounds were too short to mean anything";
}

// The whole way: rows into the log, acknowledged, into the history, flushed and merged; killed
// anywhere.
TEST(StorageCrashTest, LogAndHistoryTogetherHoldEveryRowOnce) {
  const TemporaryFolder folder;
  const Time start = ParseTime("2026-01-31T23:50:00Z").value();
  const HistoryOptions options{.flush_every = hours(1), .merge_files = 3};
  constexpr uint64_t kRows = 20;  // Per record of the log.
  const auto open_history = [&] {
    auto history = History::Open(folder / "history", options).value();
    history->NamePoint(PointId{0}, "pump-7/flow", "pump");
    history->NamePoint(PointId{1}, "gearbox-2/torque", "gearbox");
    return history;
  };
  const auto append = [&](History& history, uint64_t record) {
    std::vector<PointId> point;
    std::vector<Time> time;
    std::vector<double> value;
    for (uint64_t i = 0; i < kRows; ++i) {
      const uint64_t sequence = record * kRows + i;
      point.push_back(PointId{static_cast<uint32_t>(sequence % 2)});
      time.push_back(start + seconds(sequence));
      value.push_back(static_cast<double>(sequence));
    }
    const std::vector<uint32_t> quality(kRows);
    CHECK(history.Append({point, time, time, value, quality, record * kRows}).has_value());
  };
  const auto replay = [&](DurableLog& log, History& history) {
    CHECK(log.Read(history.flushed_sequence_end() / kRows,
                   [&](uint64_t index, ByteView) {
                     append(history, index);
                     return true;
                   })
              .has_value());
  };
  Random random(static_cast<uint64_t>(getpid()));
  uint64_t acknowledged = 0;
  for (int round = 0; round < 25; ++round) {
    const auto patience = std::chrono::microseconds(40'000 + random.Below(150'000));
    const uint64_t last = RunAndKill(patience, [&](const auto& report) {
      const auto log = DurableLog::Open(folder / "log", {}).value();
      const auto history = open_history();
      replay(*log, *history);
      for (int i = 1;; ++i) {
        const uint64_t index = log->Append(AsBytes("rows")).value();
        CHECK(log->Sync().has_value());
        report(index + 1);
        append(*history, index);
        if (i % 3 == 0) CHECK(history->Flush().has_value());
      }
    });
    acknowledged = std::max(acknowledged, last);
  }
  const auto log = DurableLog::Open(folder / "log", {}).value();
  ASSERT_GE(log->durable_end(), acknowledged);
  const auto history = open_history();
  EXPECT_GT(history->size().file_rows, 0u);
  replay(*log, *history);
  uint64_t rows = 0;
  for (const uint64_t parity : {0u, 1u}) {
    const auto read = history
                          ->Read(parity == 0 ? "pump-7/flow" : "gearbox-2/torque", start,
                                 start + hours(10'000), 1'000'000)
                          .value();
    for (size_t i = 0; i < read.size(); ++i)
      ASSERT_EQ(read[i].value, static_cast<double>(2 * i + parity)) << "lost or doubled";
    rows += read.size();
  }
  EXPECT_EQ(rows, log->durable_end() * kRows);
  EXPECT_GT(acknowledged, 25u) << "the rounds were too short to mean anything";
}

TEST(StorageCrashTest, RecordsKeepEveryCommittedTransaction) {
  const TemporaryFolder folder;
  uint64_t committed = 0;
  Random random(static_cast<uint64_t>(getpid()));
  for (int round = 0; round < 15; ++round) {
    const uint64_t last = RunAndKill(
        std::chrono::microseconds(20'000 + random.Below(50'000)), [&](const auto& report) {
          const auto records = Records::Open(folder / "records.db").value();
          CHECK(
              records
                  ->Migrate("test",
                            {{1, "CREATE TABLE pairs(n INTEGER PRIMARY KEY, twin INTEGER) STRICT"}})
                  .has_value());
          while (true) {
            const int64_t next =
                records->Query("SELECT coalesce(max(n), 0) + 1 FROM pairs").value()[0].Integer(0);
            CHECK(records
                      ->Transaction([&]() -> Status {
                        TRY(records->Run("INSERT INTO pairs VALUES(?, NULL)", {next}));
                        TRY(records->Run("UPDATE pairs SET twin=n WHERE n=?", {next}));
                        return {};
                      })
                      .has_value());
            report(static_cast<uint64_t>(next));
          }
        });
    committed = std::max(committed, last);
    const auto records = Records::Open(folder / "records.db").value();
    if (committed == 0) continue;
    const auto rows = records->Query("SELECT max(n), count(*), count(twin) FROM pairs").value();
    ASSERT_GE(static_cast<uint64_t>(rows[0].Integer(0)), committed);
    ASSERT_EQ(rows[0].Integer(0), rows[0].Integer(1));
    ASSERT_EQ(rows[0].Integer(1), rows[0].Integer(2));
  }
  EXPECT_GT(committed, 15u);
}

}  // namespace
}  // namespace penstock::storage
