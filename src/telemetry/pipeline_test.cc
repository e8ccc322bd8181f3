#include "telemetry/pipeline.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "storage/temporary_folder.h"
#include "telemetry/batch_codec.h"
#include "telemetry/batch_rows.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using std::chrono::milliseconds;

// A disk that the test can fill up and empty. What survives a crash is in `records` and `cursors`.
class FakeLog final : public storage::DurableLog {
 public:
  using DurableLog::Append;
  Result<uint64_t> Append(ByteView record, storage::LogPriority priority) override {
    const std::lock_guard lock(mutex);
    priorities.push_back(priority);
    if (full) return ResourceExhausted("no space left on device");
    waiting.emplace_back(record.begin(), record.end());
    return records.size() + waiting.size() - 1;
  }
  Status Sync() override {
    const std::lock_guard lock(mutex);
    ++syncs;
    if (sync_fails) {
      waiting.clear();
      return Unavailable("input/output error");
    }
    for (auto& record : waiting) records.push_back(std::move(record));
    waiting.clear();
    return {};
  }
  uint64_t durable_end() const override { return records.size(); }
  uint64_t begin() const override { return 0; }
  Status Read(uint64_t from, const std::function<bool(uint64_t, ByteView)>& visit) override {
    bool met = false;
    for (uint64_t i = from; i < records.size(); ++i) {
      if (lost.contains(i))
        met = true;
      else if (!visit(i, records[i]))
        return {};
    }
    if (met) return DataLoss("a record is damaged");
    return {};
  }
  Result<uint64_t> Cursor(const std::string& name) const override {
    const auto found = cursors.find(name);
    return found == cursors.end() ? 0 : found->second;
  }
  Status SetCursor(const std::string& name, uint64_t index) override {
    if (!lose_cursors) cursors[name] = index;
    return {};
  }
  Status DropCursor(const std::string& name) override {
    cursors.erase(name);
    return {};
  }
  void MayLose(const std::string&) override {}
  Status Trim() override { return {}; }
  uint64_t bytes() const override { return 0; }

  std::vector<storage::LogPriority> priorities;  // Of all that was appended.
  std::mutex mutex;
  std::vector<Bytes> records, waiting;
  std::map<std::string, uint64_t> cursors;
  std::set<uint64_t> lost;  // Damaged on disk: never served.
  std::atomic<bool> full = false, sync_fails = false, lose_cursors = false;
  std::atomic<int> syncs = 0;
};

// `files` survives a crash, `tail` does not.
class FakeHistory final : public storage::History {
 public:
  void NamePoint(PointId id, const std::string& path, const std::string&) override {
    names[id.value] = path;
  }
  Status Append(const storage::HistoryColumns& columns) override {
    if (broken) return Unavailable("history is broken");
    for (size_t i = 0; i < columns.value.size(); ++i) {
      EXPECT_TRUE(names.contains(columns.point[i].value));
      tail.emplace_back(columns.first_sequence + i, columns.value[i]);
    }
    return {};
  }
  Status Flush() override {
    if (broken) return Unavailable("history is broken");
    files.insert(files.end(), tail.begin(), tail.end());
    tail.clear();
    return {};
  }
  uint64_t flushed_sequence_end() const override {
    return files.empty() ? 0 : files.back().first + 1;
  }
  Result<std::vector<storage::HistoryRow>> Read(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string&, Time, Time, size_t) override {
    return {};
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string>, Time, Time) override {
    return {};
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Result<std::vector<storage::HistoryDeletion>> RetainBy(
      const storage::HistoryRetention&) override {
    return deletions;
  }
  Size size() const override { return {}; }

  // Sequence -> value of all that a query would see; a doubled row fails the test.
  std::map<uint64_t, double> All() const {
    std::map<uint64_t, double> all;
    for (const auto* rows : {&files, &tail}) {
      for (const auto& [sequence, value] : *rows) {
        EXPECT_TRUE(all.emplace(sequence, value).second) << "twice: " << sequence;
      }
    }
    return all;
  }

  std::map<uint32_t, std::string> names;
  std::vector<std::pair<uint64_t, double>> tail, files;
  std::vector<storage::HistoryDeletion> deletions;  // What every retention deletes.
  std::atomic<bool> broken = false;
};

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() {
    flow_ = site_.Add("pump-7", "flow").id;
    options_.flush_every = milliseconds(3'600'000);
    options_.retry_for = milliseconds(0);
    options_.sweep_every = milliseconds(10);
  }
  ~PipelineTest() override { pipeline_.reset(); }

