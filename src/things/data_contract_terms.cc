// Source: Bitol, Open Data Contract Standard v3.1.0 (fundamentals, schema, data quality, SLA, team,
// custom properties). Sections that mean nothing to a node (servers, support, price, roles,
// relationships) are only held to their outer shape.
#include "things/data_contract_terms.h"

#include <algorithm>
#include <span>
#include <vector>

namespace penstock::things {
namespace {

enum class Is { kText, kFlag, kInteger, kNumber, kScalar, kList, kTexts, kPair, kObject, kAny };

struct Key {
  std::string_view name;
  Is is;
};

constexpr Key kContract[] = {
    {"apiVersion", Is::kText},
    {"kind", Is::kText},
    {"id", Is::kText},
    {"name", Is::kText},
    {"version", Is::kText},
    {"status", Is::kText},
    {"tenant", Is::kText},
    {"tags", Is::kTexts},
    {"servers", Is::kList},
    {"dataProduct", Is::kText},
    {"description", Is::kObject},
    {"domain", Is::kText},
    {"schema", Is::kList},
    {"support", Is::kList},
    {"price", Is::kObject},
    {"team", Is::kAny},
    {"roles", Is::kList},
    {"slaDefaultElement", Is::kText},
    {"slaProperties", Is::kList},
    {"authoritativeDefinitions", Is::kList},
    {"customProperties", Is::kList},
    {"contractCreatedTs", Is::kText},
};
constexpr Key kElement[] = {
    {"id", Is::kText},           {"name", Is::kText},
    {"physicalType", Is::kText}, {"description", Is::kText},
    {"businessName", Is::kText}, {"authoritativeDefinitions", Is::kList},
    {"tags", Is::kTexts},        {"customProperties", Is::kList},
    {"logicalType", Is::kText},  {"physicalName", Is::kText},
    {"properties", Is::kList},   {"relationships", Is::kList},
    {"quality", Is::kList},
};
constexpr Key kObjectOnly[] = {{"dataGranularityDescription", Is::kText}};
constexpr Key kFieldOnly[] = {
    {"primaryKey", Is::kFlag},
    {"primaryKeyPosition", Is::kInteger},
    {"logicalTypeOptions", Is::kObject},
    {"required", Is::kFlag},
    {"unique", Is::kFlag},
    {"partitioned", Is::kFlag},
    {"partitionKeyPosition", Is::kInteger},
    {"classification", Is::kText},
    {"encryptedName", Is::kText},
    {"transformSourceObjects", Is::kTexts},
    {"transformLogic", Is::kText},
    {"transformDescription", Is::kText},
    {"examples", Is::kList},
    {"criticalDataElement", Is::kFlag},
    {"items", Is::kObject},
};
constexpr Key kRule[] = {
    {"id", Is::kText},
    {"authoritativeDefinitions", Is::kList},
    {"businessImpact", Is::kText},
    {"customProperties", Is::kList},
    {"description", Is::kText},
    {"dimension", Is::kText},
    {"method", Is::kText},
    {"name", Is::kText},
    {"schedule", Is::kText},
    {"scheduler", Is::kText},
    {"severity", Is::kText},
    {"tags", Is::kTexts},
    {"type", Is::kText},
    {"unit", Is::kText},
    {"metric", Is::kText},
    {"rule", Is::kText},
    {"arguments", Is::kObject},
    {"query", Is::kText},
    {"engine", Is::kText},
    {"implementation", Is::kAny},
    {"mustBe", Is::kAny},
    {"mustNotBe", Is::kAny},
    {"mustBeGreaterThan", Is::kNumber},
    {"mustBeGreaterOrEqualTo", Is::kNumber},
    {"mustBeLessThan", Is::kNumber},
    {"mustBeLessOrEqualTo", Is::kNumber},
    {"mustBeBetween", Is::kPair},
    {"mustNotBeBetween", Is::kPair},
};
constexpr Key kSla[] = {
    {"id", Is::kText},         {"property", Is::kText},    {"value", Is::kScalar},
    {"valueExt", Is::kScalar}, {"unit", Is::kText},        {"element", Is::kText},
    {"driver", Is::kText},     {"description", Is::kText}, {"scheduler", Is::kText},
    {"schedule", Is::kText},
};
constexpr Key kCustom[] = {
    {"id", Is::kText},
    {"property", Is::kText},
    {"value", Is::kAny},
    {"description", Is::kText},
};
constexpr Key kTeam[] = {
    {"id", Is::kText},
    {"name", Is::kText},
    {"description", Is::kText},
    {"members", Is::kList},
    {"tags", Is::kTexts},
    {"customProperties", Is::kList},
    {"authoritativeDefinitions", Is::kList},
};
constexpr Key kMember[] = {
    {"id", Is::kText},
    {"username", Is::kText},
    {"name", Is::kText},
    {"description", Is::kText},
    {"role", Is::kText},
    {"dateIn", Is::kText},
    {"dateOut", Is::kText},
    {"replacedByUsername", Is::kText},
    {"tags", Is::kTexts},
    {"customProperties", Is::kList},
    {"authoritativeDefinitions", Is::kList},
};

std::vector<std::span<const Key>> KeysOf(ContractClass of) {
  switch (of) {
    case ContractClass::kContract:
      return {kContract};
    case ContractClass::kObject:
      return {kElement, kObjectOnly};
    case ContractClass::kField:
      return {kElement, kFieldOnly};
    case ContractClass::kRule:
      return {kRule};
    case ContractClass::kSla:
      return {kSla};
    case ContractClass::kCustom:
      return {kCustom};
    case ContractClass::kTeam:
      return {kTeam};
    case ContractClass::kMember:
      return {kMember};
  }
  return {};
}

bool IsOf(const Json& value, Is is) {
  switch (is) {
    case Is::kText:
      return value.is_string();
    case Is::kFlag:
      return value.is_boolean();
    case Is::kInteger:
      return value.is_number_integer();
    case Is::kNumber:
      return value.is_number();
    case Is::kScalar:
      return !value.is_structured();
    case Is::kList:
      return value.is_array();
    case Is::kTexts:
      return value.is_array() && std::all_of(value.begin(), value.end(),
                                             [](const Json& text) { return text.is_string(); });
    case Is::kPair:
      return value.is_array() && value.size() == 2 && value[0].is_number() &&
             value[1].is_number() && value[0] < value[1];
    case Is::kObject:
      return value.is_object();
    case Is::kAny:
      return true;
  }
  return false;
}

std::string_view NameOfKind(Is is) {
  constexpr std::string_view kNames[] = {
      "a text",         "true or false", "a whole number",  "a number",
      "a single value", "a list",        "a list of texts", "two numbers, the smaller first",
      "an object",      "a value"};
  return kNames[static_cast<size_t>(is)];
}

void CheckKey(const std::string& key, const Json& value, ContractClass of,
              const std::string& pointer, Findings& findings) {
  std::vector<std::string> known;
  for (const auto& table : KeysOf(of))
    for (const Key& candidate : table) {
      if (candidate.name == key) {
        if (IsOf(value, candidate.is)) return;
        const bool quoted = candidate.is == Is::kText && value.is_number();
        return findings.Mistake(
            pointer,
            fmt::format("\"{}\" must be {}, not {}", key, NameOfKind(candidate.is),
                        value.type_name()),
            quoted ? fmt::format("write it in quotes: {}: \"{}\"", key, value.dump()) : "");
      }
      known.emplace_back(candidate.name);
    }
  const std::string nearest = Nearest(key, known);
  findings.Mistake(pointer, fmt::format("unknown key \"{}\"", key.substr(0, 80)),
                   nearest.empty()
                       ? "own keys go to customProperties: - {property: NAME, value: VALUE}"
                       : fmt::format("did you mean \"{}\"?", nearest));
}

}  // namespace

bool CheckContractTerms(const Json& object, ContractClass of, const std::string& pointer,
                        Findings& findings) {
  if (!object.is_object()) {
    findings.Mistake(pointer, fmt::format("must be an object, not {}", object.type_name()));
    return false;
  }
  for (const auto& [key, value] : object.items())
    CheckKey(key, value, of, pointer + "/" + EscapePointer(key), findings);
  return true;
}

}  // namespace penstock::things
