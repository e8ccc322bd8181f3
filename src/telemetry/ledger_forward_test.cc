#include "telemetry/ledger_forward.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "storage/temporary_folder.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

// An edge whose hub is a cursor that the test moves.
class ForwardBookTest : public testing::Test {
 protected:
  static constexpr const char* kHub = "hub";

  ForwardBookTest() {
    site_.Add("pump-7", "flow");
    site_.Add("pump-7", "wave", things::ValueType::kWaveform, 100);
  }
  ~ForwardBookTest() override { Stop(); }

  void Start() {
    storage::LogOptions log;
    log.max_bytes = log_bytes_;
    log.segment_bytes = 4096;
    log.on_evict = [this](uint64_t index, storage::LogPriority priority, ByteView record) {
      book_->GaveUp(index, priority, record);
    };
    log_ = storage::DurableLog::Open(base_ + "/log", log).value();
    history_ = storage::History::Open(base_ + "/history", {}).value();
    ledger_ = PointLedger::Open(base_ + "/ledger", 7).value();
    PipelineOptions options;
    options.ledger = ledger_.get();
    options.epoch = 7;
    options.retain = std::chrono::hours(1);
    options.commit_gap = std::chrono::milliseconds(0);
    pipeline_ = std::make_unique<Pipeline>(*log_, *history_, quarantine_, clock_, options);
    pipeline_->SetSnapshot(site_.Snapshot());
    ASSERT_TRUE(log_->SetCursor(kHub, log_->Cursor(kHub).value()));
    log_->MayLose(kHub);
    auto book = ForwardBook::Open(*log_, *ledger_, *pipeline_, kHub, true);
    ASSERT_TRUE(book) << book.error().ToString();
    book_ = std::move(*book);
    pipeline_->BeforeCursor([this] { return book_->Keep(); });
    ASSERT_TRUE(pipeline_->Start());
  }
  void Stop() {
    if (pipeline_) pipeline_->Stop();
    pipeline_.reset();
    book_.reset();
    ledger_.reset();
    history_.reset();
    log_.reset();
  }
  // As a kill leaves it.
  void Crash() {
    const std::string left = folder_ / fmt::format("life-{}", ++lives_);
    std::filesystem::copy(base_, left, std::filesystem::copy_options::recursive);
    Stop();
    base_ = left;
    Start();
  }
  // `rows` of one point, in a record of their own.
  void Write(uint32_t point, int rows) {
    Batch batch;
    for (int i = 0; i < rows; ++i, now_ += 1) batch.Add(PointId{point}, At(now_), At(now_), now_);
    pipeline_->Write(std::move(batch));
    pipeline_->WaitUntilHandled();
  }
  void HubHas(uint64_t record) {
    ASSERT_TRUE(log_->SetCursor(kHub, record));
    for (Result<bool> more = true; *more;) {
      more = book_->Advance();
      ASSERT_TRUE(more) << more.error().ToString();
    }
  }
  void ExpectSums(uint64_t stored, uint64_t forwarded, uint64_t evicted) {
    const Ledger ledger = pipeline_->ledger();
    EXPECT_EQ(ledger.stored, stored);
    EXPECT_EQ(ledger.forwarded, forwarded);
    EXPECT_EQ(ledger.evicted, evicted);
    EXPECT_EQ(ledger.gap, 0);
    const LedgerCounts total = ledger_->total();
    EXPECT_EQ(total.stored(), static_cast<int64_t>(stored));
    EXPECT_EQ(total.forwarded, forwarded);
    EXPECT_EQ(total.evicted, evicted);
    for (const LedgerCounts& point : ledger_->Points()) {
      EXPECT_EQ(point.gap(), 0);
      EXPECT_GE(point.stored(), 0);
    }
  }

  storage::TemporaryFolder folder_;
  int lives_ = 0;
  std::string base_ = folder_ / "life-0";
  ManualClock clock_{At(0)};
  TestSite site_;
  TestQuarantine quarantine_;
  uint64_t log_bytes_ = 1 << 20;
  double now_ = 0;
  std::unique_ptr<storage::DurableLog> log_;
  std::unique_ptr<storage::History> history_;
  std::unique_ptr<PointLedger> ledger_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<ForwardBook> book_;
};