  void Start() {
    pipeline_ = std::make_unique<Pipeline>(log_, history_, quarantine_, clock_, options_);
    pipeline_->SetSnapshot(site_.Snapshot());
    pipeline_->Subscribe([this](const Batch& batch) { seen_ += batch.size(); });
    pipeline_->Subscribe([this](const Batch& batch) { seen_or_replayed_ += batch.size(); },
                         Pipeline::Replay::kYes);
    ASSERT_TRUE(pipeline_->Start());
  }
  // The process dies: memory is gone, disk is what it is. Without the flush of an orderly stop.
  void Crash() {
    const auto disk = history_.files;
    const auto cursors = log_.cursors;
    pipeline_.reset();
    history_.files = disk;
    history_.tail.clear();
    log_.cursors = cursors;
  }
  Batch Rows(double from, int count) {
    Batch batch;
    for (int i = 0; i < count; ++i) batch.Add(flow_, At(from + i), At(from + i), from + i);
    return batch;
  }
  // Writes and waits for the answer.
  Status Send(Batch batch) {
    std::promise<Status> answer;
    pipeline_->Write(std::move(batch), [&](const Status& status) { answer.set_value(status); });
    return answer.get_future().get();
  }
  void ExpectBalanced() {
    pipeline_->WaitUntilHandled();
    EXPECT_EQ(pipeline_->ledger().gap, 0);
    EXPECT_EQ(pipeline_->ledger().pending, 0U);
  }

  TestSite site_;
  PointId flow_;
  ManualClock clock_{At(0)};
  FakeLog log_;
  FakeHistory history_;
  TestQuarantine quarantine_;
  PipelineOptions options_;
  std::atomic<size_t> seen_ = 0, seen_or_replayed_ = 0;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(PipelineTest, AcknowledgesOnlyWhatTheLogHasSynced) {
  Start();
  size_t records_at_answer = 0;
  std::promise<void> answered;
  pipeline_->Write(Rows(0, 10), [&](const Status& status) {
    EXPECT_TRUE(status);
    records_at_answer = log_.records.size();
    answered.set_value();
  });
  answered.get_future().wait();
  EXPECT_EQ(records_at_answer, 1U);
  ExpectBalanced();
  EXPECT_EQ(history_.All().size(), 10U);
  EXPECT_EQ(seen_, 10U);
  EXPECT_EQ(history_.names[flow_.value], "pump-7/flow");
  const Ledger ledger = pipeline_->ledger();
  EXPECT_EQ(ledger.produced, 10U);
  EXPECT_EQ(ledger.stored, 10U);
}

TEST_F(PipelineTest, AnAnswerComesWhenAQueryFindsTheRows) {
  Start();
  for (int i = 0; i < 20; ++i) {
    std::promise<size_t> found;
    pipeline_->Write(Rows(i * 10, 3),
                     [&](const Status&) { found.set_value(history_.tail.size()); });
    EXPECT_EQ(found.get_future().get(), static_cast<size_t>(3 * (i + 1)));
  }
}

TEST_F(PipelineTest, RowsOfAnotherNodeAreOneRecordKeepTheirOriginAndAreSeenAgain) {
  std::vector<Batch> seen;
  const auto start = [&] {
    pipeline_ = std::make_unique<Pipeline>(log_, history_, quarantine_, clock_, options_);
    pipeline_->SetSnapshot(site_.Snapshot());
    pipeline_->Subscribe([&](const Batch& batch) { seen.push_back(batch); },
                         Pipeline::Replay::kYes);
    ASSERT_TRUE(pipeline_->Start());
  };
  options_.epoch = 77;
  start();
  ASSERT_TRUE(Send(Rows(0, 2)));
  Batch foreign = Rows(100, 3);
  foreign.Add(PointId{4}, At(103), At(103), 1);  // Not in our snapshot: judged where it came from.
  foreign.origin = {"gateway-3", 42, 1000};
  ASSERT_TRUE(Send(foreign));
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().quarantined, 0U);
  Crash();
  seen.clear();
  start();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_TRUE(seen[0].own());
  EXPECT_EQ(seen[0].origin.epoch, 77U);
  EXPECT_EQ(seen[1].origin.edge, "gateway-3");
  EXPECT_EQ(seen[1].origin.epoch, 42U);
  EXPECT_EQ(seen[1].origin.first, 1000U);
  EXPECT_EQ(seen[1].first_sequence, 2U);
  EXPECT_EQ(seen[1].size(), 4U);
}

