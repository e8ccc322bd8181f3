#include "base/json.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(JsonTest, NamesLineAndColumnOfAMistake) {
  const auto json = ParseJson("{\n  \"a\": 1,\n  \"b\": }\n");
  ASSERT_FALSE(json);
  EXPECT_NE(json.error().message.find("line 3"), std::string::npos) << json.error().message;
}

TEST(JsonTest, RefusesAKeyGivenTwice) {
  const auto json = ParseJson(R"({"listen": 1, "listen": 2})");
  ASSERT_FALSE(json);
  EXPECT_NE(json.error().message.find("listen"), std::string::npos);
}

TEST(JsonTest, RefusesBottomlessNesting) {
  EXPECT_FALSE(ParseJson(std::string(100, '[') + std::string(100, ']')));
  EXPECT_TRUE(ParseJson(std::string(50, '[') + std::string(50, ']')));
}

TEST(YamlTest, KeepsQuotedScalarsAsText) {
  const Json yaml = ParseYaml("a: 12\nb: '12'\nc: on\nd: true\ne: ~\nf: 0.5\n").value();
  EXPECT_EQ(yaml["a"], 12);
  EXPECT_EQ(yaml["b"], "12");
  EXPECT_EQ(yaml["c"], "on");
  EXPECT_EQ(yaml["d"], true);
  EXPECT_TRUE(yaml["e"].is_null());
  EXPECT_DOUBLE_EQ(yaml["f"].get<double>(), 0.5);
}

TEST(YamlTest, BoundsWhatAliasesExpandTo) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{}*a{}", k == 0 ? "" : ", ", i - 1);
    bomb += "]\n";
  }
  EXPECT_FALSE(ParseYaml(bomb));
}

TEST(CheckKeysTest, ProposesTheKeyThatWasMeant) {
  const auto status = CheckKeys(Json{{"lisen", 1}}, {"site", "listen"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().pointer, "/lisen");
  EXPECT_EQ(status.error().fix, "did you mean \"listen\"?");
}

TEST(PointerTest, EscapesAfterRfc6901) { EXPECT_EQ(EscapePointer("a/b~c"), "a~1b~0c"); }

}  // namespace
}  // namespace penstock
