#include "protocols/uplink/backlog.h"

#include <gtest/gtest.h>

namespace penstock::protocols::uplink {
namespace {

using Range = Backlog::Range;

TEST(BacklogTest, SendsTheNewestFirstAndTheOldestBeside) {
  Backlog backlog(100);  // An outage left records 100 to 999.
  ASSERT_TRUE(backlog.StartLiveAt(1000));
  EXPECT_EQ(backlog.Live(1003), (Range{1000, 1003}));
  EXPECT_EQ(backlog.Backfill(), (Range{100, 1000}));
  backlog.LiveTook(1003);
  EXPECT_FALSE(backlog.Durable({1000, 1003}));  // The cursor waits for the backlog.
  EXPECT_EQ(backlog.cursor(), 100U);
  EXPECT_TRUE(backlog.Durable({100, 500}));
  EXPECT_EQ(backlog.Backfill(), (Range{500, 1000}));
  EXPECT_EQ(backlog.waiting(1003), 500U);
  EXPECT_TRUE(backlog.Durable({500, 1000}));
  EXPECT_EQ(backlog.cursor(), 1003U);
  EXPECT_TRUE(backlog.Backfill().empty());
  EXPECT_EQ(backlog.waiting(1003), 0U);
}

TEST(BacklogTest, LeavesWhatTheLiveLaneLostToTheBackfill) {
  Backlog backlog(0);
  ASSERT_TRUE(backlog.StartLiveAt(0));
  backlog.LiveTook(10);  // Sent, never answered: the connection broke.
  ASSERT_TRUE(backlog.StartLiveAt(20));
  EXPECT_EQ(backlog.Backfill(), (Range{0, 20}));
  EXPECT_TRUE(backlog.Durable({0, 10}));
  EXPECT_EQ(backlog.Backfill(), (Range{10, 20}));
}

TEST(BacklogTest, GivesEachRecordToOneBackfillLane) {
  Backlog backlog(0);
  ASSERT_TRUE(backlog.StartLiveAt(100));
  backlog.Took({0, 30});
  EXPECT_EQ(backlog.Backfill(), (Range{30, 100}));
  backlog.Took({30, 100});
  EXPECT_TRUE(backlog.Backfill().empty());
  backlog.Durable({30, 100});
  backlog.GaveBack({0, 30});
  EXPECT_EQ(backlog.Backfill(), (Range{0, 30}));
  EXPECT_TRUE(backlog.Durable({0, 30}));
  EXPECT_EQ(backlog.cursor(), 100U);
}

TEST(BacklogTest, BoundsItsIslands) {
  Backlog backlog(0);
  bool started = true;
  for (uint64_t i = 1; i < 1000 && started; ++i) {
    started = backlog.StartLiveAt(10 * i);
    backlog.LiveTook(10 * i + 1);
    backlog.Durable({10 * i, 10 * i + 1});
  }
  EXPECT_FALSE(started);
}

}  // namespace
}  // namespace penstock::protocols::uplink