TEST_F(PipelineTest, AHugeWriteOfAnotherNodeKeepsItsNumbers) {
  Start();
  Batch foreign = Rows(0, 300'000);
  foreign.origin = {"gateway-3", 42, 1000};
  ASSERT_TRUE(Send(std::move(foreign)));
  pipeline_->WaitUntilHandled();
  ASSERT_EQ(log_.records.size(), 2U);
  const auto second = DecodeBatch(log_.records[1]);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->origin.first, 1000 + second->first_sequence);
}

TEST_F(PipelineTest, TheCursorMovesOnlyAfterWhoeverKeepsSomethingHasKeptIt) {
  pipeline_ = std::make_unique<Pipeline>(log_, history_, quarantine_, clock_, options_);
  pipeline_->SetSnapshot(site_.Snapshot());
  bool fails = true;
  size_t files_when_called = 0;
  pipeline_->BeforeCursor([&]() -> Status {
    files_when_called = history_.files.size();
    return fails ? Status(Unavailable("disk")) : Status();
  });
  ASSERT_TRUE(pipeline_->Start());
  ASSERT_TRUE(Send(Rows(0, 10)));
  EXPECT_FALSE(pipeline_->Flush());
  EXPECT_EQ(files_when_called, 10U);
  EXPECT_EQ(log_.cursors["history"], 0U);
  fails = false;
  EXPECT_TRUE(pipeline_->Flush());
  EXPECT_EQ(log_.cursors["history"], 1U);
  pipeline_->Stop();  // It asks once more, and `fails` must still be there.
}

class NothingAboveFive final : public RowCheck {
 public:
  std::shared_ptr<const ValueLimits> Begin(uint64_t) override {
    auto limits = std::make_shared<ValueLimits>(1000);
    for (uint32_t id = 0; id < 1000; ++id)
      limits->Set(PointId{id}, ValueLimit::For(0, 5, false, false));
    return limits;
  }
  void Judge(Batch& batch, std::span<const uint32_t> suspects,
             std::vector<PointId>& taken) override {
    ASSERT_EQ(suspects.size(), 1U);
    EXPECT_EQ(batch.value[suspects[0]], 6);
    taken.push_back(batch.point[suspects[0]]);
    const RowRange row{suspects[0], suspects[0] + size_t{1}};
    RemoveRows(batch, {&row, 1});
  }
};

TEST_F(PipelineTest, ACheckTakesRowsOutBeforeTheyAreStored) {
  pipeline_ = std::make_unique<Pipeline>(log_, history_, quarantine_, clock_, options_);
  pipeline_->SetSnapshot(site_.Snapshot());
  NothingAboveFive check;
  pipeline_->CheckWith(check);
  ASSERT_TRUE(pipeline_->Start());
  Batch rows = Rows(0, 10);
  for (double& value : rows.value) value = 1;
  rows.value[7] = 6;
  ASSERT_TRUE(Send(std::move(rows)));
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().quarantined, 1U);
  EXPECT_EQ(history_.All().size(), 9U);
  pipeline_->Stop();  // Before the check goes.
}

