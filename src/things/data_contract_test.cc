#include "things/data_contract.h"

#include <gtest/gtest.h>

#include "things/contract_compat.h"

namespace penstock::things {
namespace {

constexpr const char* kPump = R"(
apiVersion: v3.1.0
kind: DataContract
id: pump
name: Centrifugal pump skid
version: "1.2.0"
status: active
domain: utilities
team:
  name: line 1
  members:
    - {username: plant-manager, role: owner}
customProperties:
  - {property: thingModel, value: "pump@1.2"}
schema:
  - name: pump
    properties:
      - name: discharge_pressure
        logicalType: number
        logicalTypeOptions: {minimum: -0.5, maximum: 16}
        required: true
        customProperties:
          - {property: unit, value: bar}
        quality:
          - {metric: missingValues, arguments: {missingValues: [-999, 9999]}, mustBe: 0}
      - name: starts
        logicalType: integer
        logicalTypeOptions: {exclusiveMinimum: -1, multipleOf: 2}
        quality:
          - {name: modes, metric: invalidValues, arguments: {validValues: [2, 0, 4]}, mustBe: 0}
          - {metric: nullValues, mustBeLessThan: 5, unit: percent, severity: warning}
      - name: vibration
        logicalType: array
        items: {logicalType: number, logicalTypeOptions: {minimum: -120, maximum: 120}}
        customProperties:
          - {property: unit, value: mm/s}
          - {property: sampleRate, value: 2048}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
      - {type: text, description: Calibrated once a year.}
slaProperties:
  - {property: freshness, value: 10, unit: min}
  - {property: freshness, value: 30, unit: s, element: pump.discharge_pressure}
  - {property: retention, value: 90, unit: d}
)";

ReadContract ReadText(const std::string& text, const std::string& file = "pump.odcs.yaml") {
  auto document = ParseYaml(text);
  EXPECT_TRUE(document) << document.error().ToString();
  return ReadDataContract(document ? *document : Json(), file);
}

// The contract with one text in place of another.
std::string With(const std::string& old, const std::string& now) {
  std::string text = kPump;
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), now);
}

TEST(DataContractTest, ReadsWhatItEnforces) {
  const ReadContract read = ReadText(kPump);
  ASSERT_TRUE(read.contract) << FormatFinding(read.findings.front());
  const DataContract& contract = *read.contract;
  EXPECT_EQ(contract.reference(), "pump@1.2.0");
  EXPECT_EQ(contract.owner, "plant-manager");
  EXPECT_EQ(contract.thing_model, "pump@1.2");
  const ContractField* pressure = contract.FindField("discharge_pressure");
  ASSERT_NE(pressure, nullptr);
  EXPECT_EQ(pressure->type, ValueType::kNumber);
  EXPECT_EQ(pressure->unit, "bar");
  EXPECT_EQ(pressure->range.low, -0.5);
  EXPECT_EQ(pressure->range.high, 16);
  EXPECT_TRUE(pressure->required);
  ASSERT_EQ(pressure->rules.size(), 1U);
  EXPECT_TRUE(pressure->rules[0].PerSample());
  const ContractField* starts = contract.FindField("starts");
  EXPECT_TRUE(starts->range.low_open);
  EXPECT_EQ(starts->range.step, 2);
  EXPECT_EQ(starts->rules[0].values, (std::vector<double>{0, 2, 4}));
  EXPECT_FALSE(starts->rules[1].PerSample());
  EXPECT_TRUE(starts->rules[1].Holds(4.9));
  EXPECT_FALSE(starts->rules[1].Holds(5));
  EXPECT_EQ(contract.FindField("vibration")->type, ValueType::kWaveform);
  EXPECT_EQ(contract.FindField("vibration")->sample_rate_hz, 2048);
}

TEST(DataContractTest, TheTightestServiceLevelCounts) {
  const DataContract contract = *ReadText(kPump).contract;
  using Kind = ContractSla::Kind;
  EXPECT_EQ(contract.SlaOf(Kind::kFreshness, "discharge_pressure")->limit,
            std::chrono::seconds(30));
  EXPECT_EQ(contract.SlaOf(Kind::kFreshness, "starts")->limit, std::chrono::minutes(10));
  EXPECT_EQ(contract.SlaOf(Kind::kRetention, "starts")->limit, std::chrono::days(90));
  EXPECT_FALSE(contract.SlaOf(Kind::kLatency, "starts"));
}

