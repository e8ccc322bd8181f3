// The history's files are written beside the pipeline's rounds: who writes is answered meanwhile,
// the log's cursor waits, and a tail that grows too long makes the writers wait.
#include <gtest/gtest.h>

#include <future>

#include "storage/temporary_folder.h"
#include "telemetry/pipeline.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using std::chrono::milliseconds;

// A history whose flushes begin when the test says so.
class HeldHistory final : public storage::History {
 public:
  explicit HeldHistory(std::unique_ptr<History> inner) : inner_(std::move(inner)) {}
  void NamePoint(PointId id, const std::string& path, const std::string& product) override {
    inner_->NamePoint(id, path, product);
  }
  Status Append(const storage::HistoryColumns& columns) override { return inner_->Append(columns); }
  Status Flush() override { return inner_->Flush(); }
  void FlushSoon(std::function<void(Status)> done) override {
    {
      const std::lock_guard lock(mutex_);
      if (hold_) {
        waiting_ = std::move(done);
        ++held_;
        return;
      }
    }
    inner_->FlushSoon(std::move(done));
  }
  uint64_t flushed_sequence_end() const override { return inner_->flushed_sequence_end(); }
  Result<std::vector<storage::HistoryRow>> Read(const std::string& path, Time from, Time to,
                                                size_t limit) override {
    return inner_->Read(path, from, to, limit);
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string& path, Time from, Time to,
                                                  size_t buckets) override {
    return inner_->Trend(path, from, to, buckets);
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time from,
                                           Time to) override {
    return inner_->CoverageOf(paths, from, to);
  }
  Result<uint64_t> Retain(Time cutoff, uint64_t max_bytes) override {
    return inner_->Retain(cutoff, max_bytes);
  }
  Size size() const override { return inner_->size(); }

  void Hold() {
    const std::lock_guard lock(mutex_);
    hold_ = true;
  }
  bool held() const { return held_ > 0; }
  // From now on none is held.
  void Release(bool fails = false) {
    std::function<void(Status)> done;
    {
      const std::lock_guard lock(mutex_);
      hold_ = false;
      held_ = 0;
      done = std::exchange(waiting_, nullptr);
    }
    if (done && fails) done(Unavailable("the disk is full"));
    if (done && !fails) done(inner_->Flush());
  }

 private:
  const std::unique_ptr<History> inner_;
  std::mutex mutex_;
  bool hold_ = false;
  std::function<void(Status)> waiting_;
  std::atomic<int> held_ = 0;
};

class PipelineFlushTest : public testing::Test {
 protected:
  PipelineFlushTest() {
    flow_ = site_.Add("pump-7", "flow").id;
    options_.flush_every = milliseconds(3'600'000);
    options_.sweep_every = milliseconds(10);
    Start();
  }
  ~PipelineFlushTest() override {
    history_->Release();
    pipeline_.reset();
  }
  void Start() {
    pipeline_.reset();
    history_.reset();
    log_.reset();
    log_ = storage::DurableLog::Open(folder_ / "log", {}).value();
    history_ = std::make_unique<HeldHistory>(
        storage::History::Open(folder_ / "history", {.merge_in_background = false}).value());
    pipeline_ = std::make_unique<Pipeline>(*log_, *history_, quarantine_, clock_, options_);
    pipeline_->SetSnapshot(site_.Snapshot());
    pipeline_->BeforeFlush([this]() -> Status {
      if (may_flush_) return {};
      return Unavailable("who has 7 rows is not known");
    });
    ASSERT_TRUE(pipeline_->Start());
  }
  std::future<Status> Send(double from, int count) {
    Batch batch;
    for (int i = 0; i < count; ++i)
      batch.Add(flow_, At(from + i * 0.001), At(from + i * 0.001), from + i);
    auto answer = std::make_shared<std::promise<Status>>();
    pipeline_->Write(std::move(batch),
                     [answer](const Status& status) { answer->set_value(status); });
    return answer->get_future();
  }
  size_t Found() {
    return history_->Read("pump-7/flow", At(-1), At(1e6), 1'000'000).value().size();
  }
  uint64_t Cursor() { return log_->Cursor("history").value(); }
  std::future<Status> FlushAside() {
    auto asked = std::async(std::launch::async, [this] { return pipeline_->Flush(); });
    while (!history_->held()) std::this_thread::yield();
    return asked;
  }