TEST_F(ForwardBookTest, WhatTheHubHasIsForwardedByPoint) {
  Start();
  Write(0, 10);
  Write(1, 5);
  ExpectSums(15, 0, 0);
  HubHas(1);
  ExpectSums(5, 10, 0);
  HubHas(2);
  HubHas(2);
  ExpectSums(0, 15, 0);
  EXPECT_EQ(ledger_->Points()[1].forwarded, 5U);
  const auto hours = ledger_->Read(At(-3600), At(3600));
  ASSERT_TRUE(hours);
  EXPECT_EQ(hours->back().total.forwarded, 15U);
}

TEST_F(ForwardBookTest, ACrashAtAnyMomentBooksEachRowOnce) {
  Start();
  Write(0, 10);
  HubHas(1);
  ASSERT_TRUE(pipeline_->Flush());  // The ledger is on disk.
  Write(0, 10);
  HubHas(2);
  ExpectSums(0, 20, 0);
  Crash();  // The second booking was not written.
  ExpectSums(10, 10, 0);
  HubHas(2);
  ExpectSums(0, 20, 0);
  Stop();
  Start();
  HubHas(2);
  ExpectSums(0, 20, 0);
  Write(0, 10);
  Crash();
  ExpectSums(10, 20, 0);
}

TEST_F(ForwardBookTest, ACrashBeforeTheFirstWritingForgetsNothing) {
  Start();
  Write(0, 10);
  HubHas(1);
  Crash();
  ExpectSums(10, 0, 0);
  HubHas(1);
  ExpectSums(0, 10, 0);
}

TEST_F(ForwardBookTest, WhatIsNotBookedIsNotTrimmed) {
  log_bytes_ = 16 << 10;
  Start();
  for (int i = 0; i < 30; ++i) Write(0, 50);
  ASSERT_TRUE(log_->SetCursor(kHub, 30));
  ASSERT_TRUE(pipeline_->Flush());
  HubHas(30);
  ExpectSums(0, 1500, 0);
}

TEST_F(ForwardBookTest, WhatTheLogGaveUpBeforeTheHubHadItIsEvicted) {
  log_bytes_ = 16 << 10;
  Start();
  for (int i = 0; i < 40; ++i) {
    Write(1, 50);  // Of low priority.
    Write(0, 20);
    ASSERT_TRUE(pipeline_->Flush());
  }
  const Ledger ledger = pipeline_->ledger();
  EXPECT_GT(ledger.evicted, 100U);
  EXPECT_EQ(ledger.gap, 0);
  EXPECT_EQ(ledger_->Points()[1].evicted, ledger_->total().evicted);
  const uint64_t evicted = ledger.evicted;
  HubHas(80);
  ExpectSums(0, 2800 - evicted, evicted);
}

TEST_F(ForwardBookTest, WithoutTheHubRowsStayHereAgain) {
  Start();
  Write(0, 10);
  HubHas(1);
  Write(0, 10);
  ASSERT_TRUE(pipeline_->Flush());
  Stop();
  Start();
  ASSERT_TRUE(ForwardBook::Close(*log_, *ledger_));
  EXPECT_TRUE(ledger_->forward().contains(9));
  EXPECT_FALSE(ledger_->forward().contains(10));
  ExpectSums(10, 10, 0);
}

TEST_F(ForwardBookTest, CopiesOfForwardedRowsGoWithoutABooking) {
  Start();
  Write(0, 10);
  HubHas(1);
  Stop();
  clock_.Advance(std::chrono::hours(40));
  Start();  // Looks for what is too old at once.
  ASSERT_TRUE(pipeline_->Flush());
  ASSERT_TRUE(pipeline_->Flush());
  EXPECT_EQ(history_->size().file_rows, 0U);
  ExpectSums(0, 10, 0);
}

}  // namespace
}  // namespace penstock::telemetry
