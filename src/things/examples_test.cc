// The examples that the repository ships are good: for our own reader, and for the public JSON
// Schemas of the W3C where a copy of them lies beside the source tree (the project ships none;
// without it these tests are skipped).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "base/file.h"
#include "things/directory.h"
#include "things/model.h"
#include "things/reader.h"

namespace penstock::things {
namespace {

const std::string kSource = PENSTOCK_SOURCE_DIR;
const std::string kSpecs = kSource + "/../shared/specs";
const std::string kSite = kSource + "/examples/bottling";

// As much of JSON Schema draft 7 as the two schemas use. The first contradiction ends it.
class Schema {
 public:
  explicit Schema(const Json& root) : root_(root) {}

  // "" when `value` is valid, else where and why not.
  std::string Check(const Json& value) const { return Check(root_, value, ""); }

 private:
  static bool Is(const Json& value, const std::string& type) {
    if (type == "number") return value.is_number();
    if (type == "integer") return value.is_number_integer();
    if (type == "array") return value.is_array();
    return value.type_name() == type;
  }

  bool Valid(const Json& schema, const Json& value) const {
    return Check(schema, value, "").empty();
  }

  std::string Check(const Json& schema, const Json& value, const std::string& at) const {
    if (schema.is_boolean()) return schema.get<bool>() ? "" : at + ": nothing allowed";
    if (schema.contains("$ref")) {
      const auto reference = schema["$ref"].get<std::string>().substr(1);
      return Check(root_[Json::json_pointer(reference)], value, at);
    }
    if (std::string wrong = CheckValue(schema, value, at); !wrong.empty()) return wrong;
    if (std::string wrong = CheckLogic(schema, value, at); !wrong.empty()) return wrong;
    if (value.is_object()) return CheckObject(schema, value, at);
    return value.is_array() ? CheckArray(schema, value, at) : "";
  }

  std::string CheckValue(const Json& schema, const Json& value, const std::string& at) const {
    if (schema.contains("type")) {
      const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
      if (std::none_of(types.begin(), types.end(), [&](const Json& t) { return Is(value, t); }))
        return at + ": type";
    }
    if (schema.contains("const") && value != schema["const"]) return at + ": const";
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
      return at + ": enum";
    if (value.is_string() && schema.contains("pattern") &&
        !std::regex_search(value.get<std::string>(),
                           std::regex(schema["pattern"].get<std::string>())))
      return at + ": pattern";
    if (value.is_string() && schema.contains("minLength") &&
        value.get<std::string>().size() < schema["minLength"])
      return at + ": minLength";
    if (value.is_number() && schema.contains("minimum") && value < schema["minimum"])
      return at + ": minimum";
    if (value.is_number() && schema.contains("exclusiveMinimum") &&
        value <= schema["exclusiveMinimum"])
      return at + ": exclusiveMinimum";
    return "";
  }

  std::string CheckLogic(const Json& schema, const Json& value, const std::string& at) const {
    const auto count = [&](const char* key) {
      return std::count_if(schema[key].begin(), schema[key].end(),
                           [&](const Json& s) { return Valid(s, value); });
    };
    if (schema.contains("not") && Valid(schema["not"], value)) return at + ": not";
    if (schema.contains("anyOf") && count("anyOf") == 0) return at + ": anyOf";
    if (schema.contains("oneOf") && count("oneOf") != 1) return at + ": oneOf";
    if (schema.contains("allOf"))
      for (const Json& part : schema["allOf"])
        if (std::string wrong = Check(part, value, at); !wrong.empty()) return wrong;
    return "";
  }