TEST(DataContractTest, EveryMistakeHasItsPlaceAndFix) {
  struct Case {
    const char *old, *now, *pointer, *word;
  };
  const Case cases[] = {
      {"version: \"1.2.0\"", "version: 1.2", "/version", "quotes"},
      {"version: \"1.2.0\"", "version: \"1.2\"", "/version", "MAJOR"},
      {"status: active", "statsu: active", "/statsu", "status"},
      {"id: pump", "id: pumpe", "/id", "pump"},
      {"logicalType: number", "logicalType: float", "/schema/0/properties/0/logicalType", "number"},
      {"maximum: 16", "maxmum: 16", "/schema/0/properties/0/logicalTypeOptions/maxmum", "maximum"},
      {"maximum: 16", "maximum: -16", "/schema/0/properties/0/logicalTypeOptions", "below"},
      {"maximum: 16", "maximum: high", "/schema/0/properties/0/logicalTypeOptions/maximum",
       "number"},
      {"value: bar", "value: barr", "/schema/0/properties/0/customProperties", "bar"},
      {"required: true", "required: yes please", "/schema/0/properties/0/required", "true"},
      {"mustBeLessThan", "mustBeBelow", "/schema/0/properties/1/quality/1", "mustBe"},
      {"metric: missingValues", "metric: misingValues", "/schema/0/properties/0/quality/0/metric",
       "missingValues"},
      {"unit: percent", "unit: promille", "/schema/0/properties/1/quality/1/unit", "percent"},
      {"value: 10, unit: min", "value: 10, unit: m", "/slaProperties/0/unit", "min"},
      {"value: 10, unit: min", "value: -1, unit: min", "/slaProperties/0/value", "10"},
      {"pump.discharge_pressure", "pump.discharge_presure", "/slaProperties/1/element",
       "discharge_pressure"},
      {"name: starts", "name: vibration", "/schema/0/properties/2/name", "one place"},
      {"kind: DataContract", "kind: Contract", "/kind", "DataContract"},
      {"username: plant-manager, ", "", "/team/members/0", "username"},
  };
  for (const Case& c : cases) {
    const ReadContract read = ReadText(With(c.old, c.now));
    EXPECT_FALSE(read.contract) << c.now;
    bool found = false;
    std::string all;
    for (const Finding& finding : read.findings) {
      all += FormatFinding(finding) + "\n";
      if (!finding.error.pointer.starts_with(c.pointer)) continue;
      found |= (finding.error.message + finding.error.fix).find(c.word) != std::string::npos;
      EXPECT_EQ(finding.error.where, "pump.odcs.yaml");
    }
    EXPECT_TRUE(found) << c.now << " gave\n" << all;
  }
}

TEST(DataContractTest, OtherThanUtf8IsRefused) {
  const ReadContract read = ReadText(With("Centrifugal", "Cent\x8Frifugal"));
  EXPECT_FALSE(read.contract);
  ASSERT_EQ(read.findings.size(), 1U);
  EXPECT_NE(read.findings[0].error.message.find("UTF-8"), std::string::npos);
}

TEST(DataContractTest, ARuleThatNobodyMeasuresIsADoubt) {
  const ReadContract read = ReadText(With("{type: text, description: Calibrated once a year.}",
                                          "{type: sql, query: SELECT 1, mustBe: 1}"));
  ASSERT_TRUE(read.contract);
  ASSERT_EQ(read.findings.size(), 1U);
  EXPECT_FALSE(read.findings[0].is_error);
  EXPECT_EQ(read.findings[0].error.pointer, "/schema/0/quality/1");
}

