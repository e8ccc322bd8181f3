#include "telemetry/text_rules.h"

#include <gtest/gtest.h>

#include "storage/temporary_folder.h"
#include "telemetry/contract_check.h"
#include "telemetry/quality.h"
#include "telemetry/testing_sinks.h"
#include "telemetry/testing_site.h"
#include "telemetry/texts.h"

namespace penstock::telemetry {
namespace {

using things::ContractField;
using things::ContractRule;

ContractRule ListedTexts(ContractRule::Metric metric, std::vector<std::string> texts) {
  ContractRule rule;
  rule.metric = metric;
  rule.op = ContractRule::Operator::kEqual;
  rule.name = "listed";
  rule.texts = std::move(texts);
  return rule;
}

// The rule that the text breaks, or "".
std::string BrokenRule(const ContractField& field, std::string_view text) {
  const auto breach = TextRules(field).Judge(TextCode(text), text);
  return std::string(breach ? breach->first : "");
}

TEST(TextRulesTest, ListsLengthsAndPatternsAreHeld) {
  ContractField field;
  field.type = things::ValueType::kString;
  EXPECT_FALSE(TextRules::Has(field));
  EXPECT_EQ(BrokenRule(field, "anything"), "");
  field.rules = {ListedTexts(ContractRule::Metric::kInvalid, {"running", "stopped"})};
  EXPECT_TRUE(TextRules::Has(field));
  EXPECT_EQ(BrokenRule(field, "running"), "");
  EXPECT_EQ(BrokenRule(field, "Running"), "invalid_values");
  field.rules = {ListedTexts(ContractRule::Metric::kMissing, {"?", "n/a"})};
  EXPECT_EQ(BrokenRule(field, "n/a"), "missing_values");
  EXPECT_EQ(BrokenRule(field, "running"), "");
  field.rules.clear();
  field.text.shortest = 2;
  field.text.longest = 4;
  EXPECT_EQ(BrokenRule(field, "a"), "min_length");
  EXPECT_EQ(BrokenRule(field, "\u00fc\u00fc\u00fc\u00fc"), "") << "characters, not bytes";
  EXPECT_EQ(BrokenRule(field, "abcde"), "max_length");
  field.text = {.pattern = "^OP[0-9]{2}$|^idle$"};
  EXPECT_EQ(BrokenRule(field, "OP17"), "");
  EXPECT_EQ(BrokenRule(field, "idle"), "");
  EXPECT_EQ(BrokenRule(field, "OP1"), "pattern");
  EXPECT_EQ(BrokenRule(field, "xOP17"), "pattern");
  field.text.pattern = "[0-9]";
  EXPECT_EQ(BrokenRule(field, "line\n7"), "") << "found anywhere";
  EXPECT_EQ(BrokenRule(field, std::string(2000, '7')), "pattern") << "too long to be judged";
}

TEST(TextRulesTest, NoTextMakesAPatternSlow) {
  ContractField field;
  field.text.pattern = "^(a+)+$";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(BrokenRule(field, std::string(kPatternTextMax - 1, 'a') + "b"), "pattern");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(TextRulesTest, WhatBreaksTheContractIsHeldWithItsText) {
  const storage::TemporaryFolder folder;
  const auto texts = Texts::Open(folder / "texts").value();
  TestSite site;
  const PointId state = site.Add("pump-7", "state", things::ValueType::kString).id;
  const PointId note = site.Add("pump-7", "note", things::ValueType::kString).id;
  auto contract = std::make_shared<things::DataContract>();
  contract->id = "pump";
  contract->version = "1.2.0";
  things::ContractObject object;
  ContractField field;
  field.name = "state";
  field.type = things::ValueType::kString;
  field.rules = {ListedTexts(ContractRule::Metric::kInvalid, {"running", "stopped"})};
  object.fields = {field};
  contract->objects = {object};
  auto set = std::make_shared<things::ContractSet>();
  set->by_id.emplace("pump", contract);

  KeptViolations sink;
  NoNotes notes;
  ContractCheck check(sink);
  check.SetRules(std::make_shared<const ContractRules>(set, site.Snapshot(), texts.get()));
  QualityMarker marker(notes);
  marker.SetSnapshot(site.Snapshot());
  marker.SetLimits(check.Begin(0));
  Batch batch;
  for (const char* text : {"running", "brokn", "borken", "stopped"}) {
    const Time at = FromMicros(1'700'000'000'000'000 + static_cast<int64_t>(batch.size()));
    batch.Add(state, at, at, texts->Intern(state, text).value());
    batch.Add(note, at, at, texts->Intern(note, text).value());
  }
  batch.Add(state, FromMicros(1'700'000'000'000'009), FromMicros(1'700'000'000'000'009), 0,
            kBadNoCommunication);
  const MarkOutcome marked = marker.Mark(batch);
  std::vector<PointId> taken;
  check.Judge(batch, marked.suspects, taken);
  EXPECT_EQ(batch.size(), 7U) << "two of one point went";
  ASSERT_EQ(sink.violations.size(), 2U);
  EXPECT_EQ(sink.violations[0].value, "brokn");
  EXPECT_EQ(sink.violations[0].rule, "invalid_values");
  EXPECT_EQ(sink.violations[0].message, "\"brokn\" is none of the 2 valid texts (listed)");
  EXPECT_EQ(sink.violations[1].value, "borken");
}

}  // namespace
}  // namespace penstock::telemetry