TEST_F(PipelineTest, WhatRepeatsARefusedRowIsRefusedWithIt) {
  options_.drain_rows = 1'000'000;
  Start();
  log_.full = true;
  pipeline_->Write(Rows(0, 1));  // Holds the thread, so that the next two share a round.
  std::atomic<int> durable = 0, refused = 0;
  const auto count = [&](const Status& status) { ++(status ? durable : refused); };
  pipeline_->Write(Rows(10, 5000), count);
  pipeline_->Write(Rows(10, 5000), count);
  pipeline_->WaitUntilHandled();
  EXPECT_EQ(durable, 0);
  EXPECT_EQ(refused, 2);
  log_.full = false;
  EXPECT_TRUE(Send(Rows(10, 5000)));
  EXPECT_EQ(history_.All().size(), 5000U);
}

TEST_F(PipelineTest, TheLedgerOfThePointsGoesOnOverACrashAndAddsUp) {
  const storage::TemporaryFolder folder;
  const auto open = [&] {
    auto ledger = PointLedger::Open(folder.path(), 7);
    EXPECT_TRUE(ledger);
    return std::move(*ledger);
  };
  auto ledger = open();
  options_.ledger = ledger.get();
  Start();
  ASSERT_TRUE(Send(Rows(0, 10)));
  ASSERT_TRUE(Send(Rows(0, 10)));  // Known.
  ASSERT_TRUE(pipeline_->Flush());
  ASSERT_TRUE(Send(Rows(100, 5)));
  Batch strange;
  strange.Add(PointId{99}, At(0), At(0), 1);
  ASSERT_TRUE(Send(std::move(strange)));
  ExpectBalanced();
  Crash();
  ledger = open();
  options_.ledger = ledger.get();
  Start();
  ASSERT_TRUE(Send(Rows(200, 1)));
  ExpectBalanced();
  const Ledger whole = pipeline_->ledger();
  EXPECT_EQ(whole.produced, 27U);
  EXPECT_EQ(whole.stored, 16U);
  EXPECT_EQ(whole.quarantined, 1U);
  EXPECT_EQ(whole.duplicates, 10U);
  EXPECT_EQ(ledger->total().gap(), 0);
  EXPECT_EQ(ledger->Points()[flow_.value].stored(), 16);
  EXPECT_EQ(ledger->Points()[flow_.value].gap(), 0);
  pipeline_.reset();
}

TEST_F(PipelineTest, ARecordThatTheDiskLostIsAGap) {
  const storage::TemporaryFolder folder;
  auto ledger = PointLedger::Open("", 7);
  options_.ledger = ledger->get();
  Start();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send(Rows(100 * i, 2)));
  pipeline_->WaitUntilHandled();
  Crash();
  log_.lost = {1};
  ledger = PointLedger::Open(folder.path(), 7);
  options_.ledger = ledger->get();
  Start();
  EXPECT_EQ(pipeline_->ledger().gap, 2);
  EXPECT_EQ(pipeline_->ledger().produced, 6U);
  EXPECT_EQ((*ledger)->total().lost, 2U);
  pipeline_.reset();
}

TEST_F(PipelineTest, ARecordHoldsRowsOfOnePriority) {
  const PointId wave = site_.Add("pump-7", "wave", things::ValueType::kWaveform, 10).id;
  Start();
  Batch batch;
  for (int i = 0; i < 10; ++i) {
    batch.Add(wave, At(i * 0.1), At(1), i);
    if (i == 4) batch.Add(flow_, At(1), At(1), 5);
  }
  ASSERT_TRUE(Send(std::move(batch)));
  ExpectBalanced();
  ASSERT_EQ(log_.priorities.size(), 2U);
  EXPECT_EQ(log_.priorities[0], storage::LogPriority::kNormal);
  EXPECT_EQ(log_.priorities[1], storage::LogPriority::kLow);
  EXPECT_EQ(history_.All().size(), 11U);
  EXPECT_EQ(log_.syncs, 1);
}