TEST(DataContractTest, VersionsAreThreeNumbers) {
  EXPECT_EQ(ParseVersion3("1.2.10")->ToString(), "1.2.10");
  EXPECT_LT(*ParseVersion3("1.9.0"), *ParseVersion3("1.10.0"));
  for (const char* bad : {"", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1..3", "1.2.99999999999"})
    EXPECT_FALSE(ParseVersion3(bad)) << bad;
}

struct Change {
  const char *old, *now, *kind;
  VersionStep step;
  bool backward, forward;
};

class CompatTest : public testing::TestWithParam<Change> {};

TEST_P(CompatTest, SaysWhatTheChangeNeeds) {
  const Change& c = GetParam();
  const DataContract before = *ReadText(kPump).contract;
  ReadContract read = ReadText(With(c.old, c.now));
  ASSERT_TRUE(read.contract) << FormatFinding(read.findings.front());
  const ContractDiff diff = CompareContracts(before, *read.contract);
  ASSERT_FALSE(diff.changes.empty());
  EXPECT_EQ(diff.changes[0].kind, c.kind);
  EXPECT_EQ(diff.step, c.step) << diff.changes[0].text;
  EXPECT_EQ(diff.backward, c.backward) << diff.changes[0].text;
  EXPECT_EQ(diff.forward, c.forward) << diff.changes[0].text;
  EXPECT_EQ(CheckVersionStep(before, *read.contract, diff).has_value(),
            c.step <= VersionStep::kPatch);
  read.contract->version = NextVersion(before.version, c.step);
  EXPECT_TRUE(CheckVersionStep(before, *read.contract, diff));
}

INSTANTIATE_TEST_SUITE_P(
    Changes, CompatTest,
    testing::Values(
        Change{"maximum: 16", "maximum: 10", "range_narrowed", VersionStep::kMajor, false, true},
        Change{"maximum: 16", "maximum: 25", "range_widened", VersionStep::kMinor, true, false},
        Change{"minimum: -0.5, maximum: 16", "minimum: 0, maximum: 20", "range_moved",
               VersionStep::kMajor, false, false},
        Change{"value: bar", "value: kPa", "unit_changed", VersionStep::kMajor, false, false},
        Change{"logicalType: integer", "logicalType: number", "type_changed", VersionStep::kMajor,
               false, false},
        Change{"      - name: starts",
               "      - {name: flow, logicalType: number}\n      - name: starts", "field_added",
               VersionStep::kMinor, true, true},
        Change{"      - name: starts",
               "      - {name: flow, logicalType: number, required: true}\n      - name: starts",
               "required_field_added", VersionStep::kMajor, false, true},
        Change{"required: true", "required: false", "made_optional", VersionStep::kMajor, true,
               false},
        Change{"value: 10, unit: min", "value: 5, unit: min", "sla_tightened", VersionStep::kMinor,
               false, true},
        Change{"value: 10, unit: min", "value: 1, unit: h", "sla_loosened", VersionStep::kMajor,
               true, false},
        Change{"value: 90, unit: d", "value: 30, unit: d", "sla_loosened", VersionStep::kMajor,
               true, false},
        Change{"[-999, 9999]", "[-999]", "rule_added", VersionStep::kMajor, false, false},
        Change{"mustBeGreaterThan: 0", "mustBeGreaterThan: 10", "rule_added", VersionStep::kMajor,
               true, false},
        Change{"name: Centrifugal pump skid", "name: Pump", "text_changed", VersionStep::kPatch,
               true, true}));

TEST(CompatTest2, AFieldThatIsGoneBreaksItsReaders) {
  const DataContract before = *ReadText(kPump).contract;
  std::string text = kPump;
  const size_t begin = text.find("      - name: starts"),
               end = text.find("      - name: vibration");
  text.erase(begin, end - begin);
  const DataContract after = *ReadText(text).contract;
  const ContractDiff diff = CompareContracts(before, after);
  EXPECT_EQ(diff.step, VersionStep::kMajor);
  const Status step = CheckVersionStep(before, after, diff);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().pointer, "/version");
  EXPECT_NE(step.error().message.find("starts: is gone"), std::string::npos);
  EXPECT_NE(step.error().fix.find("2.0.0"), std::string::npos);
}

TEST(CompatTest2, BelowOneAMinorStepMayBreak) {
  EXPECT_EQ(NextVersion("0.3.1", VersionStep::kMajor), "0.4.0");
  EXPECT_EQ(NextVersion("1.3.1", VersionStep::kMajor), "2.0.0");
  EXPECT_EQ(NextVersion("1.3.1", VersionStep::kMinor), "1.4.0");
}

TEST(DataContractTest, TextsHaveListsLengthsAndPatterns) {
  const std::string field = R"(      - name: state
        logicalType: string
        logicalTypeOptions: {minLength: 2, maxLength: 16, pattern: "^[a-z]+$"}
        quality:
          - {metric: invalidValues, arguments: {validValues: [stopped, running]}, mustBe: 0}
      - name: vibration
)";
  const ReadContract read = ReadText(With("      - name: vibration\n", field));
  ASSERT_TRUE(read.contract) << FormatFinding(read.findings.front());
  const ContractField* state = read.contract->FindField("state");
  EXPECT_EQ(state->type, ValueType::kString);
  EXPECT_EQ(state->text, (ContractText{2, 16, "^[a-z]+$"}));
  ASSERT_EQ(state->rules.size(), 1U);
  EXPECT_EQ(state->rules[0].texts, (std::vector<std::string>{"running", "stopped"}));
  EXPECT_TRUE(state->rules[0].PerSample());
  const auto mistake = [&](const std::string& options) {
    std::string text = field;
    const size_t at = text.find("{minLength");
    text.replace(at, text.find('}', at) + 1 - at, options);
    const ReadContract bad = ReadText(With("      - name: vibration\n", text));
    EXPECT_FALSE(bad.contract) << options;
    return bad.findings.empty() ? "" : FormatFinding(bad.findings.front());
  };
  EXPECT_NE(mistake("{pattern: \"[a-\"}").find("no regular expression"), std::string::npos);
  EXPECT_NE(mistake("{pattern: \"a)(b\"}").find("no regular expression"), std::string::npos);
  EXPECT_NE(mistake("{pattern: \"(a)\\\\1\"}").find("no regular expression"), std::string::npos);
  EXPECT_NE(mistake("{minLength: 9, maxLength: 3}").find("no text is 9 to 3"), std::string::npos);
  EXPECT_NE(mistake("{maxlength: 3}").find("did you mean \"maxLength\""), std::string::npos);
  EXPECT_NE(mistake("{maxLength: many}").find("number of characters"), std::string::npos);
}

}  // namespace
}  // namespace penstock::things
