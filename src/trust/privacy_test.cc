#include "trust/privacy.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "storage/temporary_folder.h"

namespace penstock::trust {
namespace {

PrivacyRule Rule(const char* json) { return ParsePrivacyRule(ParseJson(json).value()).value(); }

TEST(PrivacyTest, APseudonymIsStableHereAndUnrelatedElsewhere) {
  const PrivacyTransform ours(Bytes(32, 1)), theirs(Bytes(32, 2));
  const PrivacyRule rule = Rule(R"({"action": "pseudonym"})");
  const auto name = ours.Text(rule, "operator", "Maria").value();
  EXPECT_EQ(name.size(), 32u);
  EXPECT_EQ(ours.Text(rule, "operator", "Maria"), name);
  EXPECT_NE(ours.Text(rule, "operator", "Mario"), name);
  EXPECT_NE(ours.Text(rule, "visitor", "Maria"), name);
  EXPECT_NE(theirs.Text(rule, "operator", "Maria"), name);
  const double badge = ours.Number(rule, "badge", 4711).value();
  EXPECT_EQ(badge, ours.Number(rule, "badge", 4711));
  EXPECT_EQ(badge, std::floor(badge));
  EXPECT_LT(badge, 0x1p48);
}

TEST(PrivacyTest, TheMacIsThatOfRfc2104) {
  // printf 'f\0v' | openssl dgst -sha256 -mac hmac -macopt hexkey:0101..01 (32 bytes)
  const PrivacyTransform transform(Bytes(32, 1));
  const std::string text = transform.Text({.action = PrivacyAction::kPseudonym}, "f", "v").value();
  EXPECT_EQ(text, "12241866f354513cbd86f224544c0a62");
}

TEST(PrivacyTest, CoarseningRoundsDown) {
  const PrivacyTransform transform(Bytes(32, 1));
  const PrivacyRule rule =
      Rule(R"({"action": "coarsen", "step": 5, "keep_characters": 2, "time_step": "1h"})");
  EXPECT_EQ(transform.Number(rule, "age", 43.2), 40.0);
  EXPECT_EQ(transform.Number(rule, "age", -1), -5.0);
  EXPECT_EQ(transform.Text(rule, "town", "K\xC3\xB6ln"), "K\xC3\xB6") << "characters, not bytes";
  EXPECT_EQ(transform.Text(rule, "town", "K"), "K");
  EXPECT_EQ(transform.Instant(rule, ParseTime("2026-01-31T14:59:59Z").value()),
            ParseTime("2026-01-31T14:00:00Z").value());
  const PrivacyRule number_only = Rule(R"({"action": "coarsen", "step": 5})");
  EXPECT_EQ(transform.Text(number_only, "town", "Aachen"), std::nullopt)
      << "no rule for it: rather nothing";
}

TEST(PrivacyTest, PersonalIsDroppedUnlessARuleSaysMore) {
  const PrivacyTransform transform(Bytes(32, 1));
  EXPECT_EQ(transform.Number(DefaultRule("personal"), "heart_rate", 61), std::nullopt);
  EXPECT_EQ(transform.Number(DefaultRule("internal"), "flow", 61), 61);
  const Json out = transform.Apply(
      {{"name", {.action = PrivacyAction::kDrop}},
       {"age", Rule(R"({"action": "coarsen", "step": 10})")},
       {"address", {.action = PrivacyAction::kPseudonym}}},
      {{"name", "Maria"}, {"age", 43}, {"shift", 2}, {"address", {{"town", "Aachen"}}}});
  EXPECT_EQ(out, (Json{{"age", 40.0}, {"shift", 2}}))
      << "a nested value has no pseudonym, so it goes";
}

TEST(PrivacyTest, AWrongRuleSaysWhere) {
  const auto wrong = [](const char* json) {
    return ParsePrivacyRule(ParseJson(json).value(), "/privacy").error();
  };
  EXPECT_EQ(wrong(R"({"action": "hide"})").pointer, "/privacy/action");
  EXPECT_EQ(wrong(R"({"action": "coarsen"})").pointer, "/privacy");
  EXPECT_EQ(wrong(R"({"action": "coarsen", "step": -1})").code, Code::kInvalidArgument);
  EXPECT_EQ(wrong(R"({"action": "drop", "stepp": 1})").code, Code::kInvalidArgument);
  EXPECT_EQ(wrong(R"({"action": "coarsen", "time_step": "soon"})").pointer, "/privacy/time_step");
}

TEST(PrivacyTest, TheKeyIsMadeOnceAndForItsOwnerAlone) {
  const storage::TemporaryFolder folder;
  const PrivacyRule rule{.action = PrivacyAction::kPseudonym};
  const auto first = PrivacyTransform::Open(folder / "key").value().Text(rule, "f", "v");
  EXPECT_EQ(PrivacyTransform::Open(folder / "key").value().Text(rule, "f", "v"), first);
  struct stat info {};
  ASSERT_EQ(stat((folder / "key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0077, 0u);
}

}  // namespace
}  // namespace penstock::trust
