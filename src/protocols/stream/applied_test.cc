#include "protocols/stream/applied.h"

#include <gtest/gtest.h>

namespace penstock::protocols::stream {
namespace {

Applied AppliedOf(std::string_view text) {
  const auto applied = ParseApplied(text);
  EXPECT_TRUE(applied) << applied.error().ToString();
  return applied.value_or(Applied());
}

TEST(StreamAppliedTest, ComesBackAsWritten) {
  for (const char* text : {"0", "812000", "812000 hub-a@0", "812000 hub-a@0 hub-b@400000"})
    EXPECT_EQ(FormatApplied(AppliedOf(text)), text);
  EXPECT_EQ(AppliedOf("812000").shares.size(), 0u);  // Of older hubs.
  EXPECT_EQ(AppliedOf("9 hub-a@0 hub-b@4").shares.size(), 2u);
}

TEST(StreamAppliedTest, RefusesWhatItDoesNotWrite) {
  std::string long_list = "9";
  for (size_t i = 0; i <= kAppliedSharesMax; ++i) long_list += " a@1";
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("9 "), std::string("9 hub-a"),
        std::string("9 @1"), std::string("9 hub-a@"), std::string("9 hub-a@10"),
        std::string("9 hub-a@4 hub-b@3"), std::string("99999999999999999999"),
        "9 " + std::string(65, 'a') + "@1", long_list, std::string(10'000, '1')})
    EXPECT_FALSE(ParseApplied(text)) << text;
}

TEST(StreamAppliedTest, AHubThatTakesOverGoesOnWhereTheOtherHadConfirmed) {
  Applied applied;
  applied.TakeOver("a");
  EXPECT_TRUE(applied.Holds("a"));
  applied.rows = 400;
  applied.TakeOver("b");
  EXPECT_EQ(FormatApplied(applied), "400 a@0 b@400");
  EXPECT_EQ(applied.OwnRows("a", 380, 450), 20u);
  EXPECT_EQ(applied.OwnRows("a", 400, 450), 0u);
  // Nothing was confirmed by b: what a has from there on is a's again.
  applied.TakeOver("a");
  EXPECT_EQ(FormatApplied(applied), "400 a@0");
}

TEST(StreamAppliedTest, TellsOwnRowsFromOthersAndFromUnconfirmedOnes) {
  const Applied applied = AppliedOf("600 a@0 b@400 a@500");
  EXPECT_EQ(applied.OwnRows("a", 0, 10), 10u);
  EXPECT_EQ(applied.OwnRows("a", 380, 450), 20u);
  EXPECT_EQ(applied.OwnRows("a", 420, 450), 0u);
  EXPECT_EQ(applied.OwnRows("a", 500, 550), 50u);
  EXPECT_EQ(applied.OwnRows("a", 590, 700), 10u);  // 600 and on are not confirmed.
  EXPECT_EQ(applied.OwnRows("b", 380, 450), 0u);
  EXPECT_EQ(applied.OwnRows("b", 410, 700), 90u);
  EXPECT_EQ(applied.OwnRows("c", 0, 700), 0u);
  EXPECT_EQ(AppliedOf("600").OwnRows("a", 100, 200), 100u);
}

TEST(StreamAppliedTest, WhatAnotherHubHasOrWillHaveIsLost) {
  EXPECT_EQ(AppliedOf("600 a@0").LostRows("a", 550, 700), 0u);  // Still to be confirmed.
  EXPECT_EQ(AppliedOf("600 a@0 b@600").LostRows("a", 600, 700), 100u);
  EXPECT_EQ(AppliedOf("650 a@0 b@600").LostRows("a", 550, 700), 100u);
  EXPECT_EQ(AppliedOf("700 a@0 b@600 a@650").LostRows("a", 600, 640), 40u);
  EXPECT_EQ(AppliedOf("700 a@0 b@600 a@650").LostRows("a", 650, 800), 0u);
  EXPECT_EQ(AppliedOf("600 a@0 b@500").LostRows("a", 400, 500), 0u);
  EXPECT_EQ(AppliedOf("600 a@0 b@500").LostRows("a", 500, 500), 0u);
}

TEST(StreamAppliedTest, ForgetsTheOldestShares) {
  Applied applied;
  for (uint64_t i = 0; i < 2 * kAppliedSharesMax; ++i) {
    applied.rows = i;
    applied.TakeOver(i % 2 == 0 ? "a" : "b");
  }
  EXPECT_EQ(applied.shares.size(), kAppliedSharesMax);
  EXPECT_EQ(AppliedOf(FormatApplied(applied)).shares.size(), kAppliedSharesMax);
}

}  // namespace
}  // namespace penstock::protocols::stream
