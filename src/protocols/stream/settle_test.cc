#include "protocols/stream/settle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "protocols/stream/route.h"
#include "protocols/stream/test_stream.h"
#include "telemetry/batch_codec.h"

namespace penstock::protocols::stream {
namespace {

using telemetry::Batch;
using telemetry::Origins;

class StreamSettleTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    log_ = storage::DurableLog::Open(folder_.string(), {}).value();
    records_ = storage::Records::Open(":memory:").value();
    origins_ = Origins::Open(*records_).value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Rows that became durable here and are in no file of the history yet.
  Batch Stored(uint64_t first, uint64_t rows) {
    Batch batch;
    batch.origin = {"line-1", 77, first};
    for (uint64_t i = 0; i < rows; ++i) batch.Add(PointId{1}, FromMicros(1), FromMicros(1), 1);
    Bytes record;
    telemetry::EncodeBatch(batch, record);
    EXPECT_TRUE(log_->Append(record));
    EXPECT_TRUE(log_->Sync());
    return batch;
  }
  Settlement Settled() {
    const auto replayed = Settlement::Replayed(*log_);
    EXPECT_TRUE(replayed);
    auto made = Settlement::Make("hub-a", stream_, *replayed, *origins_);
    EXPECT_TRUE(made) << made.error().ToString();
    return std::move(*made);
  }
  // What of these rows hub-a keeps, and the fact afterwards.
  void ExpectKept(const Batch& batch, uint64_t rows, std::string_view then) {
    EXPECT_EQ(Settled().RowsToKeep(batch, *origins_), rows);
    EXPECT_EQ(stream_.Value(kFact), then);
  }
  void Say(const std::string& value) { stream_.Put(kFact, value); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / fmt::format("penstock-settle-{}", getpid());
  std::unique_ptr<storage::DurableLog> log_;
  std::unique_ptr<storage::Records> records_;
  std::unique_ptr<Origins> origins_;
  const std::string kFact = AppliedKey("line-1", 77);
  TestStream stream_;
};

TEST_F(StreamSettleTest, WhatNobodyTookOverIsConfirmed) {
  const Batch batch = Stored(0, 50);
  Say("30 hub-a@0");
  ExpectKept(batch, 50, "50 hub-a@0");
}

TEST_F(StreamSettleTest, WhatAnotherHubTookOverIsLeftOut) {
  const Batch batch = Stored(0, 50);
  origins_->Observe(batch);
  Say("90 hub-a@0 hub-b@30");
  ExpectKept(batch, 30, "90 hub-a@0 hub-b@30");
  EXPECT_EQ(origins_->StateOf("line-1", 77).durable, 30u);
}

TEST_F(StreamSettleTest, RowsBehindAHoleAreNotConfirmedAndComeAgain) {
  Stored(0, 20);
  const Batch behind = Stored(30, 20);
  Say("0 hub-a@0");
  ExpectKept(behind, 0, "20 hub-a@0");
}

TEST_F(StreamSettleTest, AHubThatIsFasterWins) {
  const Batch batch = Stored(0, 50);
  Say("30 hub-a@0");
  stream_.meanwhile = [&] { Say("30 hub-a@0 hub-b@30"); };
  ExpectKept(batch, 30, "30 hub-a@0 hub-b@30");
}

// A thousand edges with 64 partitions each are 64,000 of them.
TEST_F(StreamSettleTest, HoweverManyEdgesThereAreTheRowsOfAllAreSettled) {
  constexpr uint64_t kSources = 70'000;
  Bytes record;
  Batch last;
  last.Add(PointId{1}, FromMicros(1), FromMicros(1), 1);
  for (uint64_t epoch = 0; epoch < kSources; ++epoch) {
    last.origin = {"line-1", 1000 + epoch, 0};
    record.clear();
    telemetry::EncodeBatch(last, record);
    ASSERT_TRUE(log_->Append(record));
  }
  ASSERT_TRUE(log_->Sync());
  stream_.Put(AppliedKey("line-1", last.origin.epoch), "0 hub-a@0 hub-b@0");
  EXPECT_EQ(Settled().RowsToKeep(last, *origins_), 0u);
}

// Asked late, when the rows were replayed: what would be left out then.
TEST_F(StreamSettleTest, TellsHowManyOfTheReplayedRowsMustGo) {
  Stored(0, 50);
  Say("90 hub-a@0 hub-b@30");
  const auto replayed = Settlement::Replayed(*log_).value();
  EXPECT_EQ(Settled().RowsToForget(replayed), 20u);
  Say("30 hub-a@0");
  EXPECT_EQ(Settled().RowsToForget(replayed), 0u);
  EXPECT_EQ(stream_.Value(kFact), "50 hub-a@0");
}

TEST_F(StreamSettleTest, RowsThatDidNotComeByTheStreamStay) {
  const Batch batch = Stored(0, 50);
  EXPECT_EQ(Settled().RowsToKeep(batch, *origins_), 50u);
}

}  // namespace
}  // namespace penstock::protocols::stream
