#include "telemetry/origins.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::telemetry {
namespace {

using Ranges = std::vector<SequenceRange>;

TEST(SequenceSetTest, JoinsCutsAndFindsWhatIsMissing) {
  SequenceSet set;
  set.Add({10, 20});
  set.Add({30, 40});
  EXPECT_EQ(set.Missing({0, 50}), (Ranges{{0, 10}, {20, 30}, {40, 50}}));
  EXPECT_EQ(set.Missing({12, 18}), Ranges());
  EXPECT_EQ(set.Missing({15, 35}), (Ranges{{20, 30}}));
  set.Add({20, 30});
  EXPECT_EQ(set.all(), (Ranges{{10, 40}}));
  set.Remove({15, 16});
  EXPECT_EQ(set.all(), (Ranges{{10, 15}, {16, 40}}));
}

TEST(SequenceSetTest, IsWhatASetOfNumbersIs) {
  Random random(1);
  SequenceSet set;
  std::vector<bool> plain(200);
  for (int step = 0; step < 2000; ++step) {
    const uint64_t from = random.Below(200), to = from + random.Below(200 - from + 1);
    const bool add = random.Chance(0.6);
    if (add)
      set.Add({from, to});
    else
      set.Remove({from, to});
    for (uint64_t i = from; i < to; ++i) plain[i] = add;
    std::vector<bool> missing(200);
    for (const SequenceRange& range : set.Missing({0, 200}))
      for (uint64_t i = range.from; i < range.to; ++i) missing[i] = true;
    for (size_t i = 0; i < 200; ++i) ASSERT_EQ(missing[i], !plain[i]) << step << " " << i;
  }
}

Batch SentRows(uint64_t first, size_t count) {
  Batch batch;
  for (size_t i = 0; i < count; ++i) batch.Add(PointId{0}, Time(), Time(), 1);
  batch.origin = {"edge-7", 5, first};
  return batch;
}

class OriginsTest : public testing::Test {
 protected:
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<Origins> origins_ = std::move(Origins::Open(*records_).value());
};

TEST_F(OriginsTest, GivesEachRowToOneSenderOnly) {
  EXPECT_EQ(origins_->Begin("edge-7", 5, {0, 100}).value(), (Ranges{{0, 100}}));
  EXPECT_EQ(origins_->Begin("edge-7", 5, {50, 150}).value(), (Ranges{{100, 150}}));
  EXPECT_EQ(origins_->Missing("edge-7", 5, {0, 150}), (Ranges{{0, 150}}));  // Nothing durable yet.
  origins_->Done("edge-7", 5, {0, 100}, true);
  origins_->Done("edge-7", 5, {100, 150}, false);
  EXPECT_EQ(origins_->Missing("edge-7", 5, {0, 150}), (Ranges{{100, 150}}));
  EXPECT_EQ(origins_->Begin("edge-7", 5, {90, 150}).value(), (Ranges{{100, 150}}));
  EXPECT_EQ(origins_->Begin("edge-7", 6, {0, 10}).value(), (Ranges{{0, 10}}));  // Another epoch.
}

TEST_F(OriginsTest, RemembersByRecordsAndByReplay) {
  origins_->Observe(SentRows(0, 100));
  ASSERT_TRUE(origins_->Persist());
  origins_->Observe(SentRows(300, 10));  // Not persisted: the log has it still.
  const auto again = std::move(Origins::Open(*records_).value());
  EXPECT_EQ(again->Missing("edge-7", 5, {0, 310}), (Ranges{{100, 310}}));
  again->Observe(SentRows(300, 10));
  EXPECT_EQ(again->Missing("edge-7", 5, {0, 310}), (Ranges{{100, 300}}));
  EXPECT_EQ(again->StateOf("edge-7", 5).durable, 100U);
  EXPECT_EQ(again->StateOf("edge-7", 5).received, 310U);
}

TEST_F(OriginsTest, WritesGapsDownAndWaitsForThemNoMore) {
  origins_->Observe(SentRows(50, 50));
  EXPECT_EQ(origins_->NoteGap("edge-7", 5, {0, 60}, "evicted at the edge", Time()).value(), 50U);
  EXPECT_EQ(origins_->NoteGap("edge-7", 5, {0, 60}, "evicted at the edge", Time()).value(), 0U);
  EXPECT_EQ(origins_->StateOf("edge-7", 5).durable, 100U);
  const Json all = std::move(origins_->ToJson().value());
  EXPECT_EQ(all["edges"][0]["gaps"][0]["last"], 49);
  EXPECT_EQ(all["edges"][0]["rows"], 50);
}

TEST_F(OriginsTest, BoundsWhatOneEdgeCanMakeItKeep) {
  for (uint64_t i = 0; i < kOriginRangesMax; ++i) origins_->Observe(SentRows(10 * i + 5, 1));
  const auto refused = origins_->Begin("edge-7", 5, {1'000'000, 1'000'001});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(origins_->Begin("edge-7", 5, {6, 15}));
}

}  // namespace
}  // namespace penstock::telemetry
