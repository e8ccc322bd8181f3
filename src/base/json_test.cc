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

TEST(YamlTest, AMistakeHasItsPlaceAndFix) {
  const struct {
    const char *text, *place, *fix;
  } cases[] = {
      {"a:\n\tb: 1\n", "line 2", "no tabs"},
      {"a: [1, 2\nb: 3\n", "line 2", "as many ]"},
      {"a: {b: 1\nc: 2\n", "line 2", "as many }"},
      {"name: \"Pump\nid: \"pump\"\n", "line", "second \""},
      {"purpose: pumps: all of them\n", "line 1, column 15", "quotes"},
      {"limit: %5\n", "line 1, column 8", "quotes"},
      {"a: 1\n b: 2\n", "line 2", "like its neighbours"},
  };
  for (const auto& c : cases) {
    const auto read = ParseYaml(c.text);
    ASSERT_FALSE(read) << c.text;
    EXPECT_NE(read.error().message.find(c.place), std::string::npos) << read.error().ToString();
    EXPECT_NE(read.error().fix.find(c.fix), std::string::npos) << read.error().ToString();
  }
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