  std::string CheckObject(const Json& schema, const Json& value, const std::string& at) const {
    if (schema.contains("required"))
      for (const Json& key : schema["required"])
        if (!value.contains(key.get<std::string>()))
          return at + ": required " + key.get<std::string>();
    if (schema.contains("minProperties") && value.size() < schema["minProperties"])
      return at + ": minProperties";
    for (const auto& [key, child] : value.items()) {
      const bool known = schema.contains("properties") && schema["properties"].contains(key);
      std::string wrong;
      if (known)
        wrong = Check(schema["properties"][key], child, at + "/" + key);
      else if (schema.contains("additionalProperties"))
        wrong = Check(schema["additionalProperties"], child, at + "/" + key);
      if (wrong.empty() && schema.contains("propertyNames"))
        wrong = Check(schema["propertyNames"], key, at + "/" + key);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  std::string CheckArray(const Json& schema, const Json& value, const std::string& at) const {
    if (schema.contains("minItems") && value.size() < schema["minItems"]) return at + ": minItems";
    if (schema.contains("contains") && std::none_of(value.begin(), value.end(), [&](const Json& v) {
          return Valid(schema["contains"], v);
        }))
      return at + ": contains";
    for (size_t i = 0; i < value.size() && schema.contains("items"); ++i) {
      const Json& items = schema["items"];
      std::string wrong;
      if (items.is_object())
        wrong = Check(items, value[i], at + "/" + std::to_string(i));
      else if (i < items.size())
        wrong = Check(items[i], value[i], at + "/" + std::to_string(i));
      else if (schema.contains("additionalItems"))
        wrong = Check(schema["additionalItems"], value[i], at + "/" + std::to_string(i));
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  const Json& root_;
};

void CheckAgainst(const std::string& schema_file, const std::string& suffix) {
  const std::string path = kSpecs + "/" + schema_file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Json schema = ReadDocument(path).value();
  const auto names = ListFiles(kSite + "/things", suffix).value();
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) {
    Json document = ReadDocument(kSite + "/things/" + name).value();
    // This edition of the schema wants the context of the next one; ours is that of the
    // recommendation.
    document["@context"][0] = "https://www.w3.org/ns/wot-next/td";
    EXPECT_EQ(Schema(schema).Check(document), "") << name;
  }
}

TEST(ExamplesTest, DescriptionsValidateAgainstThePublicSchema) {
  CheckAgainst("wot-td-1.1.schema.json", ".td.json");
}
TEST(ExamplesTest, ModelsValidateAgainstThePublicSchema) {
  CheckAgainst("wot-tm-1.1.schema.json", ".tm.json");
}

TEST(ExamplesTest, InstancesOfModelsValidateAgainstThePublicSchema) {
  const std::string path = kSpecs + "/wot-td-1.1.schema.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Json schema = ReadDocument(path).value();
  const auto names = ListFiles(kSite + "/things", ".tm.json").value();
  for (const std::string& name : names) {
    const Json model = ReadDocument(kSite + "/things/" + name).value();
    auto thing = Instantiate(
        model,
        {{"VENDOR", "acme"}, {"NAME", "x-1"}, {"BASE", "mqtt://local/"}, {"ASSET", "acme/x-1"}});
    ASSERT_TRUE(thing.has_value()) << thing.error().ToString();
    (*thing)["@context"][0] = "https://www.w3.org/ns/wot-next/td";
    for (auto& [key, property] : (*thing)["properties"].items())
      property["forms"] = Json::parse(R"([{"href": "x/y", "op": "observeproperty"}])");
    EXPECT_EQ(Schema(schema).Check(*thing), "") << name;
  }
}

// Every value of every example replaced by every kind of value, and every key removed: a reason
// each time there is no thing, and never an exception.
TEST(ExamplesTest, NoValueInAnyPlaceBreaksTheReaders) {
  const Json values = Json::parse(
      R"([null, true, 0, -1, 1.5, 1e300, "", "x", "{{P}}", "9999999999s", [], [1], ["x"], [{}], {}, {"a": 1}])");
  const auto names = ListFiles(kSite + "/things", ".json").value();
  for (const std::string& name : names) {
    Json original = ReadDocument(kSite + "/things/" + name).value();
    // Two properties of many alike are enough.
    while (original["properties"].size() > 2)
      original["properties"].erase(std::next(original["properties"].begin()));
    const Json places = original.flatten();
    std::set<std::string> pointers;
    for (const auto& [leaf, value] : places.items())
      for (std::string at = leaf; !at.empty(); at.resize(at.rfind('/'))) pointers.insert(at);
    for (const std::string& at : pointers) {
      for (size_t v = 0; v <= values.size(); ++v) {
        Json changed = original;
        if (v < values.size())
          changed[Json::json_pointer(at)] = values[v];
        else
          changed = original.patch(Json::array({{{"op", "remove"}, {"path", at}}}));
        const ReadThing thing = ReadThingDescription(changed, name);
        EXPECT_TRUE(thing.thing.has_value() || !thing.findings.empty());
        const ReadModel model = ReadThingModel(changed, name);
        EXPECT_TRUE(model.model.has_value() || !model.findings.empty());
        (void)ResolveModel(changed,
                           [](const std::string&) -> Result<Json> { return NotFound("none"); });
        (void)Instantiate(changed, Json::object());
      }
    }
  }
}

TEST(ExamplesTest, TheBottlingLineHasNoFindings) {
  const auto ids = PointIdsInMemory();
  Directory directory(kSite, *ids);
  const auto findings = directory.Reload();
  for (const Finding& finding : findings) ADD_FAILURE() << FormatFinding(finding);
  const auto snapshot = directory.snapshot();
  EXPECT_EQ(snapshot->things.size(), 5U);
  EXPECT_EQ(snapshot->models.size(), 5U);
  for (const Thing& thing : snapshot->things)
    for (const Property& property : thing.properties)
      EXPECT_NE(property.source(), nullptr) << property.point.path();
  const Point* vibration = snapshot->FindPoint("pump-7/vibration_de");
  ASSERT_NE(vibration, nullptr);
  EXPECT_EQ(vibration->type, ValueType::kWaveform);
  EXPECT_EQ(vibration->sample_rate_hz, 2048);
}

}  // namespace
}  // namespace penstock::things