TEST_F(PipelineTest, ManyWritersShareOneSync) {
  Start();
  log_.full = true;  // Holds the thread, so that the queue fills.
  pipeline_->Write(Rows(0, 1));
  std::atomic<int> answers = 0;
  for (int i = 1; i <= 100; ++i) {
    pipeline_->Write(Rows(i * 10, 1), [&](const Status&) { ++answers; });
  }
  log_.full = false;
  pipeline_->WaitUntilHandled();
  EXPECT_EQ(answers, 100);
  EXPECT_LT(log_.syncs, 50);
  ExpectBalanced();
}

TEST_F(PipelineTest, NothingAcknowledgedIsLostOrDoubledByACrash) {
  Start();
  ASSERT_TRUE(Send(Rows(0, 10)));
  ASSERT_TRUE(pipeline_->Flush());
  ASSERT_TRUE(Send(Rows(100, 5)));
  pipeline_->WaitUntilHandled();
  Crash();
  seen_ = seen_or_replayed_ = 0;
  Start();
  EXPECT_EQ(history_.All().size(), 15U);
  EXPECT_EQ(seen_, 0U);              // Alarms are not raised again,
  EXPECT_EQ(seen_or_replayed_, 5U);  // live values come back.
  EXPECT_EQ(pipeline_->next_sequence(), 15U);
  ASSERT_TRUE(Send(Rows(200, 5)));
  pipeline_->Stop();
  EXPECT_EQ(history_.All().size(), 20U);
  EXPECT_EQ(history_.All().rbegin()->first, 19U);
}

TEST_F(PipelineTest, ACrashBetweenParquetAndCursorDoublesNothing) {
  log_.lose_cursors = true;
  Start();
  ASSERT_TRUE(Send(Rows(0, 10)));
  ASSERT_TRUE(pipeline_->Flush());
  ASSERT_TRUE(Send(Rows(100, 5)));
  pipeline_->WaitUntilHandled();
  Crash();
  Start();
  EXPECT_EQ(history_.All().size(), 15U);
}

TEST_F(PipelineTest, ASampleResentAfterTheCrashIsKnown) {
  Start();
  ASSERT_TRUE(Send(Rows(0, 3)));
  pipeline_->Stop();
  Start();
  ASSERT_TRUE(Send(Rows(0, 3)));
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().duplicates, 3U);
  EXPECT_EQ(history_.All().size(), 3U);
}

