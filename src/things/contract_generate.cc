// A person owns the file, the model only proposes: regenerating never changes a value that is
// there. New properties are put into the text by its lines, not by writing the document anew,
// because a comment is often the most valuable part of a contract. What came out is read again and
// compared with what was meant; a text that would say anything else is not given out.
#include "things/contract_generate.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "things/contract_compat.h"
#include "things/contract_yaml.h"
#include "things/model.h"
#include "things/reader.h"
#include "things/vocabulary.h"

namespace penstock::things {
namespace {

std::string_view LogicalName(ValueType type) {
  switch (type) {
    case ValueType::kNumber:
      return "number";
    case ValueType::kInteger:
      return "integer";
    case ValueType::kBoolean:
      return "boolean";
    case ValueType::kString:
      return "string";
    case ValueType::kWaveform:
      return "array";
  }
  return "number";
}

Json RangeOf(const Json& schema) {
  Json options = Json::object();
  for (const char* key :
       {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
    if (schema.contains(key) && schema[key].is_number()) options[key] = schema[key];
  return options;
}

Json LengthsOf(const Json& schema) {
  Json options = Json::object();
  for (const char* key : {"minLength", "maxLength"})
    if (schema.contains(key) && schema[key].is_number_integer()) options[key] = schema[key];
  if (schema.contains("pattern") && schema["pattern"].is_string())
    options["pattern"] = schema["pattern"];
  return options;
}

// The values of "enum", of texts and numbers.
Json ListedOf(const Json& schema, ValueType type) {
  Json listed = Json::array();
  const auto values = schema.find("enum");
  const bool text = type == ValueType::kString;
  if ((!text && type != ValueType::kNumber && type != ValueType::kInteger) ||
      values == schema.end() || !values->is_array())
    return listed;
  for (const Json& value : *values)
    if (text ? value.is_string() : value.is_number()) listed.push_back(value);
  return listed;
}

Json PropertyOf(const std::string& name, const Json& property, ValueType type, bool required,
                const std::string& classification) {
  Json out = {{"name", name}, {"logicalType", LogicalName(type)}};
  if (const std::string title = StringOr(property, "title", ""); !title.empty())
    out["businessName"] = title;
  if (const std::string text = StringOr(property, "description", ""); !text.empty())
    out["description"] = text;
  const bool waveform = type == ValueType::kWaveform;
  const Json& measured = waveform ? property["items"] : property;
  const Json range = type == ValueType::kBoolean  ? Json::object()
                     : type == ValueType::kString ? LengthsOf(measured)
                                                  : RangeOf(measured);
  if (waveform) {
    out["items"] = {{"logicalType", StringOr(measured, "type", "number")}};
    if (!range.empty()) out["items"]["logicalTypeOptions"] = range;
    for (const char* key : {"minItems", "maxItems"})
      if (property.contains(key)) out["logicalTypeOptions"][key] = property[key];
  } else if (!range.empty()) {
    out["logicalTypeOptions"] = range;
  }
  out["required"] = required;
  out["classification"] = StringOr(property, "ps:classification", classification);
  Json custom = Json::array();
  std::string unit = StringOr(property, "unit", "");
  if (unit.empty() && waveform) unit = StringOr(measured, "unit", "");
  if (!unit.empty() && type != ValueType::kBoolean)
    custom.push_back({{"property", "unit"}, {"value", unit}});
  if (property.contains("ps:sampleRate"))
    custom.push_back({{"property", "sampleRate"}, {"value", property["ps:sampleRate"]}});
  if (!custom.empty()) out["customProperties"] = custom;
  if (const Json listed = ListedOf(measured, type); !listed.empty())
    out["quality"] = Json::array({Json{{"name", "listed"},
                                       {"metric", "invalidValues"},
                                       {"arguments", Json{{"validValues", listed}}},
                                       {"mustBe", 0}}});
  return out;
}

// How old the newest sample may be: the longest interval between two reports.
Duration FreshnessOf(const Json& property) {
  const auto read = [&](const char* object, const char* key) {
    const auto found = property.find(object);
    if (found == property.end()) return Duration(0);
    return ParseDuration(StringOr(*found, key, "")).value_or(Duration(0));
  };
  const Duration report = read("ps:report", "max_interval");
  return report.count() > 0 ? report : read("ps:quality", "stale_after");
}

Json TimeSla(const char* property, Duration limit) {
  const double seconds = ToSeconds(limit);
  constexpr std::pair<double, const char*> kUnits[] = {
      {86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  for (const auto& [length, unit] : kUnits)
    if (seconds >= length && std::fmod(seconds, length) == 0)
      return {{"property", property},
              {"value", static_cast<int64_t>(seconds / length)},
              {"unit", unit}};
  return {{"property", property}, {"value", ToMicros(Time(limit)) / 1000}, {"unit", "ms"}};
}

// The loosest freshness is the contract's own when every property has one (the tightest promise
// counts); tighter ones name their elements.
Json SlaOf(const std::string& object, const std::map<Duration, std::vector<std::string>>& fresh,
           size_t properties, Duration retention) {
  Json list = Json::array();
  size_t promised = 0;
  for (const auto& [limit, names] : fresh) promised += names.size();
  for (const auto& [limit, names] : fresh) {
    Json entry = TimeSla("freshness", limit);
    std::string elements;
    for (const std::string& name : names)
      elements += (elements.empty() ? "" : ",") + object + "." + name;
    if (promised < properties || limit != fresh.rbegin()->first) entry["element"] = elements;
    list.push_back(std::move(entry));
  }
  if (retention.count() > 0) list.push_back(TimeSla("retention", retention));
  return list;
}

const Json* PropertiesOf(const Json& contract) {
  const auto schema = contract.find("schema");
  if (schema == contract.end() || !schema->is_array() || schema->empty()) return nullptr;
  const auto list = schema->front().find("properties");
  return list != schema->front().end() && list->is_array() ? &*list : nullptr;
}

std::map<std::string, std::pair<const Json*, std::string>> ByName(const Json& contract) {
  std::map<std::string, std::pair<const Json*, std::string>> all;
  const auto schema = contract.find("schema");
  for (size_t i = 0; schema != contract.end() && schema->is_array() && i < schema->size(); ++i) {
    const auto list = (*schema)[i].find("properties");
    if (list == (*schema)[i].end() || !list->is_array()) continue;
    for (size_t k = 0; k < list->size(); ++k)
      all.emplace(StringOr((*list)[k], "name", ""),
                  std::pair(&(*list)[k], fmt::format("/schema/{}/properties/{}", i, k)));
  }
  return all;
}

std::string TextOf(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Values that the model has an opinion about; what only the file says is the person's own.
void Differ(const Json& file, const Json& model, const std::string& pointer,
            std::vector<ContractUpdate::Difference>& out) {
  for (const auto& [key, value] : model.items()) {
    if (key == "name") continue;
    const std::string below = pointer + "/" + EscapePointer(key);
    if (!file.contains(key))
      out.push_back({below, "", TextOf(value)});
    else if (value.is_object() && file[key].is_object())
      Differ(file[key], value, below, out);
    else if (file[key] != value)
      out.push_back({below, TextOf(file[key]), TextOf(value)});
  }
}

size_t IndentOf(std::string_view line) {
  const size_t at = line.find_first_not_of(' ');
  return at == line.npos ? line.size() : at;
}

bool IsContent(std::string_view line) {
  const size_t at = line.find_first_not_of(" \t\r");
  return at != line.npos && line[at] != '#';
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// The line behind the last property of the first object, and the column of its dash.
Result<std::pair<size_t, size_t>> EndOfProperties(const std::vector<std::string>& lines,
                                                  const std::string& last) {
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    const size_t indent = IndentOf(line);
    if (!line.substr(indent).starts_with("- name:")) continue;
    std::string_view name = line.substr(indent + 7);
    while (!name.empty() && (name.front() == ' ' || name.front() == '"')) name.remove_prefix(1);
    name = name.substr(0, name.find_first_of(" \"#\r"));
    if (name != last) continue;
    size_t end = i + 1, next = end;
    for (; next < lines.size(); ++next) {
      if (!IsContent(lines[next])) continue;
      if (IndentOf(lines[next]) <= indent) break;
      end = next + 1;
    }
    return std::pair(end, indent);
  }
  auto error = FailedPrecondition("no line \"- name: {}\" of its own in the contract", last);
  error.error().Fix("write the properties one below the other, or add the new ones by hand");
  return error;
}

}  // namespace

Result<Json> ContractFromModel(const ThingModel& model, const ContractDefaults& defaults) {
  const Json& document = model.document;
  const std::string kind = model.name.substr(0, model.name.find('@'));
  const std::string named = StringOr(document, "ps:contract", "");
  std::string version = named.empty() ? model.version : named.substr(named.find('@') + 1);
  if (!ParseVersion3(version)) version = "1.0.0";
  Json out = {{"apiVersion", "v3.1.0"},
              {"kind", "DataContract"},
              {"id", named.empty() ? kind : named.substr(0, named.find('@'))},
              {"name", model.title},
              {"version", version},
              {"status", "active"}};
  if (!defaults.domain.empty()) out["domain"] = defaults.domain;
  if (!defaults.team.empty()) out["team"]["name"] = defaults.team;
  if (!defaults.owner.empty())
    out["team"]["members"] = Json::array({{{"username", defaults.owner}, {"role", "owner"}}});
  if (const std::string text = StringOr(document, "description", ""); !text.empty())
    out["description"]["purpose"] = text;
  const std::string classification = StringOr(document, "ps:classification", "internal");
  out["customProperties"] =
      Json::array({{{"property", "thingModel"}, {"value", model.name}},
                   {{"property", "classification"}, {"value", classification}}});
  Json properties = Json::array();
  std::map<Duration, std::vector<std::string>> fresh;
  const auto list = document.find("properties");
  if (list == document.end() || !list->is_object() || list->empty())
    return FailedPrecondition("model {} has no properties to promise", model.name);
  for (const auto& [name, property] : list->items()) {
    const auto type = ValueTypeOf(property);
    if (!type || HasPlaceholder(name)) continue;
    const bool required = IsRequired(document, "/properties/" + EscapePointer(name));
    properties.push_back(PropertyOf(name, property, *type, required, classification));
    if (const Duration limit = FreshnessOf(property); limit.count() > 0)
      fresh[limit].push_back(name);
  }
  Json sla = SlaOf(kind, fresh, properties.size(), defaults.retention);
  out["schema"] = Json::array({{{"name", kind},
                                {"logicalType", "object"},
                                {"physicalType", "parquet"},
                                {"properties", std::move(properties)}}});
  out["schema"][0]["quality"] = Json::array(
      {{{"name", "anything at all"}, {"metric", "rowCount"}, {"mustBeGreaterThan", 0}}});
  if (!sla.empty()) out["slaProperties"] = std::move(sla);
  return out;
}

ContractUpdate CompareWithModel(const Json& file, const Json& generated) {
  ContractUpdate update;
  const auto present = ByName(file), wanted = ByName(generated);
  // In the model's order of names, which is that of the generated document.
  for (const auto& [name, entry] : wanted) {
    const auto found = present.find(name);
    if (found == present.end())
      update.added.push_back(*entry.first);
    else
      Differ(*found->second.first, *entry.first, found->second.second, update.differences);
  }
  for (const auto& [name, entry] : present)
    if (!wanted.contains(name)) update.gone.push_back(name);
  return update;
}

Result<std::string> MergeIntoText(const std::string& text, const ContractUpdate& update) {
  if (update.added.empty()) return text;
  ASSIGN_OR_RETURN(Json expected, ParseYaml(text));
  const Json* list = expected.is_object() ? PropertiesOf(expected) : nullptr;
  if (list == nullptr || list->empty())
    return FailedPrecondition("the contract has no property to put new ones behind");
  std::vector<std::string> lines = LinesOf(text);
  ASSIGN_OR_RETURN(const auto place, EndOfProperties(lines, StringOr(list->back(), "name", "")));
  std::string block;
  for (const Json& property : update.added) {
    block += ContractYamlItem(property, place.second);
    expected["schema"][0]["properties"].push_back(property);
  }
  block.pop_back();
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(place.first), block);
  // New optional properties are a minor step, a required one is a major one.
  const bool required = std::any_of(update.added.begin(), update.added.end(),
                                    [](const Json& p) { return BoolOr(p, "required", false); });
  const std::string next = NextVersion(StringOr(expected, "version", "0.0.0"),
                                       required ? VersionStep::kMajor : VersionStep::kMinor);
  for (std::string& line : lines)
    if (line.starts_with("version:")) line = fmt::format("version: \"{}\"", next);
  expected["version"] = next;
  std::string merged;
  for (const std::string& line : lines) merged += line + "\n";
  ASSIGN_OR_RETURN(const Json read, ParseYaml(merged));
  if (read == expected) return merged;
  auto error = FailedPrecondition(
      "the layout of the contract leaves no sure place for {} properties", update.added.size());
  error.error().Fix("add them by hand");
  return error;
}

}  // namespace penstock::things
