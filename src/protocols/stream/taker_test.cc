// A hub that was cut off: what it cannot confirm goes to no file, and is forgotten when another hub
// has it.
#include "protocols/stream/taker.h"

#include <gtest/gtest.h>

#include "protocols/driver/test_doubles.h"
#include "protocols/stream/route.h"
#include "protocols/stream/test_stream.h"
#include "telemetry/frame.h"

namespace penstock::protocols::stream {
namespace {

class StreamTakerTest : public testing::Test {
 protected:
  ~StreamTakerTest() override { stream_.Cut(false); }

  void Start() {
    taker_ = std::make_unique<Taker>(
        options_, Taker::Parts{stream_, receiver_, *origins_, node_.clock, [this](const auto& why) {
                                 const std::lock_guard lock(mutex_);
                                 why_ = why;
                               }});
    taker_->Start();
  }
  void Send(uint64_t first, uint64_t rows) {
    telemetry::Batch batch;
    for (uint64_t i = 0; i < rows; ++i)
      batch.Add(PointId{0}, FromMicros(static_cast<int64_t>(first + i)), Time(), 1);
    Bytes bytes;
    telemetry::FrameEncoder().Encode(batch, 0, rows, {"pump-7/flow"}, {"line-1", 77, first}, bytes);
    stream_.Send({.id = FormatMessageId({"line-1", 77, first, rows, 0}),
                  .bytes = std::string(AsText(bytes)),
                  .done = [this] { ++done_; }});
  }
  // Rows durable here that were fetched before the cut.
  void TakeAndCut(uint64_t first, uint64_t rows) {
    node_.sink.Hold();
    Send(first, rows);
    ASSERT_TRUE(Eventually([&] { return node_.sink.waiting() == 1; }));
    stream_.Cut(true);
    node_.sink.Release();
    ASSERT_TRUE(Eventually([&] { return Here() == first + rows; }));
  }
  uint64_t Here() { return origins_->StateOf("line-1", 77).durable; }
  std::string Fact() { return stream_.Value(kFact); }
  std::string Why() {
    const std::lock_guard lock(mutex_);
    return why_;
  }

  const std::string kFact = AppliedKey("line-1", 77);
  TestNode node_;
  TestStream stream_;
  const std::unique_ptr<storage::Records> records_ = storage::Records::Open(":memory:").value();
  const std::unique_ptr<telemetry::Origins> origins_ = telemetry::Origins::Open(*records_).value();
  const std::unique_ptr<things::PointIds> ids_ = things::PointIdsInMemory();
  uplink::Receiver receiver_{node_.sink, *origins_, *ids_, {.threads = 0}};
  TakerOptions options_{.hub = "hub-a"};
  std::atomic<int> done_ = 0;
  std::mutex mutex_;
  std::string why_;
  std::unique_ptr<Taker> taker_;
};

TEST_F(StreamTakerTest, ConfirmsWhatIsDurableAndGivesTheMessagesBack) {
  Start();
  Send(0, 50);
  ASSERT_TRUE(Eventually([&] { return Here() == 50; }));
  EXPECT_TRUE(taker_->Confirm());
  EXPECT_EQ(Fact(), "50 hub-a@0");
  EXPECT_TRUE(Eventually([&] { return done_ == 1; }));
  EXPECT_EQ(taker_->ToJson()["unconfirmed"], 0);
}

TEST_F(StreamTakerTest, FactsThatTheStreamLostAreWrittenAgain) {
  Start();
  Send(0, 50);
  ASSERT_TRUE(Eventually([&] { return Here() == 50; }));
  EXPECT_TRUE(taker_->Confirm());
  stream_.Lose(kFact);
  Send(50, 10);
  ASSERT_TRUE(Eventually([&] { return Here() == 60; }));
  EXPECT_TRUE(taker_->Confirm());
  EXPECT_EQ(Fact(), "60 hub-a@0");
}

TEST_F(StreamTakerTest, WhatWaitsWhileTheStreamIsAwayIsSaidAndConfirmedWhenNobodyTookOver) {
  Start();
  TakeAndCut(0, 50);
  const Status status = taker_->Confirm();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_TRUE(
      status.error().message.starts_with("50 rows of the stream wait to be confirmed: the "
                                         "stream is away since 2027-"))
      << status.error().message;
  EXPECT_EQ(taker_->ToJson()["unconfirmed"], 50);
  EXPECT_NE(StringOr(taker_->ToJson(), "error", "").find("does not answer"), std::string::npos);
  stream_.Cut(false);
  EXPECT_TRUE(Eventually([&] { return taker_->Confirm().has_value(); }));
  EXPECT_EQ(Fact(), "50 hub-a@0");
  EXPECT_EQ(Why(), "");
}

TEST_F(StreamTakerTest, WhatAnotherHubTookOverStaysUnconfirmedAndTheProgramStartsAnew) {
  Start();
  TakeAndCut(0, 50);
  stream_.Put(kFact, "90 hub-a@0 hub-b@0");
  stream_.Cut(false);
  ASSERT_TRUE(Eventually([&] { return !Why().empty(); }));
  EXPECT_EQ(Why(),
            "another hub took over 0 of line-1 from row 0 on; 50 rows that were not confirmed here "
            "are left out");
  EXPECT_FALSE(taker_->Confirm());
  EXPECT_EQ(Fact(), "90 hub-a@0 hub-b@0");
  EXPECT_EQ(done_, 0);
}

TEST_F(StreamTakerTest, RowsOfAnEarlierLeaseAreNotForgottenWhenThePartitionComesBack) {
  Start();
  TakeAndCut(0, 50);
  // Another hub had the partition and is gone again before this one says anything.
  stream_.Put(kFact, "60 hub-a@0 hub-b@0");
  stream_.LoseLease("partition.p00");
  ASSERT_TRUE(Eventually([&] { return taker_->ToJson()["partitions"].empty(); }));
  stream_.Cut(false);
  Send(60, 10);
  ASSERT_TRUE(Eventually([&] { return !Why().empty(); }));
  EXPECT_FALSE(taker_->Confirm());
  EXPECT_EQ(Fact(), "60 hub-a@0 hub-b@0");
}

TEST_F(StreamTakerTest, RowsWhosePredecessorsDoNotComeAreForgottenInTheEnd) {
  options_.hole_patience = std::chrono::seconds(0);
  Start();
  Send(0, 10);
  ASSERT_TRUE(Eventually([&] { return Here() == 10; }));
  telemetry::Batch behind;
  behind.Add(PointId{0}, Time(), Time(), 1);
  behind.origin = {"line-1", 77, 20};
  origins_->Observe(behind);
  EXPECT_EQ(taker_->Confirm().error().message,
            "1 rows of the stream wait to be confirmed: rows before them are missing");
  EXPECT_EQ(Fact(), "10 hub-a@0");
  EXPECT_FALSE(taker_->Confirm());
  EXPECT_EQ(Why(), "row 10 of line-1 in 0 does not come; rows behind it are left out");
}

TEST_F(StreamTakerTest, StoppingWhileTheStreamIsAwayHangsNowhere) {
  Start();
  TakeAndCut(0, 50);
  taker_->Stop();
  EXPECT_FALSE(taker_->Confirm());
  EXPECT_EQ(Fact(), "0 hub-a@0");
}

}  // namespace
}  // namespace penstock::protocols::stream
