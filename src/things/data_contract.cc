// The order of a reading: keys and shapes by the table of terms, then what they mean. Everything
// goes on after a mistake, and a contract with any mistake is not given out: half a contract would
// enforce half a promise.
//
// What becomes a check is read strictly (types, ranges, units, quality operators); what is only for
// people or for other tools keeps its outer shape and is left alone. A quality rule that the node
// cannot measure (type sql or custom) is a doubt, never silently a pass.
#include "things/data_contract.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/file.h"
#include "things/contract_rules.h"
#include "things/data_contract_terms.h"
#include "things/members.h"
#include "things/reader.h"
#include "things/units.h"

namespace penstock::things {
namespace {

constexpr size_t kObjectsMax = 100, kSlaMax = 1000, kPersonalMax = 16;
constexpr double kSampleRateMax = 1e7;

bool IsId(std::string_view id) {
  if (id.empty() || id.size() > 64 || id[0] == '-' || id[0] == '_') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

const Json* List(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? &*found : nullptr;
}

std::optional<ValueType> PointTypeOf(const Json& field, std::string_view logical) {
  if (logical == "number") return ValueType::kNumber;
  if (logical == "integer") return ValueType::kInteger;
  if (logical == "boolean") return ValueType::kBoolean;
  if (logical == "string") return ValueType::kString;
  if (logical != "array") return std::nullopt;
  const Json* items = ObjectIn(field, "items");
  const std::string of = items == nullptr ? "" : StringOr(*items, "logicalType", "");
  return of == "number" || of == "integer" ? std::optional(ValueType::kWaveform) : std::nullopt;
}

class Reader {
 public:
  Reader(const Json& document, const std::string& file) : document_(document), findings_(file) {}

  ReadContract Read() {
    if (CheckContractTerms(document_, ContractClass::kContract, "", findings_)) {
      ReadIdentity();
      ReadTeam();
      ReadCustom();
      ReadSchema();
      ReadAllSla();
    }
    ReadContract result;
    const bool good = findings_.errors() == 0;
    contract_.file = findings_.file();
    result.findings = findings_.Take();
    if (!good) return result;
    contract_.document = document_;
    result.contract = std::move(contract_);
    return result;
  }

 private:
  void Require(const char* key, const char* fix) {
    if (!document_.contains(key)) findings_.Mistake("", fmt::format("missing \"{}\"", key), fix);
  }

  void ReadIdentity() {
    Require("apiVersion", "apiVersion: v3.1.0");
    Require("kind", "kind: DataContract");
    Require("status", "status: active");
    contract_.id = ContractIdOf(findings_.file());
    if (!IsId(contract_.id))
      findings_.Mistake("/id", fmt::format("\"{}\" is no id of a contract", contract_.id),
                        "name the file ID.odcs.yaml with an id in a-z, 0-9, _ and -");
    Require("id", "the file's name without .odcs.yaml");
    if (const std::string id = StringOr(document_, "id", contract_.id); id != contract_.id)
      findings_.Mistake(
          "/id", fmt::format("id \"{}\" in the file of \"{}\"", id.substr(0, 80), contract_.id),
          fmt::format("id: {}, or rename the file", contract_.id));
    if (const std::string kind = StringOr(document_, "kind", "DataContract");
        kind != "DataContract")
      findings_.Mistake("/kind", fmt::format("kind \"{}\"", kind.substr(0, 40)),
                        "kind: DataContract");
    const std::string api = StringOr(document_, "apiVersion", "v3.1.0");
    if (!api.starts_with("v3."))
      findings_.Mistake("/apiVersion", fmt::format("version \"{}\" is not read", api.substr(0, 40)),
                        "apiVersion: v3.1.0");
    Require("version", "version: \"1.0.0\"");
    contract_.version = StringOr(document_, "version", "");
    if (!contract_.version.empty() && !ParseVersion3(contract_.version))
      findings_.Mistake("/version",
                        fmt::format("\"{}\" is no version", contract_.version.substr(0, 40)),
                        "MAJOR.MINOR.PATCH, such as 1.2.0");
    contract_.name = StringOr(document_, "name", contract_.id);
    contract_.status = StringOr(document_, "status", "");
    contract_.domain = StringOr(document_, "domain", "");
    contract_.classification = "internal";
    if (const Json* description = ObjectIn(document_, "description"))
      contract_.purpose = StringOr(*description, "purpose", "");
  }

  void ReadTeam() {
    const auto team = document_.find("team");
    if (team == document_.end()) return;
    if (!CheckContractTerms(*team, ContractClass::kTeam, "/team", findings_)) return;
    contract_.team = StringOr(*team, "name", "");
    const Json* members = List(*team, "members");
    for (size_t i = 0; members != nullptr && i < members->size(); ++i) {
      const std::string pointer = fmt::format("/team/members/{}", i);
      if (!CheckContractTerms((*members)[i], ContractClass::kMember, pointer, findings_)) continue;
      const std::string user = StringOr((*members)[i], "username", "");
      if (user.empty()) findings_.Mistake(pointer, "missing \"username\"", "username: plant-data");
      if (contract_.owner.empty() && StringOr((*members)[i], "role", "") == "owner")
        contract_.owner = user;
    }
  }

  // The value of an own term, or nullptr.
  const Json* Custom(const Json& object, std::string_view property) const {
    const Json* list = List(object, "customProperties");
    if (list == nullptr) return nullptr;
    for (const Json& entry : *list)
      if (StringOr(entry, "property", "") == property && entry.contains("value"))
        return &entry["value"];
    return nullptr;
  }

  void CheckCustom(const Json& object, const std::string& base) {
    const Json* list = List(object, "customProperties");
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
      const std::string pointer = fmt::format("{}/customProperties/{}", base, i);
      if (!CheckContractTerms((*list)[i], ContractClass::kCustom, pointer, findings_)) continue;
      if (!(*list)[i].contains("property") || !(*list)[i].contains("value"))
        findings_.Mistake(pointer, "a custom property has \"property\" and \"value\"",
                          "- {property: unit, value: bar}");
    }
  }

  void ReadCustom() {
    CheckCustom(document_, "");
    if (const Json* model = Custom(document_, "thingModel"); model != nullptr && model->is_string())
      contract_.thing_model = model->get<std::string>();
    if (const Json* word = Custom(document_, "classification");
        word != nullptr && word->is_string())
      contract_.classification = word->get<std::string>();
  }

  void ReadSchema() {
    const Json* schema = List(document_, "schema");
    if (schema == nullptr || schema->empty())
      return findings_.Mistake(schema == nullptr ? "" : "/schema", "no schema: nothing is promised",
                               "penstock contract generate MODEL writes one");
    if (schema->size() > kObjectsMax)
      return findings_.Mistake("/schema",
                               fmt::format("{} objects, at most {}", schema->size(), kObjectsMax));
    for (size_t i = 0; i < schema->size(); ++i) {
      const std::string pointer = fmt::format("/schema/{}", i);
      if (CheckContractTerms((*schema)[i], ContractClass::kObject, pointer, findings_))
        ReadObject((*schema)[i], pointer);
    }
  }

  void ReadObject(const Json& json, const std::string& pointer) {
    ContractObject object;
    object.name = StringOr(json, "name", "");
    object.physical_name = StringOr(json, "physicalName", "");
    object.pointer = pointer;
    if (object.name.empty()) findings_.Mistake(pointer, "missing \"name\"", "name: pump");
    CheckCustom(json, pointer);
    const Json* properties = List(json, "properties");
    for (size_t i = 0; properties != nullptr && i < properties->size(); ++i) {
      const std::string below = fmt::format("{}/properties/{}", pointer, i);
      if (++fields_ > kContractFieldsMax)
        return findings_.Mistake(below, fmt::format("more than {} properties", kContractFieldsMax));
      if (CheckContractTerms((*properties)[i], ContractClass::kField, below, findings_))
        object.fields.push_back(ReadField((*properties)[i], below));
    }
    object.rules = ReadContractRules(json, pointer, findings_);
    contract_.objects.push_back(std::move(object));
  }

  ContractField ReadField(const Json& json, const std::string& pointer) {
    ContractField field;
    field.pointer = pointer;
    field.name = StringOr(json, "name", "");
    if (field.name.empty())
      findings_.Mistake(pointer, "missing \"name\"", "the property's name in the Thing Model");
    else if (!names_.insert(field.name).second)
      findings_.Mistake(pointer + "/name", fmt::format("\"{}\" is there already", field.name),
                        "a point has one place in a contract");
    CheckCustom(json, pointer);
    ReadType(json, pointer, field);
    ReadUnit(json, pointer, field);
    field.required = BoolOr(json, "required", false);
    field.classification = StringOr(json, "classification", "");
    ReadPersonal(json, field);
    field.rules = ReadContractRules(json, pointer, findings_);
    return field;
  }

  void ReadType(const Json& json, const std::string& pointer, ContractField& field) {
    static constexpr std::string_view kTypes[] = {
        "string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean"};
    const std::string logical = StringOr(json, "logicalType", "");
    if (logical.empty())
      return findings_.Mistake(pointer, "missing \"logicalType\"",
                               "number, integer, boolean, or array with items (a waveform)");
    if (std::find(std::begin(kTypes), std::end(kTypes), logical) == std::end(kTypes))
      return findings_.Mistake(pointer + "/logicalType",
                               fmt::format("\"{}\" is no logical type", logical.substr(0, 40)),
                               "number, integer, boolean, string, array, date, timestamp ...");
    field.type = PointTypeOf(json, logical);
    const Json* typed = &json;
    std::string place = pointer;
    if (field.type == ValueType::kWaveform) {
      typed = ObjectIn(json, "items");
      place += "/items";
    }
    if (const Json* options = ObjectIn(*typed, "logicalTypeOptions");
        options != nullptr && field.type) {
      if (*field.type == ValueType::kString)
        ReadContractText(*options, place + "/logicalTypeOptions", field.text, findings_);
      else
        ReadRange(*options, place + "/logicalTypeOptions", *field.type, field.range);
    }
    if (const Json* rate = Custom(json, "sampleRate")) {
      field.sample_rate_hz = rate->is_number() ? rate->get<double>() : -1;
      if (!(field.sample_rate_hz > 0) || field.sample_rate_hz > kSampleRateMax)
        findings_.Mistake(pointer + "/customProperties",
                          fmt::format("sampleRate {} is no number of samples per second",
                                      rate->dump().substr(0, 40)),
                          "value: 2048");
    }
  }

  void ReadRange(const Json& options, const std::string& pointer, ValueType type,
                 ContractRange& range) {
    const auto number = [&](const char* key) -> std::optional<double> {
      const auto found = options.find(key);
      if (found == options.end()) return std::nullopt;
      if (found->is_number() && std::isfinite(found->get<double>())) return found->get<double>();
      findings_.Mistake(fmt::format("{}/{}", pointer, key),
                        fmt::format("\"{}\" must be a number, not {}", key, found->type_name()));
      return std::nullopt;
    };
    for (const auto& [key, value] : options.items()) {
      static const std::vector<std::string> kKnown = {
          "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"};
      if (std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
      const std::string nearest = Nearest(key, kKnown);
      findings_.Mistake(pointer + "/" + EscapePointer(key),
                        fmt::format("unknown key \"{}\"", key.substr(0, 80)),
                        nearest.empty() ? "minimum, maximum, exclusiveMinimum, exclusiveMaximum, "
                                          "multipleOf"
                                        : fmt::format("did you mean \"{}\"?", nearest));
    }
    if (const auto low = number("minimum")) range.low = *low;
    if (const auto high = number("maximum")) range.high = *high;
    if (const auto low = number("exclusiveMinimum"); low && *low >= range.low) {
      range.low = *low;
      range.low_open = true;
    }
    if (const auto high = number("exclusiveMaximum"); high && *high <= range.high) {
      range.high = *high;
      range.high_open = true;
    }
    if (const auto step = number("multipleOf")) {
      range.step = *step;
      if (*step <= 0)
        findings_.Mistake(pointer + "/multipleOf", fmt::format("{} is not above 0", *step), "0.5");
    }
    if (type == ValueType::kBoolean && range != ContractRange{})
      findings_.Mistake(pointer, "a boolean has no range", "remove it");
    if (range.low > range.high || (range.low == range.high && (range.low_open || range.high_open)))
      findings_.Mistake(pointer, fmt::format("no value is in {}..{}", range.low, range.high),
                        "minimum below maximum");
  }

  void ReadUnit(const Json& json, const std::string& pointer, ContractField& field) {
    const Json* unit = Custom(json, "unit");
    if (unit == nullptr) return;
    const std::string place = pointer + "/customProperties";
    if (!unit->is_string())
      return findings_.Mistake(place, "the unit is a UCUM code in quotes",
                               "{property: unit, value: \"1\"}");
    field.unit = unit->get<std::string>();
    if (auto parsed = ParseUnit(field.unit); !parsed)
      return findings_.Mistake(parsed.error().At(place));
    if (field.unit == "1") field.unit = "";
  }

  void ReadPersonal(const Json& json, ContractField& field) {
    const Json* classes = Custom(json, "personalData");
    if (classes == nullptr) return;
    if (classes->is_string()) field.personal.push_back(classes->get<std::string>());
    for (size_t i = 0; classes->is_array() && i < std::min(classes->size(), kPersonalMax); ++i)
      if ((*classes)[i].is_string()) field.personal.push_back((*classes)[i].get<std::string>());
    if (field.classification.empty()) field.classification = "personal";
  }

  void ReadAllSla() {
    const Json* list = List(document_, "slaProperties");
    if (list == nullptr) return;
    if (list->size() > kSlaMax)
      return findings_.Mistake("/slaProperties",
                               fmt::format("{} entries, at most {}", list->size(), kSlaMax));
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string pointer = fmt::format("/slaProperties/{}", i);
      if (!CheckContractTerms((*list)[i], ContractClass::kSla, pointer, findings_)) continue;
      ContractSla sla = ReadContractSla((*list)[i], pointer, findings_);
      for (const std::string& element : sla.elements)
        if (!names_.contains(element) && !IsObject(element)) Unknown(element, pointer + "/element");
      contract_.sla.push_back(std::move(sla));
    }
  }

  bool IsObject(const std::string& name) const {
    return std::any_of(contract_.objects.begin(), contract_.objects.end(),
                       [&](const ContractObject& object) { return object.name == name; });
  }

  void Unknown(const std::string& element, const std::string& pointer) {
    const std::string nearest = Nearest(element, {names_.begin(), names_.end()});
    findings_.Mistake(pointer,
                      fmt::format("no property \"{}\" in the schema", element.substr(0, 80)),
                      nearest.empty() ? "OBJECT.PROPERTY of this contract"
                                      : fmt::format("did you mean \"{}\"?", nearest));
  }

  const Json& document_;
  Findings findings_;
  DataContract contract_;
  std::set<std::string> names_;
  size_t fields_ = 0;
};

}  // namespace

std::string ContractIdOf(std::string_view file) {
  const std::string_view name = file.substr(file.rfind('/') + 1);
  return name.ends_with(kContractSuffix)
             ? std::string(name.substr(0, name.size() - kContractSuffix.size()))
             : "";
}

std::optional<Version3> ParseVersion3(std::string_view text) {
  uint32_t numbers[3] = {};
  const char* at = text.data();
  const char* end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc() || next == at || numbers[i] > 1'000'000) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return Version3{numbers[0], numbers[1], numbers[2]};
}