TEST_F(PipelineTest, AFullDiskIsToldAndEndsWhenThereIsSpaceAgain) {
  Start();
  log_.full = true;
  const Status refused = Send(Rows(0, 4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(pipeline_->log_failing());
  log_.full = false;
  EXPECT_TRUE(Send(Rows(0, 4)));  // The producer sends again; that is no duplicate.
  EXPECT_FALSE(pipeline_->log_failing());
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().refused, 4U);
  EXPECT_EQ(pipeline_->ledger().stored, 4U);
  EXPECT_EQ(history_.All().size(), 4U);
  EXPECT_EQ(history_.All().begin()->first, 0U);  // Refused rows used up no numbers.
}

TEST_F(PipelineTest, AShortHiccupOfTheDiskIsRetriedUnseen) {
  options_.retry_for = milliseconds(60'000);
  Start();
  log_.sync_fails = true;
  std::promise<Status> answer;
  pipeline_->Write(Rows(0, 4), [&](const Status& status) { answer.set_value(status); });
  while (log_.syncs < 2) std::this_thread::yield();
  log_.sync_fails = false;
  EXPECT_TRUE(answer.get_future().get());
  ExpectBalanced();
  EXPECT_EQ(history_.All().size(), 4U);
}

TEST_F(PipelineTest, AFullQueueRefusesAfterItsWait) {
  options_.queue_batches = 2;
  options_.write_wait = milliseconds(1);
  options_.retry_for = milliseconds(60'000);
  Start();
  log_.full = true;
  std::atomic<int> durable = 0, refused = 0;
  for (int i = 0; i < 10; ++i) {
    pipeline_->Write(Rows(i * 10, 1), [&](const Status& status) {
      ++(status ? durable : refused);
      EXPECT_TRUE(status || status.error().code == Code::kResourceExhausted);
    });
  }
  log_.full = false;
  pipeline_->Stop();
  EXPECT_EQ(durable + refused, 10);
  EXPECT_GE(refused, 1);
  const Ledger ledger = pipeline_->ledger();
  EXPECT_EQ(ledger.gap, 0);
  EXPECT_EQ(ledger.stored, static_cast<uint64_t>(durable));
  EXPECT_EQ(ledger.refused, static_cast<uint64_t>(refused));
}

TEST_F(PipelineTest, BadRowsGoToQuarantineAndTheGoodOnesBesideThemStay) {
  Start();
  Batch batch = Rows(0, 3);
  batch.Add(PointId{99}, At(3), At(3), 1);
  EXPECT_TRUE(Send(std::move(batch)));
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().quarantined, 1U);
  EXPECT_EQ(history_.All().size(), 3U);
}

TEST_F(PipelineTest, HistoryThatFailsIsCaughtUpFromTheLog) {
  Start();
  history_.broken = true;
  EXPECT_TRUE(Send(Rows(0, 4)));  // Durable in the log is durable.
  EXPECT_TRUE(Send(Rows(100, 4)));
  EXPECT_FALSE(pipeline_->Flush());
  history_.broken = false;
  pipeline_->Stop();
  Start();
  EXPECT_EQ(history_.All().size(), 8U);
}

TEST_F(PipelineTest, ADamagedRecordIsSkippedTheOthersAreServed) {
  Start();
  ASSERT_TRUE(Send(Rows(0, 2)));
  ASSERT_TRUE(Send(Rows(100, 2)));
  pipeline_->WaitUntilHandled();
  Crash();
  log_.records[0] = {'x'};
  Start();
  EXPECT_EQ(history_.All().size(), 2U);
  EXPECT_EQ(pipeline_->next_sequence(), 4U);
}

TEST_F(PipelineTest, ADamagedLogDoesNotKeepTheNodeFromStarting) {
  Start();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send(Rows(100 * i, 2)));
  pipeline_->WaitUntilHandled();
  Crash();
  log_.lost = {1, 2};
  Start();
  EXPECT_EQ(history_.All().size(), 2U);
  ASSERT_TRUE(Send(Rows(900, 2)));
  pipeline_->Stop();
  EXPECT_EQ(history_.All().size(), 4U);
}

TEST_F(PipelineTest, AHugeWriteBecomesSeveralRecords) {
  Start();
  ASSERT_TRUE(Send(Rows(0, 600'000)));
  ExpectBalanced();
  EXPECT_EQ(log_.records.size(), 3U);
  EXPECT_EQ(history_.All().size(), 600'000U);
}

TEST_F(PipelineTest, ASilentPointGetsASampleThatSaysSo) {
  TestSite site;
  things::Point& flow = site.Add("pump-7", "flow");
  flow.quality.stale_after = std::chrono::seconds(30);
  site_ = site;
  Start();
  ASSERT_TRUE(Send(Rows(0, 1)));
  clock_.Set(At(31));
  while (seen_ < 2) std::this_thread::yield();
  ExpectBalanced();
  EXPECT_EQ(pipeline_->ledger().stored, 2U);
}

TEST_F(PipelineTest, AfterStopWritesAreRefused) {
  Start();
  pipeline_->Stop();
  EXPECT_EQ(Send(Rows(0, 1)).error().code, Code::kUnavailable);
  EXPECT_EQ(pipeline_->ledger().gap, 0);
  EXPECT_FALSE(pipeline_->Flush());
}

TEST_F(PipelineTest, RollUpsThatGoAloneAreToldAndAreNoSamples) {
  history_.deletions = {
      {.product = "pump", .level = "1m", .rows = 60, .first = {}, .last = {}, .of_point = {}}};
  size_t told = 0;
  options_.on_deleted = [&](const auto& gone) { told += gone.size(); };
  Start();
  ASSERT_TRUE(Send(Rows(0, 1)));
  pipeline_->Stop();
  EXPECT_EQ(told, 1U);
  EXPECT_EQ(pipeline_->ledger().evicted, 0U);
}

}  // namespace
}  // namespace penstock::telemetry
