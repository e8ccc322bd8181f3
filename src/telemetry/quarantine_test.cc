#include "telemetry/quarantine.h"

#include <gtest/gtest.h>

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
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
};

TEST_F(QuarantineTest, ListsNewestFirstByPages) {
  auto store = *QuarantineStore::Open(*records_);
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
  auto store = *QuarantineStore::Open(*records_, 10);
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
    auto store = *QuarantineStore::Open(*records_);
    for (int i = 0; i < 3; ++i) store->Put(Entry("type", i));
  }
  auto store = *QuarantineStore::Open(*records_);
  EXPECT_EQ(store->PerRule().at("type"), 3U);
  EXPECT_EQ(store->List(0, 10)->size(), 3U);
}

TEST_F(QuarantineTest, AFloodIsCountedWithoutGrowing) {
  auto store = *QuarantineStore::Open(*records_);
  for (int i = 0; i < 5000; ++i) store->Put(Entry("payload", i));
  EXPECT_EQ(store->total(), 5000U);
}

TEST_F(QuarantineTest, LongValuesAreCutAtACharacter) {
  auto store = *QuarantineStore::Open(*records_);
  QuarantineEntry entry = Entry("payload", 0);
  entry.value.clear();
  for (int i = 0; i < 150; ++i) entry.value += "ü";
  store->Put(entry);
  const auto items = *store->List(0, 1);
  EXPECT_EQ(items[0].entry.value.size(), 200U);
}

}  // namespace
}  // namespace penstock::telemetry