namespace {

// YAML readers take any bytes; whoever writes the document down again does not.
bool IsUtf8(const Json& document) {
  try {
    (void)document.dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace

ReadContract ReadDataContract(const Json& document, const std::string& file) {
  if (IsUtf8(document)) return Reader(document, file).Read();
  Findings findings(file);
  findings.Mistake("", "the text is not UTF-8", "save the file as UTF-8");
  return {std::nullopt, findings.Take()};
}

ReadContract ReadDataContractFile(const std::string& path) {
  const auto text = ReadFile(path, kContractBytesMax);
  auto document = text ? ParseYaml(*text) : Result<Json>(std::unexpected(text.error()));
  if (document) return ReadDataContract(*document, path);
  ReadContract result;
  result.findings.push_back({true, std::move(document.error().Where(path))});
  return result;
}

const ContractField* DataContract::FindField(std::string_view field) const {
  for (const ContractObject& object : objects)
    for (const ContractField& candidate : object.fields)
      if (candidate.name == field) return &candidate;
  return nullptr;
}

std::optional<ContractSla> DataContract::SlaOf(ContractSla::Kind kind,
                                               std::string_view field) const {
  const ContractSla* best = nullptr;
  const auto applies = [&](const ContractSla& entry) {
    if (entry.kind != kind) return false;
    if (entry.elements.empty()) return true;
    return std::any_of(entry.elements.begin(), entry.elements.end(), [&](const std::string& name) {
      if (name == field) return true;
      return std::any_of(objects.begin(), objects.end(), [&](const ContractObject& object) {
        return object.name == name &&
               std::any_of(object.fields.begin(), object.fields.end(),
                           [&](const ContractField& f) { return f.name == field; });
      });
    });
  };
  for (const ContractSla& entry : sla)
    if (applies(entry) && (best == nullptr || entry.limit < best->limit)) best = &entry;
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace penstock::things
