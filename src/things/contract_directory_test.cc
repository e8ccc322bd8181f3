#include "things/contract_directory.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "storage/temporary_folder.h"
#include "things/contract_generate.h"
#include "things/contract_yaml.h"
#include "things/reader.h"

namespace penstock::things {
namespace {

constexpr const char* kModel = R"({
  "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
  "@type": "tm:ThingModel", "title": "Pump", "version": {"model": "1.2.0"}, "ps:model": "pump@1.2",
  "properties": {
    "pressure": {"type": "number", "unit": "bar", "minimum": 0, "maximum": 16, "title": "Pressure",
      "description": "Gauge: behind the pump.", "ps:quality": {"stale_after": "10min"}},
    "running": {"type": "boolean", "ps:report": {"mode": "change", "max_interval": "5min"}},
    "burst": {"type": "array", "minItems": 8, "maxItems": 8, "ps:sampleRate": 2048, "unit": "mm/s",
      "items": {"type": "number", "minimum": -120, "maximum": 120}}}})";

ThingModel Model(const std::string& text = kModel) {
  const ReadModel read = ReadThingModel(*ParseJson(text), "pump.tm.json");
  EXPECT_TRUE(read.model) << (read.findings.empty() ? "" : FormatFinding(read.findings[0]));
  return *read.model;
}

std::shared_ptr<const Snapshot> Plant() {
  auto snapshot = std::make_shared<Snapshot>();
  Thing& thing = snapshot->things.emplace_back();
  thing.name = "pump-7";
  for (const auto& [name, type, unit] : {std::tuple("pressure", ValueType::kNumber, "bar"),
                                         std::tuple("running", ValueType::kBoolean, ""),
                                         std::tuple("burst", ValueType::kWaveform, "mm/s")}) {
    Property& property = thing.properties.emplace_back();
    property.point.thing = "pump-7";
    property.point.property = name;
    property.point.type = type;
    property.point.unit = unit;
    property.point.contract = "pump@1.2.0";
  }
  return snapshot;
}

class ContractDirectoryTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeFolders(folder_.path() + "/contracts")); }
  void Write(const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(folder_.path() + "/contracts/pump.odcs.yaml", text));
  }
  std::string Generated() {
    return ContractYaml(*ContractFromModel(Model(), {.retention = std::chrono::days(90)}));
  }
  static std::string Replace(std::string text, const std::string& old, const std::string& now) {
    const size_t at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old << " in\n" << text;
    return text.replace(at, old.size(), now);
  }
  std::unique_ptr<ContractDirectory> Open() {
    return std::make_unique<ContractDirectory>(folder_.path(), *versions_, clock_);
  }

  storage::TemporaryFolder folder_;
  ManualClock clock_{FromMicros(1'780'000'000'000'000)};
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
  std::unique_ptr<ContractVersions> versions_ = *ContractVersionsIn(*records_);
};

TEST_F(ContractDirectoryTest, WhatIsGeneratedIsAContractOfTheModel) {
  Write(Generated());
  auto directory = Open();
  const auto findings = directory->Reload(*Plant());
  EXPECT_TRUE(findings.empty()) << FormatFinding(findings.front());
  const auto set = directory->set();
  const DataContract* contract = set->Find("pump");
  ASSERT_NE(contract, nullptr) << Generated();
  EXPECT_EQ(contract->version, "1.2.0");
  EXPECT_EQ(contract->FindField("pressure")->unit, "bar");
  EXPECT_EQ(contract->FindField("pressure")->range.high, 16);
  EXPECT_EQ(contract->FindField("burst")->range.low, -120);
  EXPECT_EQ(contract->FindField("burst")->sample_rate_hz, 2048);
  EXPECT_EQ(contract->SlaOf(ContractSla::Kind::kFreshness, "running")->limit,
            std::chrono::minutes(5));
  EXPECT_EQ(contract->SlaOf(ContractSla::Kind::kRetention, "running")->limit,
            std::chrono::days(90));
  // And the document survives being written and read.
  EXPECT_EQ(*ParseYaml(Generated()),
            *ContractFromModel(Model(), {.retention = std::chrono::days(90)}));
}

TEST_F(ContractDirectoryTest, ABrokenFileKeepsItsOldVersionAlsoOverARestart) {
  Write(Generated());
  auto directory = Open();
  (void)directory->Reload(*Plant());
  Write("apiVersion: [");
  const auto findings = directory->Reload(*Plant());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_NE(findings[0].error.where.find("pump.odcs.yaml"), std::string::npos);
  ASSERT_NE(directory->set()->Find("pump"), nullptr);
  auto later = Open();
  EXPECT_EQ(later->Reload(*Plant()).size(), 1U);
  ASSERT_NE(later->set()->Find("pump"), nullptr);
  EXPECT_EQ(later->set()->Find("pump")->version, "1.2.0");
}

TEST_F(ContractDirectoryTest, ABreakingChangeNeedsAMajorStep) {
  Write(Generated());
  auto directory = Open();
  (void)directory->Reload(*Plant());
  const std::string narrower = Replace(Generated(), "maximum: 16", "maximum: 10");
  Write(Replace(narrower, "\"1.2.0\"", "\"1.3.0\""));
  auto findings = directory->Reload(*Plant());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_NE(findings[0].error.message.find("major"), std::string::npos);
  EXPECT_EQ(findings[0].error.fix.substr(0, 14), "version: 2.0.0");
  EXPECT_EQ(directory->set()->Find("pump")->FindField("pressure")->range.high, 16);

  Write(Replace(narrower, "\"1.2.0\"", "\"2.0.0\""));
  findings = directory->Reload(*Plant());
  ASSERT_EQ(findings.size(), 1U);  // The thing was written for 1.2.0: a doubt.
  EXPECT_FALSE(findings[0].is_error);
  EXPECT_EQ(directory->set()->Find("pump")->FindField("pressure")->range.high, 10);
  // Undoing the commit brings the accepted version back, word for word.
  Write(Generated());
  EXPECT_TRUE(directory->Reload(*Plant()).empty());
  EXPECT_EQ(directory->set()->Find("pump")->version, "1.2.0");
  EXPECT_EQ(versions_->All("pump")->size(), 3U);
}

TEST_F(ContractDirectoryTest, HoldsTheContractAgainstTheThings) {
  Write(Replace(Generated(), "value: bar", "value: kPa"));
  auto directory = Open();
  auto findings = directory->Reload(*Plant());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_TRUE(findings[0].is_error);
  EXPECT_NE(findings[0].error.message.find("pump-7/pressure"), std::string::npos);
  EXPECT_EQ(directory->set()->Find("pump"), nullptr);
  Write(Replace(Replace(Generated(), "name: pressure", "name: presure"), "pump.pressure",
                "pump.presure"));
  findings = directory->Reload(*Plant());
  ASSERT_FALSE(findings.empty());
  EXPECT_NE(findings[0].error.fix.find("pressure"), std::string::npos);
}

TEST_F(ContractDirectoryTest, AFileThatIsGoneEndsItsContract) {
  Write(Generated());
  auto directory = Open();
  (void)directory->Reload(*Plant());
  std::remove((folder_.path() + "/contracts/pump.odcs.yaml").c_str());
  EXPECT_TRUE(directory->Reload(*Plant()).empty());
  EXPECT_EQ(directory->set()->Find("pump"), nullptr);
}

TEST(ContractGenerateTest, RegeneratingKeepsWhatPeopleWrote) {
  std::string text = ContractYaml(*ContractFromModel(Model(), {}));
  // A person widens a range, adds a rule and a comment.
  const std::string old = "maximum: 16}";
  text.replace(text.find(old), old.size(), "maximum: 20}  # Since the rebuild.");
  Json grown = *ParseJson(kModel);
  grown["properties"]["flow"] = {{"type", "number"}, {"unit", "m3/h"}, {"minimum", 0}};
  grown["tm:optional"] = {"/properties/flow"};
  const Json wanted = *ContractFromModel(Model(grown.dump()), {});
  const ContractUpdate update = CompareWithModel(*ParseYaml(text), wanted);
  ASSERT_EQ(update.added.size(), 1U);
  EXPECT_EQ(update.added[0]["name"], "flow");
  ASSERT_EQ(update.differences.size(), 1U);
  EXPECT_EQ(update.differences[0].file, "20");
  EXPECT_EQ(update.differences[0].model, "16");
  const auto merged = MergeIntoText(text, update);
  ASSERT_TRUE(merged) << merged.error().ToString();
  EXPECT_NE(merged->find("# Since the rebuild."), std::string::npos);
  const ReadContract read = ReadDataContract(*ParseYaml(*merged), "pump.odcs.yaml");
  ASSERT_TRUE(read.contract) << FormatFinding(read.findings.front());
  EXPECT_EQ(read.contract->version, "1.3.0");
  EXPECT_EQ(read.contract->FindField("flow")->unit, "m3/h");
  EXPECT_EQ(read.contract->FindField("pressure")->range.high, 20);
  // Once merged there is nothing more to add.
  EXPECT_TRUE(CompareWithModel(*ParseYaml(*merged), wanted).added.empty());
  EXPECT_EQ(*MergeIntoText(*merged, CompareWithModel(*ParseYaml(*merged), wanted)), *merged);
}

TEST(ContractGenerateTest, YamlSaysWhatJsonSaid) {
  const Json document = {
      {"id", "x"},
      {"version", "1.0"},
      {"text", "a: b # c\n\"d\" \xC3\xA9"},
      {"odd", {{"empty", ""}, {"word", "true"}, {"number", "12"}, {"none", nullptr}, {"no", "no"}}},
      {"list", Json::array({1, 2.5, -3e-7, true, "x y", Json::array(), Json::object()})},
      {"deep",
       Json::array({{{"logicalType", "number"}, {"tags", {"a", "b"}}}, {{"a", {{"b", 1}}}}})},
      {"key with: colon", 1}};
  const auto read = ParseYaml(ContractYaml(document));
  ASSERT_TRUE(read) << read.error().ToString() << "\n" << ContractYaml(document);
  EXPECT_EQ(*read, document) << ContractYaml(document);
}

}  // namespace
}  // namespace penstock::things
