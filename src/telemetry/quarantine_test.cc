#include "telemetry/quarantine.h"

#include <gtest/gtest.h>

#include "storage/temporary_folder.h"
#include "telemetry/testing_violations.h"

namespace penstock::telemetry {
namespace {

QuarantineEntry Entry(const std::string& rule, int second) {
  return {.at = FromMicros(second * 1'000'000LL),
          .source = "mqtt client filler-1",
          .point = "filler-1/rate",
          .rule = rule,
          .value = "abc",
          .message = "not a number; send one"};
}

class QuarantineTest : public testing::Test {
 protected:
  std::unique_ptr<QuarantineStore> Open(QuarantineLimits limits = {}) {
    auto store = QuarantineStore::Open(*records_, folder_ / "quarantine", limits);
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? std::move(*store) : nullptr;
  }
  storage::TemporaryFolder folder_;
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
};

TEST_F(QuarantineTest, ListsNewestFirstByPages) {
  auto store = Open();
  for (int i = 0; i < 5; ++i) store->Put(Entry("type", i));
  auto page = store->List(0, 3);
  ASSERT_TRUE(page) << page.error().ToString();
  ASSERT_EQ(page->size(), 3U);
  EXPECT_EQ(page->at(0).entry.at, FromMicros(4'000'000));
  EXPECT_EQ(page->at(0).entry.message, "not a number; send one");
  auto rest = store->List(page->back().id, 3);
  ASSERT_EQ(rest->size(), 2U);
  EXPECT_EQ(rest->at(1).entry.at, FromMicros(0));
}

TEST_F(QuarantineTest, KeepsTheLatestAndCountsThemAll) {
  auto store = Open({.notes = 10});
  for (int i = 0; i < 25; ++i) {
    store->Put(Entry(i % 5 == 0 ? "clock_skew" : "type", i));
    ASSERT_TRUE(store->Flush());
  }
  EXPECT_EQ(store->List(0, 100)->size(), 10U);
  EXPECT_EQ(store->total(), 25U);
  EXPECT_EQ(store->PerRule().at("clock_skew"), 5U);
}

TEST_F(QuarantineTest, CountsSurviveARestart) {
  {
    auto store = Open();
    for (int i = 0; i < 3; ++i) store->Put(Entry("type", i));
  }
  auto store = Open();
  EXPECT_EQ(store->PerRule().at("type"), 3U);
  EXPECT_EQ(store->List(0, 10)->size(), 3U);
}

TEST_F(QuarantineTest, AFloodIsCountedWithoutGrowing) {
  auto store = Open();
  for (int i = 0; i < 5000; ++i) store->Put(Entry("payload", i));
  EXPECT_EQ(store->total(), 5000U);
}

TEST_F(QuarantineTest, LongValuesAreCutAtACharacter) {
  auto store = Open();
  QuarantineEntry entry = Entry("payload", 0);
  entry.value.clear();
  for (int i = 0; i < 150; ++i) entry.value += "ü";
  store->Put(entry);
  const auto items = *store->List(0, 1);
  EXPECT_EQ(items[0].entry.value.size(), 200U);
}

TEST_F(QuarantineTest, FiltersAndPages) {
  auto store = Open();
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(store->Keep(
        Broken(i % 2 == 0 ? "flow" : "pressure", i < 3 ? "pump@1.2.0" : "pump@2.0.0", 99, i)));
  }
  store->Put(Entry("type", 9));
  const auto count = [&](const QuarantineFilter& filter) {
    return store->List(0, 100, filter)->size();
  };
  EXPECT_EQ(count({}), 7U);
  EXPECT_EQ(count({.contract = "pump"}), 6U);
  EXPECT_EQ(count({.contract = "pum"}), 0U);
  EXPECT_EQ(count({.contract = "pump@2.0.0"}), 3U);
  EXPECT_EQ(count({.contract = "pump", .point = "pump-7/flow"}), 3U);
  EXPECT_EQ(count({.rule = "type"}), 1U);
  EXPECT_EQ(count({.state = QuarantineState::kOpen}), 6U);
  EXPECT_EQ(count({.from = FromMicros(2'000'000), .to = FromMicros(4'000'000)}), 2U);
  const auto page = *store->List(0, 3, {.contract = "pump"});
  EXPECT_EQ(store->List(page.back().id, 100, {.contract = "pump"})->size(), 3U);
  const auto counts = *store->CountsOf("pump");
  ASSERT_EQ(counts.size(), 4U);
  EXPECT_EQ(counts[0].contract, "pump@1.2.0");
  EXPECT_EQ(counts[0].rows, 2U);
}

TEST_F(QuarantineTest, ABrokenSensorPushesOutItsOwn) {
  QuarantineLimits limits;
  limits.held_of_point = 32;
  auto store = Open(limits);
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 99, 0)));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(store->Keep(Broken("pressure", "pump@1.2.0", 99, i, 2)));
  }
  const size_t left = store->List(0, 1000, {.point = "pump-7/pressure"})->size();
  EXPECT_LE(left, 34U);
  EXPECT_EQ(store->List(0, 1000, {.point = "pump-7/flow"})->size(), 1U);
  EXPECT_EQ(store->evicted(), 2 * (200 - left));
  EXPECT_EQ(store->PerRule().at("maximum"), 401U);
  store.reset();
  store = Open(limits);
  EXPECT_EQ(store->evicted(), 2 * (200 - left));
}

TEST_F(QuarantineTest, ANoteCanBeDiscardedAndNotReleased) {
  auto store = Open();
  store->Put(Entry("type", 1));
  const uint64_t id = store->List(0, 1)->front().id;
  EXPECT_EQ(store->Claim(id, {"eve", "why not", {}, {}}).error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(store->Discard(id, {"eve", "known", FromMicros(7), {}}));
  EXPECT_EQ(store->Get(id)->state, QuarantineState::kDiscarded);
  EXPECT_EQ(store->Claim(99, {"eve", "", {}, {}}).error().code, Code::kNotFound);
}

TEST_F(QuarantineTest, ARunIsReleasedAsItIsOrNotAtAll) {
  auto store = Open();
  ASSERT_TRUE(store->Keep(Broken("flow", "pump@1.2.0", 99, 0, 5)));
  const uint64_t id = store->List(0, 1)->front().id;
  EXPECT_FALSE(store->Claim(id, {"eve", "x", {}, 9.0}));
  const auto rows = *store->Claim(id, {"eve", "x", {}, {}});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 5U);
  EXPECT_TRUE(rows->released);
  EXPECT_EQ(store->Interrupted()->size(), 1U);
  ASSERT_TRUE(store->Settle(id, false));  // The log refused it: open again.
  EXPECT_EQ(store->Get(id)->state, QuarantineState::kOpen);
}

}  // namespace
}  // namespace penstock::telemetry
