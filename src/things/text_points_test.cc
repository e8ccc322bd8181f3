// Points of text, switches with words and long registers, as Thing Descriptions say them.
#include <gtest/gtest.h>

#include "things/contract_generate.h"
#include "things/contract_yaml.h"
#include "things/data_contract.h"
#include "things/reader.h"

namespace penstock::things {
namespace {

Json TextTd(const std::string& property) {
  Json td = Json::parse(R"({
    "@context": ["https://www.w3.org/2022/wot/td/v1.1",
                 {"ps": "urn:penstock:v1#", "modv": "https://www.w3.org/2019/wot/modbus#"}],
    "id": "urn:dev:acme:pump-7", "title": "Pump 7", "base": "modbus+tcp://10.0.0.7:502/1",
    "ps:asset": "acme/cologne/utilities/line-1/pump-7",
    "securityDefinitions": {"none": {"scheme": "nosec"}}, "security": "none", "properties": {}})");
  td["properties"]["p"] = Json::parse(property);
  return td;
}

// The findings, a line each; `point` and `form` get what was read.
std::string ReadTextTd(const std::string& property, Point* point = nullptr, Form* form = nullptr) {
  ReadThing read = ReadThingDescription(TextTd(property), "things/pump-7.td.json");
  std::string all;
  for (const Finding& f : read.findings)
    all +=
        fmt::format("{}{}: {}\n", f.is_error ? "" : "warning ", f.error.pointer, f.error.message);
  if (read.thing && point != nullptr) *point = read.thing->properties.at(0).point;
  if (read.thing && form != nullptr) *form = *read.thing->properties.at(0).source();
  return all;
}

TEST(TextPointsTest, ATextIsAPointWithoutRulesOfNumbers) {
  Point point;
  EXPECT_EQ(
      ReadTextTd(R"({"type": "string", "minimum": 1, "ps:quality": {"flat_after": "5min",
      "stale_after": "1min"}, "forms": [{"href": "http://local/write", "op": "observeproperty"}]})",
                 &point),
      "warning /properties/p: a range says nothing about a text\n"
      "warning /properties/p/ps:quality/flat_after: \"flat_after\" says nothing about a text\n");
  EXPECT_EQ(point.type, ValueType::kString);
  EXPECT_FALSE(point.quality.minimum || point.quality.flat_after);
  EXPECT_EQ(point.quality.stale_after, std::chrono::minutes(1));
}

TEST(TextPointsTest, ValuesHaveWords) {
  Point point;
  const std::string forms =
      R"("forms": [{"href": "http://local/write", "op": "observeproperty"}]})";
  EXPECT_EQ(ReadTextTd(R"({"type": "boolean", "oneOf": [{"const": false, "title": "closed"},
      {"const": true, "title": "open"}], )" +
                           forms,
                       &point),
            "");
  EXPECT_EQ(point.words, (std::vector<std::pair<double, std::string>>{{0, "closed"}, {1, "open"}}));
  EXPECT_EQ(
      ReadTextTd(R"({"type": "integer", "oneOf": [{"const": 3, "title": "cleaning"}], )" + forms,
                 &point),
      "");
  EXPECT_EQ(point.words, (std::vector<std::pair<double, std::string>>{{3, "cleaning"}}));
  EXPECT_EQ(ReadTextTd(R"({"type": "boolean", "oneOf": [{"const": 1, "title": "open"}], )" + forms),
            "/properties/p/oneOf/0/const: 1 is no boolean\n");
}

TEST(TextPointsTest, RegistersHoldTextsAndLongs) {
  Form form;
  const auto modbus = [&](const std::string& type, const std::string& more) {
    return ReadTextTd(
        fmt::format(R"({{"type": "{}", "forms": [{{"op": "readproperty", {}}}]}})", type, more),
        nullptr, &form);
  };
  EXPECT_EQ(modbus("string", R"("href": "40?quantity=16", "modv:entity": "HoldingRegister")"), "");
  EXPECT_EQ(form.modbus.type, ModbusForm::Type::kString);
  EXPECT_EQ(form.modbus.quantity, 16);
  EXPECT_EQ(modbus("integer", R"("href": "40?quantity=4", "modv:entity": "InputRegister",
      "modv:type": "xsd:unsignedLong")"),
            "");
  EXPECT_EQ(form.modbus.type, ModbusForm::Type::kUint64);
  EXPECT_NE(modbus("integer", R"("href": "40?quantity=2", "modv:entity": "InputRegister",
      "modv:type": "xsd:long")")
                .find("\"xsd:long\" needs quantity=4"),
            std::string::npos);
  EXPECT_NE(modbus("number", R"("href": "40?quantity=2", "modv:entity": "HoldingRegister",
      "modv:type": "xsd:string")")
                .find("\"xsd:string\" for a property of type number"),
            std::string::npos);
  EXPECT_NE(modbus("string", R"("href": "40", "modv:entity": "Coil")")
                .find("for a property of type"
                      " string"),
            std::string::npos);
}

TEST(TextPointsTest, AListInTheModelBecomesAPromise) {
  const ReadModel read = ReadThingModel(Json::parse(R"({
    "@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
    "@type": "tm:ThingModel", "title": "Filler", "ps:model": "filler@1.0",
    "version": {"model": "1.0.0"}, "properties": {
      "mode": {"type": "string", "enum": ["auto", "manual", "off"], "maxLength": 6},
      "recipe": {"type": "string", "pattern": "^R[0-9]+$"},
      "step": {"type": "integer", "enum": [1, 2, 4]}}})"),
                                        "filler.tm.json");
  ASSERT_TRUE(read.model) << (read.findings.empty() ? "" : FormatFinding(read.findings[0]));
  const auto contract = ContractFromModel(*read.model, {});
  ASSERT_TRUE(contract) << contract.error().ToString();
  const auto document = ParseYaml(ContractYaml(*contract));
  ASSERT_TRUE(document) << document.error().ToString();
  const ReadContract typed = ReadDataContract(*document, "filler.odcs.yaml");
  ASSERT_TRUE(typed.contract) << FormatFinding(typed.findings[0]) << ContractYaml(*contract);
  const ContractField* mode = typed.contract->FindField("mode");
  ASSERT_NE(mode, nullptr);
  EXPECT_EQ(mode->text.longest, 6U);
  ASSERT_EQ(mode->rules.size(), 1U);
  EXPECT_TRUE(mode->rules[0].PerSample());
  EXPECT_EQ(mode->rules[0].texts, (std::vector<std::string>{"auto", "manual", "off"}));
  EXPECT_EQ(typed.contract->FindField("recipe")->text.pattern, "^R[0-9]+$");
  EXPECT_EQ(typed.contract->FindField("step")->rules[0].values, (std::vector<double>{1, 2, 4}));
}

}  // namespace
}  // namespace penstock::things
