#include "protocols/stream/settle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "protocols/stream/route.h"
#include "telemetry/batch_codec.h"

namespace penstock::protocols::stream {
namespace {

using telemetry::Batch;
using telemetry::Origins;

// The facts of a stream, in memory; `meanwhile` is what another hub does between a reading and the
// next writing.
class FactsOnly final : public storage::Stream {
 public:
  std::map<std::string, storage::StreamFact> facts;
  std::function<void()> meanwhile;

  Result<storage::StreamFact> Fact(const std::string& key) override {
    if (!facts.contains(key)) return NotFound("no fact {}", key);
    const storage::StreamFact fact = facts[key];
    if (meanwhile) std::exchange(meanwhile, nullptr)();
    return fact;
  }
  Result<uint64_t> SetFact(const std::string& key, const std::string& value,
                           uint64_t number) override {
    if (facts[key].number != number) return Aborted("{} was written by somebody else", key);
    facts[key] = {value, number + 1};
    return number + 1;
  }
  Status Publish(uint32_t, const std::string&, ByteView) override { return {}; }
  Status WaitPublished(std::chrono::milliseconds) override { return {}; }
  void Restart() override {}
  Result<std::unique_ptr<storage::StreamReader>> Read(uint32_t) override {
    return Unavailable("facts only");
  }
  Status Tell(const std::string&, const std::string&) override { return {}; }
  Status Listen(const std::string&, std::function<void(std::string)>) override { return {}; }
  Result<uint64_t> TakeLease(const std::string&, const std::string&) override { return 1; }
  Result<uint64_t> RenewLease(const std::string&, const std::string&, uint64_t) override {
    return 1;
  }
  void GiveLease(const std::string&) override {}
  Result<std::vector<std::string>> Leases() override { return std::vector<std::string>(); }
  const storage::StreamOptions& options() const override { return options_; }

 private:
  storage::StreamOptions options_;
};

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
  Settlement Settled(const std::string& hub) {
    const auto replayed = Settlement::Replayed(*log_);
    EXPECT_TRUE(replayed);
    auto made = Settlement::Make(hub, stream_, *replayed, *origins_);
    EXPECT_TRUE(made) << made.error().ToString();
    return std::move(*made);
  }
  std::string& fact() { return stream_.facts[AppliedKey("line-1", 77)].value; }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / fmt::format("penstock-settle-{}", getpid());
  std::unique_ptr<storage::DurableLog> log_;
  std::unique_ptr<storage::Records> records_;
  std::unique_ptr<Origins> origins_;
  FactsOnly stream_;
};

TEST_F(StreamSettleTest, WhatNobodyTookOverIsConfirmed) {
  const Batch batch = Stored(0, 50);
  fact() = "30 hub-a@0";
  const Settlement settlement = Settled("hub-a");
  EXPECT_EQ(fact(), "50 hub-a@0");
  EXPECT_EQ(settlement.RowsToKeep(batch, *origins_), 50u);
}

TEST_F(StreamSettleTest, WhatAnotherHubTookOverIsLeftOut) {
  const Batch batch = Stored(0, 50);
  origins_->Observe(batch);
  fact() = "90 hub-a@0 hub-b@30";
  const Settlement settlement = Settled("hub-a");
  EXPECT_EQ(fact(), "90 hub-a@0 hub-b@30");
  EXPECT_EQ(settlement.RowsToKeep(batch, *origins_), 30u);
  EXPECT_EQ(origins_->StateOf("line-1", 77).durable, 30u);
}

TEST_F(StreamSettleTest, RowsBehindAHoleAreNotConfirmedAndComeAgain) {
  Stored(0, 20);
  const Batch behind = Stored(30, 20);
  fact() = "0 hub-a@0";
  const Settlement settlement = Settled("hub-a");
  EXPECT_EQ(fact(), "20 hub-a@0");
  EXPECT_EQ(settlement.RowsToKeep(behind, *origins_), 0u);
}

TEST_F(StreamSettleTest, AHubThatIsFasterWins) {
  const Batch batch = Stored(0, 50);
  fact() = "30 hub-a@0";
  stream_.meanwhile = [&] { stream_.facts[AppliedKey("line-1", 77)] = {"30 hub-a@0 hub-b@30", 1}; };
  const Settlement settlement = Settled("hub-a");
  EXPECT_EQ(fact(), "30 hub-a@0 hub-b@30");
  EXPECT_EQ(settlement.RowsToKeep(batch, *origins_), 30u);
}

TEST_F(StreamSettleTest, RowsThatDidNotComeByTheStreamStay) {
  const Batch batch = Stored(0, 50);
  const Settlement settlement = Settled("hub-a");
  EXPECT_EQ(settlement.RowsToKeep(batch, *origins_), 50u);
}

}  // namespace
}  // namespace penstock::protocols::stream