  storage::TemporaryFolder folder_;
  TestSite site_;
  PointId flow_;
  ManualClock clock_{At(0)};
  TestQuarantine quarantine_;
  PipelineOptions options_;
  std::atomic<bool> may_flush_ = true;
  std::unique_ptr<storage::DurableLog> log_;
  std::unique_ptr<HeldHistory> history_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(PipelineFlushTest, WritersAreAnsweredWhileFilesAreWritten) {
  ASSERT_TRUE(Send(0, 10).get());
  history_->Hold();
  auto flushed = FlushAside();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(Send(100 * i, 10).get());
    EXPECT_EQ(Found(), 10U * (static_cast<size_t>(i) + 1));  // Acknowledged is visible.
  }
  EXPECT_EQ(Cursor(), 0U);
  history_->Release();
  EXPECT_TRUE(flushed.get());
  EXPECT_EQ(Cursor(), 1U);  // What came meanwhile is of the next flush.
  EXPECT_TRUE(pipeline_->Flush());
  EXPECT_EQ(Cursor(), 6U);
  Start();
  EXPECT_EQ(Found(), 60U);
}

TEST_F(PipelineFlushTest, AFailedOneKeepsTheCursorAndTheRows) {
  ASSERT_TRUE(Send(0, 10).get());
  history_->Hold();
  auto flushed = FlushAside();
  history_->Release(true);
  EXPECT_FALSE(flushed.get());
  EXPECT_EQ(Cursor(), 0U);
  EXPECT_EQ(Found(), 10U);
  EXPECT_TRUE(pipeline_->Flush());
  EXPECT_EQ(Cursor(), 1U);
}

TEST_F(PipelineFlushTest, ALongTailMakesWritersWait) {
  options_.tail_rows_max = 100;
  Start();
  history_->Hold();
  ASSERT_TRUE(Send(0, 101).get());
  while (!history_->held()) std::this_thread::yield();
  ASSERT_TRUE(Send(1000, 50).get());  // 151 of them: half as many again.
  auto third = Send(2000, 10);
  EXPECT_EQ(third.wait_for(milliseconds(50)), std::future_status::timeout);
  history_->Release();
  EXPECT_TRUE(third.get());
  EXPECT_EQ(Found(), 161U);
}

TEST_F(PipelineFlushTest, OneThatIsPutOffSaysWhyAndKeepsTheTailsBound) {
  options_.tail_rows_max = 100;
  Start();
  may_flush_ = false;
  ASSERT_TRUE(Send(0, 10).get());
  EXPECT_EQ(pipeline_->Flush().error().message, "who has 7 rows is not known");
  size_t rows = 10;
  Status taken;
  for (; taken && rows < 300; rows += taken ? 10 : 0) taken = Send(100.0 * rows, 10).get();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::kUnavailable);
  EXPECT_NE(taken.error().message.find(" rows wait for their files, no more are taken: who has 7 "
                                       "rows is not known"),
            std::string::npos)
      << taken.error().message;
  EXPECT_GT(rows, 100U);
  EXPECT_EQ(Found(), rows);
  EXPECT_EQ(pipeline_->ledger().gap, 0);
  may_flush_ = true;
  EXPECT_TRUE(pipeline_->Flush());
  EXPECT_TRUE(Send(1e5, 10).get());
  EXPECT_EQ(history_->flushed_sequence_end(), rows);
}

TEST_F(PipelineFlushTest, WhatIsPutOffAtTheEndIsThereAtTheNextStart) {
  ASSERT_TRUE(Send(0, 10).get());
  may_flush_ = false;
  pipeline_->Stop();
  EXPECT_EQ(history_->flushed_sequence_end(), 0U);
  Start();
  EXPECT_EQ(Found(), 10U);
  may_flush_ = true;
  EXPECT_TRUE(pipeline_->Flush());
  EXPECT_EQ(history_->flushed_sequence_end(), 10U);
}

TEST_F(PipelineFlushTest, StoppingWaitsForTheFilesAndWritesTheRest) {
  ASSERT_TRUE(Send(0, 10).get());
  history_->Hold();
  auto flushed = FlushAside();
  ASSERT_TRUE(Send(100, 10).get());
  auto stopped = std::async(std::launch::async, [this] { pipeline_->Stop(); });
  history_->Release();
  stopped.get();
  (void)flushed.get();
  EXPECT_EQ(Cursor(), 2U);
  EXPECT_EQ(history_->flushed_sequence_end(), 20U);
}

}  // namespace
}  // namespace penstock::telemetry
