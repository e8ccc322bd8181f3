#include "things/model.h"

#include <gtest/gtest.h>

#include <map>

#include "things/reader.h"

namespace penstock::things {
namespace {

class ModelTest : public testing::Test {
 protected:
  Result<Json> Resolve(const char* model) {
    return ResolveModel(Json::parse(model), [&](const std::string& name) -> Result<Json> {
      const auto found = files_.find(name);
      if (found == files_.end()) return NotFound("no file {}", name);
      return Json::parse(found->second);
    });
  }

  std::map<std::string, std::string> files_;
};

TEST_F(ModelTest, ExtendsTakesTheBaseAndKeepsItsOwnWord) {
  files_["base.tm.json"] = R"({"title": "Base", "ps:model": "base@1.0", "properties": {
      "flow": {"type": "number", "unit": "m3/h"}, "level": {"type": "number", "unit": "%"}}})";
  const auto whole = Resolve(R"({"title": "Pump", "ps:model": "pump@1.0",
      "links": [{"rel": "tm:extends", "href": "./base.tm.json"}, {"rel": "icon", "href": "x.png"}],
      "properties": {"flow": {"unit": "L/s"}, "speed": {"type": "number"}}})");
  ASSERT_TRUE(whole.has_value()) << whole.error().ToString();
  EXPECT_EQ((*whole)["title"], "Pump");
  EXPECT_EQ((*whole)["ps:model"], "pump@1.0");
  EXPECT_EQ((*whole)["properties"]["flow"], Json::parse(R"({"type": "number", "unit": "L/s"})"));
  EXPECT_TRUE((*whole)["properties"].contains("level"));
  EXPECT_EQ((*whole)["links"].size(), 1U);
}

TEST_F(ModelTest, ARefTakesOneObjectAndItsNeighboursOverwriteIt) {
  files_["smart.tm.json"] =
      R"({"properties": {"onOff": {"type": "boolean", "title": "Switch", "readOnly": true}}})";
  const auto whole = Resolve(
      R"({"properties": {"a": {"tm:ref": "smart.tm.json#/properties/onOff", "title": "A", "readOnly": null},
      "b": {"tm:ref": "#/properties/a", "title": "B"}}})");
  ASSERT_TRUE(whole.has_value()) << whole.error().ToString();
  EXPECT_EQ((*whole)["properties"]["a"], Json::parse(R"({"type": "boolean", "title": "A"})"));
  EXPECT_EQ((*whole)["properties"]["b"], Json::parse(R"({"type": "boolean", "title": "B"})"));
}

TEST_F(ModelTest, CirclesAndStrangersAreErrors) {
  files_["a.tm.json"] = R"({"links": [{"rel": "tm:extends", "href": "b.tm.json"}]})";
  files_["b.tm.json"] = R"({"links": [{"rel": "tm:extends", "href": "a.tm.json"}]})";
  EXPECT_FALSE(Resolve(files_["a.tm.json"].c_str()).has_value());
  EXPECT_FALSE(Resolve(R"({"p": {"tm:ref": "#/p"}})").has_value());
  for (const char* href : {"../secret.json", "/etc/passwd", "http://x/y.json", "", "."}) {
    const auto refused =
        Resolve(Json{{"links", {{{"rel", "tm:extends"}, {"href", href}}}}}.dump().c_str());
    ASSERT_FALSE(refused.has_value()) << href;
    EXPECT_EQ(refused.error().pointer, "/links/0/href");
  }
  EXPECT_FALSE(Resolve(R"({"p": {"tm:ref": "a.tm.json"}})").has_value());
  EXPECT_FALSE(Resolve(R"({"p": {"tm:ref": "a.tm.json#nopointer"}})").has_value());
}

TEST_F(ModelTest, ReferencesThatGrowWithoutEndAreStopped) {
  std::string model = R"({"a0": {"x": 1})";
  for (int i = 1; i < 16; ++i) {
    model += fmt::format(R"(, "a{}": {{)", i);
    for (int j = 0; j < 10; ++j)
      model += fmt::format(R"({}"k{}": {{"tm:ref": "#/a{}"}})", j == 0 ? "" : ",", j, i - 1);
    model += "}";
  }
  const auto refused = Resolve((model + "}").c_str());
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("once references are resolved"), std::string::npos);
}

const char* kTemplate =
    R"({"@context": ["https://www.w3.org/2022/wot/td/v1.1", {"ps": "urn:penstock:v1#"}],
    "@type": "tm:ThingModel", "title": "Pump {{NUMBER}}", "id": "urn:dev:acme:pump-{{NUMBER}}",
    "version": {"model": "1.0.0"}, "ps:model": "pump@1.0", "ps:asset": "{{ASSET}}", "tm:optional": ["/properties/flow"],
    "properties": {"flow": {"type": "number", "maximum": "{{MAX}}",
                            "forms": [{"href": "http://local/write", "op": "observeproperty"}]}}})";

TEST_F(ModelTest, AnInstanceIsADescriptionThatChecks) {
  const auto thing = Instantiate(Json::parse(kTemplate),
                                 {{"NUMBER", 7}, {"ASSET", "acme/cologne/pump-7"}, {"MAX", 80.5}});
  ASSERT_TRUE(thing.has_value()) << thing.error().ToString();
  EXPECT_EQ((*thing)["title"], "Pump 7");
  EXPECT_EQ((*thing)["properties"]["flow"]["maximum"], 80.5);
  EXPECT_FALSE(thing->contains("@type"));
  const ReadThing read = ReadThingDescription(*thing, "");
  EXPECT_TRUE(read.findings.empty()) << FormatFinding(read.findings[0]);
  EXPECT_EQ(read.thing->name, "pump-7");
}

TEST_F(ModelTest, PlaceholdersMustMatch) {
  const auto missing = Instantiate(Json::parse(kTemplate), {{"NUMBER", 7}});
  EXPECT_EQ(missing.error().message, "no value for the placeholders ASSET, MAX");
  const auto unknown = Instantiate(Json::parse(kTemplate),
                                   {{"NUMBER", 7}, {"ASSET", "a/b"}, {"MAX", 1}, {"MAXX", 1}});
  EXPECT_EQ(unknown.error().fix, "write \"MAX\"");
  const auto nested =
      Instantiate(Json::parse(kTemplate), {{"NUMBER", "{{X}}"}, {"ASSET", "a/b"}, {"MAX", 1}});
  EXPECT_EQ(nested.error().pointer, "/NUMBER");
}

TEST_F(ModelTest, OptionalAffordancesAreNotRequired) {
  const Json optional = Json::parse(R"({"tm:optional": ["/properties/a"]})");
  EXPECT_FALSE(IsRequired(optional, "/properties/a"));
  EXPECT_TRUE(IsRequired(optional, "/properties/b"));
  const Json required = Json::parse(R"({"tm:required": ["/properties/a"]})");
  EXPECT_TRUE(IsRequired(required, "/properties/a"));
  EXPECT_FALSE(IsRequired(required, "/properties/b"));
}

}  // namespace
}  // namespace penstock::things
