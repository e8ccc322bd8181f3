#include "protocols/mqtt/topic.h"

#include <gtest/gtest.h>

namespace penstock::protocols::mqtt {
namespace {

TEST(MqttTopicTest, WildcardsOfTheStandardsExamples) {
  EXPECT_TRUE(Matches("sport/tennis/player1/#", "sport/tennis/player1"));
  EXPECT_TRUE(Matches("sport/tennis/player1/#", "sport/tennis/player1/ranking"));
  EXPECT_TRUE(Matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
  EXPECT_TRUE(Matches("sport/#", "sport"));
  EXPECT_TRUE(Matches("#", "sport"));
  EXPECT_TRUE(Matches("sport/tennis/+", "sport/tennis/player1"));
  EXPECT_FALSE(Matches("sport/tennis/+", "sport/tennis/player1/ranking"));
  EXPECT_FALSE(Matches("sport/+", "sport"));
  EXPECT_TRUE(Matches("sport/+", "sport/"));
  EXPECT_TRUE(Matches("+/+", "/finance"));
  EXPECT_TRUE(Matches("/+", "/finance"));
  EXPECT_FALSE(Matches("+", "/finance"));
  EXPECT_FALSE(Matches("accounts", "Accounts"));
  EXPECT_FALSE(Matches("a", "a/"));
}

TEST(MqttTopicTest, TopicsWithADollarAreHiddenFromWildcardsAtTheFront) {
  EXPECT_FALSE(Matches("#", "$SYS/uptime"));
  EXPECT_FALSE(Matches("+/uptime", "$SYS/uptime"));
  EXPECT_TRUE(Matches("$SYS/#", "$SYS/uptime"));
  EXPECT_TRUE(Matches("$SYS/+", "$SYS/uptime"));
}

TEST(MqttTopicTest, FiltersThatAreNone) {
  const TopicLimits limits;
  for (const std::string_view good : {"#", "+", "a/#", "+/a/+", "/", "a//b", "+/+/#"}) {
    EXPECT_TRUE(CheckFilter(good, limits)) << good;
  }
  for (const std::string_view bad : {"", "a#", "#/a", "a/b#", "a+", "+a", "a/+b/c", "##"}) {
    const Status status = CheckFilter(bad, limits);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  }
  EXPECT_FALSE(CheckFilter(std::string(2000, 'a'), limits));
  EXPECT_FALSE(CheckFilter(std::string(40, '/'), limits));
  EXPECT_FALSE(CheckTopic("a/+", limits));
}

TEST(MqttTopicTest, TheTreeFindsAllAndForgets) {
  TopicTree<int> tree;
  tree.At("a/b") = 1;
  tree.At("a/+") = 2;
  tree.At("a/#") = 3;
  tree.At("b/#") = 4;
  const auto sum = [&](std::string_view topic) {
    int total = 0;
    tree.Match(topic, [&](int value) { total += value; });
    return total;
  };
  EXPECT_EQ(sum("a/b"), 6);
  EXPECT_EQ(sum("a/c"), 5);
  EXPECT_EQ(sum("a"), 3);
  EXPECT_EQ(sum("c"), 0);
  tree.Erase("a/+");
  tree.Erase("a/never");
  EXPECT_EQ(sum("a/b"), 4);
  EXPECT_EQ(tree.size(), 3U);
  tree.Erase("a/b");
  tree.Erase("a/#");
  tree.Erase("b/#");
  EXPECT_TRUE(tree.empty());
  EXPECT_EQ(tree.Find("a/b"), nullptr);
}

}  // namespace
}  // namespace penstock::protocols::mqtt
