// The order of a reading: the vocabulary (keys, shapes, words), then the thing's own terms, then
// each property with its rules and forms. Everything goes on after a mistake. A thing with any
// error is not given out: half a source is worse than the old version of it, which the directory
// keeps.
#include "things/reader.h"

#include <algorithm>
#include <set>

#include "things/address.h"
#include "things/form.h"
#include "things/members.h"
#include "things/security.h"
#include "things/text.h"
#include "things/units.h"
#include "things/vocabulary.h"

namespace penstock::things {
namespace {

constexpr size_t kMaxProperties = 10'000;
constexpr double kMaxSampleRate = 1e7;
constexpr size_t kWordsMax = 256, kWordBytesMax = 200;

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlnum(char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9][a-z0-9_-]*, and with `dots` also ".".
bool IsName(std::string_view name, bool dots = false) {
  if (name.empty() || name.size() > 64 || !IsLowerOrDigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return IsLowerOrDigit(c) || c == '_' || c == '-' || (dots && c == '.');
  });
}

bool IsPropertyName(std::string_view name) {
  if (name.empty() || name.size() > 64 || !(IsAlnum(name[0]) || name[0] == '_')) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '-' || c == '.'; });
}

// "1", "1.2" or "1.2.0": `count` numbers with dots between them.
bool IsVersion(std::string_view text, int count) {
  int numbers = 0;
  while (true) {
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    if (digits == 0 || digits > 9) return false;
    ++numbers;
    text.remove_prefix(digits);
    if (text.empty()) return numbers == count;
    if (text[0] != '.') return false;
    text.remove_prefix(1);
  }
}

// NAME@VERSION with `count` numbers.
bool IsReference(std::string_view text, int count) {
  const size_t at = text.find('@');
  return at != text.npos && IsName(text.substr(0, at)) && IsVersion(text.substr(at + 1), count);
}

bool IsAssetPath(std::string_view path) {
  size_t levels = 0;
  while (true) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view level = path.substr(0, slash);
    if (level.empty() || level.size() > 64 || !IsAlnum(level[0]) || ++levels > 10) return false;
    if (!std::all_of(level.begin(), level.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '-' || c == '.'; }))
      return false;
    if (slash == path.size()) return levels >= 2;
    path.remove_prefix(slash + 1);
  }
}

// Texts, numbers and objects of the right type only: others were told of by the vocabulary check.
std::optional<double> Number(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::optional<Duration> Span(const Json& object, std::string_view key) {
  const std::string text = StringOr(object, key, "");
  if (text.empty() || text.size() > 40) return std::nullopt;
  const auto duration = ParseDuration(text);
  return duration ? std::optional(*duration) : std::nullopt;
}

// What a description and a model have in common: everything but ids, security and forms.
class Reader {
 public:
  Reader(const Json& document, DocumentKind kind, const std::string& file)
      : document_(document), kind_(kind), findings_(file) {}

  ReadThing ReadDescription() {
    if (!Begin()) return {std::nullopt, findings_.Take()};
    ReadIdentity();
    ReadSecurity();
    ReadTerms();
    ReadProperties();
    ReadThing result;
    const bool good = findings_.errors() == 0;
    result.findings = findings_.Take();
    if (!good) return result;
    thing_.file = findings_.file();
    thing_.document = KeptDocument(document_);
    result.thing = std::move(thing_);
    return result;
  }

  ReadModel ReadAsModel() {
    if (!Begin()) return {std::nullopt, findings_.Take()};
    ReadModelTerms();
    ReadTerms();
    ReadProperties();
    ReadModel result;
    const bool good = findings_.errors() == 0;
    result.findings = findings_.Take();
    if (!good) return result;
    const Json* version = ObjectIn(document_, "version");
    result.model = ThingModel{StringOr(document_, "ps:model", ""), StringOr(document_, "title", ""),
                              version == nullptr ? "" : StringOr(*version, "model", ""),
                              findings_.file(), document_};
    return result;
  }

 private:
  bool model() const { return kind_ == DocumentKind::kModel; }

  bool Begin() {
    if (!document_.is_object()) {
      findings_.Mistake("",
                        fmt::format("a description is an object, not {}", document_.type_name()));
      return false;
    }
    CheckVocabulary(document_, kind_, findings_);
    return true;
  }

  // A text of the thing; "" when absent, wrong or with a placeholder.
  std::string Text(const Json& object, std::string_view key) const {
    std::string text = StringOr(object, key, "");
    return HasPlaceholder(text) ? "" : text;
  }

  void ReadIdentity() {
    thing_.title = Text(document_, "title");
    if (!document_.contains("id"))
      return findings_.Mistake("", "missing \"id\" (a text)", "\"id\": \"urn:dev:acme:pump-7\"");
    thing_.id = Text(document_, "id");
    if (thing_.id.empty()) {
      if (document_["id"] == "")
        findings_.Mistake("/id", "the id is empty", "\"id\": \"urn:dev:acme:pump-7\"");
      return;
    }
    const size_t cut = thing_.id.find_last_of(":/");
    thing_.name = cut == std::string::npos ? "" : thing_.id.substr(cut + 1);
    if (!HasScheme(thing_.id) || !IsName(thing_.name))
      findings_.Mistake(
          "/id", fmt::format("\"{}\" is no id of a thing", thing_.id.substr(0, 80)),
          "a URI whose last segment is the name in a-z, 0-9, _ and -: urn:dev:acme:pump-7");
    if (document_.contains("@type") && Has(document_["@type"], "tm:ThingModel"))
      findings_.Mistake("/@type", "a Thing Model in the file of a Thing Description",
                        "name the file NAME.tm.json");
  }

  static bool Has(const Json& texts, std::string_view word) {
    if (texts.is_string()) return texts == word;
    return texts.is_array() && std::find(texts.begin(), texts.end(), word) != texts.end();
  }

  void ReadSecurity() {
    const Json* definitions = ObjectIn(document_, "securityDefinitions");
    if (definitions == nullptr) return;
    if (definitions->empty())
      findings_.Mistake("/securityDefinitions", "no definition",
                        "\"securityDefinitions\": {\"none\": {\"scheme\": \"nosec\"}}");
    if (document_.contains("security")) {
      CheckSecurity(document_["security"], *definitions, "/security", findings_);
      thing_.wants_password = WantsPassword(document_["security"], *definitions);
    }
    CheckSchemes(*definitions, findings_);
  }

  // A text that must look like `looks`; "" when it does not.
  template <typename Test>
  std::string Shaped(const Json& object, std::string_view key, const std::string& base, Test looks,
                     std::string_view what, std::string_view example) {
    const std::string text = Text(object, key);
    if (text.empty() ? !(object.contains(key) && object[std::string(key)] == "") : looks(text))
      return text;
    findings_.Mistake(fmt::format("{}/{}", base, key),
                      fmt::format("\"{}\" is no {}", text.substr(0, 80), what), example);
    return "";
  }

  std::string Contract(const Json& object, const std::string& base) {
    return Shaped(
        object, "ps:contract", base, [](const std::string& t) { return IsReference(t, 3); },
        "contract", "NAME@X.Y.Z, such as pump@1.2.0");
  }
  std::string Product(const Json& object, const std::string& base) {
    return Shaped(
        object, "ps:product", base, [](const std::string& t) { return IsName(t, true); },
        "data product", "a name in a-z, 0-9, _, - and .: line-1-process");
  }

  // Other words were told by the vocabulary check.
  std::optional<storage::LogPriority> Priority(const Json& json) const {
    const std::string word = Text(json, "ps:priority");
    if (word == "low") return storage::LogPriority::kLow;
    if (word == "normal") return storage::LogPriority::kNormal;
    if (word == "high") return storage::LogPriority::kHigh;
    return std::nullopt;
  }

  void ReadTerms() {
    thing_.asset = Shaped(document_, "ps:asset", "", IsAssetPath, "asset path", kAssetExample);
    if (!model() && !document_.contains("ps:asset"))
      findings_.Mistake("", "missing \"ps:asset\" (the ISA-95 path)", kAssetExample);
    thing_.model = Shaped(
        document_, "ps:model", "", [](const std::string& t) { return IsReference(t, 2); }, "model",
        "KIND@MAJOR.MINOR, such as pump@1.2");
    defaults_.contract = Contract(document_, "");
    defaults_.product = Product(document_, "");
    defaults_.classification = Text(document_, "ps:classification");
    if (defaults_.classification.empty()) defaults_.classification = "internal";
    if (defaults_.product.empty())
      defaults_.product =
          thing_.model.empty() ? thing_.name : thing_.model.substr(0, thing_.model.find('@'));
    base_ = Text(document_, "base");
    if (base_.empty()) return;
    if (const auto address = ParseAddress(base_); !address)
      findings_.Mistake(Error(address.error()).At("/base"));
  }

  void ReadModelTerms() {
    if (!document_.contains("@type") || !Has(document_["@type"], "tm:ThingModel"))
      findings_.Mistake(document_.contains("@type") ? "/@type" : "",
                        "a Thing Model says so in its type", "\"@type\": \"tm:ThingModel\"");
    if (!document_.contains("ps:model"))
      findings_.Mistake("", "missing \"ps:model\": the name that descriptions refer to",
                        "\"ps:model\": \"pump@1.2\"");
    const Json* version = ObjectIn(document_, "version");
    const std::string number = version == nullptr ? "" : Text(*version, "model");
    const std::string name = Text(document_, "ps:model");
    if (const size_t at = name.find('@'); at != std::string::npos && !number.empty()) {
      const std::string_view short_number = std::string_view(name).substr(at + 1);
      if (number != short_number && !number.starts_with(fmt::format("{}.", short_number)))
        findings_.Mistake("/version/model",
                          fmt::format("version {} in a model named {}", number.substr(0, 40), name),
                          fmt::format("\"{}.0\"", short_number));
    }
    for (const std::string_view key : {"tm:optional", "tm:required"}) CheckPaths(key);
  }

  // Each a JSON pointer to an affordance: "/properties/flow".
  void CheckPaths(std::string_view key) {
    const auto list = document_.find(key);
    if (list == document_.end() || !list->is_array()) return;
    for (size_t i = 0; i < list->size(); ++i) {
      if (!(*list)[i].is_string()) continue;
      const auto& path = (*list)[i].get_ref<const std::string&>();
      bool found = false;
      for (const std::string_view kind : {"properties", "actions", "events"}) {
        const Json* map = ObjectIn(document_, kind);
        if (map == nullptr) continue;
        for (const auto& [name, value] : map->items())
          found |= path == fmt::format("/{}/{}", kind, EscapePointer(name));
      }
      if (!found && !Extends())
        findings_.Mistake(fmt::format("/{}/{}", key, i),
                          fmt::format("no affordance at \"{}\"", path.substr(0, 80)),
                          "/properties/NAME, /actions/NAME or /events/NAME");
    }
  }

  bool Extends() const {
    const auto links = document_.find("links");
    if (links == document_.end() || !links->is_array()) return false;
    return std::any_of(links->begin(), links->end(),
                       [](const Json& link) { return StringOr(link, "rel", "") == "tm:extends"; });
  }

  void ReadProperties() {
    const Json* properties = ObjectIn(document_, "properties");
    if (properties == nullptr) return;
    if (properties->size() > kMaxProperties)
      return findings_.Mistake(
          "/properties",
          fmt::format("{} properties, at most {}", properties->size(), kMaxProperties),
          "split the thing");
    thing_.properties.reserve(properties->size());
    for (const auto& [name, json] : properties->items()) {
      if (!json.is_object()) continue;
      const std::string pointer = "/properties/" + EscapePointer(name);
      if (!IsPropertyName(name) && !HasPlaceholder(name))
        findings_.Mistake(pointer,
                          fmt::format("\"{}\" is no name of a property", name.substr(0, 80)),
                          "up to 64 of a-z, A-Z, 0-9, _, - and .");
      ReadProperty(name, json, pointer);
    }
  }

  void ReadProperty(const std::string& name, const Json& json, const std::string& pointer) {
    Property property;
    Point& point = property.point;
    point.thing = thing_.name;
    point.property = name;
    point.title = Text(json, "title").empty() ? TitleOf(name) : Text(json, "title");
    point.asset = thing_.asset;
    point.model = thing_.model;
    point.contract = Contract(json, pointer);
    if (point.contract.empty()) point.contract = defaults_.contract;
    point.product = Product(json, pointer);
    if (point.product.empty()) point.product = defaults_.product;
    point.classification = Text(json, "ps:classification");
    if (point.classification.empty()) point.classification = defaults_.classification;
    property.column = Text(json, "ps:column");
    property.description = Text(json, "description");
    property.priority = Priority(json);
    const bool typed = ReadType(json, pointer, point);
    ReadUnit(json, pointer, point);
    ReadRange(json, pointer, point);
    ReadReport(json, pointer, point);
    ReadQuality(json, pointer, point);
    if (typed) ReadForms(json, pointer, property);
    thing_.properties.push_back(std::move(property));
  }

  bool ReadType(const Json& json, const std::string& pointer, Point& point) {
    if (model() && (json.contains("tm:ref") || Extends()) && !json.contains("type")) return true;
    if (HasPlaceholder(StringOr(json, "type", ""))) return true;
    const std::string type = Text(json, "type");
    if (type.empty()) {
      if (!json.contains("type"))
        findings_.Mistake(pointer, "missing \"type\"",
                          "number, integer, boolean, string, or array of number (a waveform)");
      return false;
    }
    const auto value_type = ValueTypeOf(json);
    if (!value_type) {
      if (type == "object" || type == "null" || type == "array")
        findings_.Mistake(pointer + "/type",
                          fmt::format("type \"{}\"{} is no point", type,
                                      type == "array" ? " of other than numbers" : ""),
                          type == "array" ? "\"items\": {\"type\": \"number\"}"
                                          : "one property per value, with ps:value pointing to it");
      return false;
    }
    point.type = *value_type;
    ReadWaveform(json, pointer, point);
    ReadWords(json, pointer, point);
    return true;
  }

  // What values are called: "oneOf": [{"const": true, "title": "running"}, ...].
  void ReadWords(const Json& json, const std::string& pointer, Point& point) {
    const auto list = json.find("oneOf");
    if (list == json.end() || !list->is_array()) return;
    const bool whole = point.type == ValueType::kBoolean || point.type == ValueType::kInteger;
    for (size_t i = 0; whole && i < list->size(); ++i) {
      const Json& entry = (*list)[i];
      if (!entry.is_object() || !entry.contains("const") || !entry.contains("title")) continue;
      const Json& value = entry["const"];
      const std::string place = fmt::format("{}/oneOf/{}", pointer, i);
      if (i >= kWordsMax)
        return findings_.Mistake(place, fmt::format("more than {} named values", kWordsMax));
      if (point.type == ValueType::kBoolean ? !value.is_boolean() : !value.is_number_integer())
        findings_.Mistake(
            place + "/const",
            fmt::format("{} is no {}", value.dump().substr(0, 40), ValueTypeName(point.type)),
            point.type == ValueType::kBoolean ? "true or false" : "a whole number");
      else if (const std::string word = StringOr(entry, "title", ""); word.size() <= kWordBytesMax)
        point.words.emplace_back(
            value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>(), word);
      else
        findings_.Mistake(place + "/title", fmt::format("a word of {} bytes, at most {}",
                                                        word.size(), kWordBytesMax));
    }
  }

  void ReadWaveform(const Json& json, const std::string& pointer, Point& point) {
    const auto rate = Number(json, "ps:sampleRate");
    if (point.type != ValueType::kWaveform) {
      if (rate)
        findings_.Mistake(pointer + "/ps:sampleRate", "a sample rate is for waveforms",
                          "\"type\": \"array\", or remove it");
      return;
    }
    if (!json.contains("ps:sampleRate"))
      findings_.Mistake(pointer, "waveform without \"ps:sampleRate\"",
                        "\"ps:sampleRate\": 2048, in samples per second");
    if (rate && *rate > kMaxSampleRate)
      findings_.Mistake(pointer + "/ps:sampleRate",
                        fmt::format("{} samples per second, at most {}", *rate, kMaxSampleRate));
    point.sample_rate_hz = rate.value_or(0);
    const auto least = Number(json, "minItems"), most = Number(json, "maxItems");
    if (!least || !most || *least != *most || *most < 1 || *most > 1 << 20)
      findings_.Mistake(pointer, "a waveform burst has a fixed length of 1..1048576 samples",
                        "\"minItems\": 2048, \"maxItems\": 2048");
  }

  void ReadUnit(const Json& json, const std::string& pointer, Point& point) {
    std::string unit = Text(json, "unit");
    std::string place = pointer + "/unit";
    if (const Json* items = ObjectIn(json, "items"); unit.empty() && items != nullptr) {
      unit = Text(*items, "unit");
      place = pointer + "/items/unit";
    }
    if (unit.empty()) return;
    if (point.type == ValueType::kBoolean || point.type == ValueType::kString)
      findings_.Doubt(place, fmt::format("a unit for a {}", ValueTypeName(point.type)),
                      "remove it");
    if (auto parsed = ParseUnit(unit); !parsed) return findings_.Mistake(parsed.error().At(place));
    point.unit = unit == "1" ? "" : unit;
  }

  void ReadRange(const Json& json, const std::string& pointer, Point& point) {
    const Json* items = ObjectIn(json, "items");
    const bool inside = point.type == ValueType::kWaveform && items != nullptr;
    const Json& from = inside ? *items : json;
    const std::string place = inside ? pointer + "/items" : pointer;
    auto minimum = Number(from, "minimum"), maximum = Number(from, "maximum");
    if (!minimum) minimum = Number(from, "exclusiveMinimum");
    if (!maximum) maximum = Number(from, "exclusiveMaximum");
    if (minimum && maximum && *minimum > *maximum)
      findings_.Mistake(place + (from.contains("minimum") ? "/minimum" : "/exclusiveMinimum"),
                        fmt::format("minimum {} is above maximum {}", *minimum, *maximum),
                        "swap them");
    if (point.type == ValueType::kString) {
      if (minimum || maximum)
        findings_.Doubt(place, "a range says nothing about a text", "remove it, or pattern");
      return;
    }
    point.quality.minimum = minimum;
    point.quality.maximum = maximum;
  }

  void ReadReport(const Json& json, const std::string& pointer, Point& point) {
    const Json* report = ObjectIn(json, "ps:report");
    if (report == nullptr) return;
    const std::string place = pointer + "/ps:report";
    point.report.on_change = StringOr(*report, "mode", "every") == "change";
    point.report.deadband = Number(*report, "deadband").value_or(0);
    if (point.report.deadband < 0)
      findings_.Mistake(place + "/deadband",
                        fmt::format("deadband {} below 0", point.report.deadband),
                        "a width in the point's unit");
    point.report.max_interval = Span(*report, "max_interval").value_or(Duration(0));
    if (!point.report.on_change && point.report.deadband > 0)
      findings_.Doubt(place + "/deadband", "a deadband without mode \"change\" does nothing",
                      "\"mode\": \"change\"");
  }

  void ReadQuality(const Json& json, const std::string& pointer, Point& point) {
    const Json* rules = ObjectIn(json, "ps:quality");
    if (rules == nullptr) return;
    const std::string place = pointer + "/ps:quality";
    QualityRules& quality = point.quality;
    quality.max_rate_per_s = Number(*rules, "max_rate_per_s");
    quality.flat_tolerance = Number(*rules, "flat_tolerance").value_or(0);
    quality.stale_after = Rule(*rules, "stale_after", place);
    quality.flat_after = Rule(*rules, "flat_after", place);
    quality.max_clock_skew = Rule(*rules, "max_clock_skew", place);
    if (quality.flat_tolerance < 0)
      findings_.Mistake(place + "/flat_tolerance",
                        fmt::format("tolerance {} below 0", quality.flat_tolerance),
                        "a width in the point's unit");
    if (point.type == ValueType::kString) {
      for (const char* key : {"max_rate_per_s", "flat_after", "flat_tolerance"})
        if (rules->contains(key))
          findings_.Doubt(fmt::format("{}/{}", place, key),
                          fmt::format("\"{}\" says nothing about a text", key), "remove it");
      quality.max_rate_per_s.reset();
      quality.flat_after.reset();
      quality.flat_tolerance = 0;
      return;
    }
    if (rules->contains("flat_tolerance") && !rules->contains("flat_after"))
      findings_.Doubt(place + "/flat_tolerance", "flat_tolerance without flat_after does nothing",
                      "\"flat_after\": \"20min\"");
  }

  std::optional<Duration> Rule(const Json& rules, std::string_view key, const std::string& place) {
    const auto span = Span(rules, key);
    if (span && span->count() <= 0)
      findings_.Mistake(fmt::format("{}/{}", place, key), "a duration of 0",
                        "a time such as 10min, or remove the rule");
    return span;
  }

  void ReadForms(const Json& json, const std::string& pointer, Property& property) {
    const auto forms = json.find("forms");
    if (forms == json.end() || !forms->is_array()) return;
    if (model()) return;  // A model's forms are templates: their addresses come with the instance.
    const Json* definitions = ObjectIn(document_, "securityDefinitions");
    const size_t before = findings_.errors();
    property.forms.reserve(forms->size());
    for (size_t i = 0; i < forms->size(); ++i) {
      const std::string place = fmt::format("{}/forms/{}", pointer, i);
      const Json& form = (*forms)[i];
      if (!form.is_object()) continue;
      if (form.contains("security") && definitions != nullptr)
        CheckSecurity(form["security"], *definitions, place + "/security", findings_);
      if (const std::string href = StringOr(form, "href", "");
          HasPlaceholder(href) || HasPlaceholder(StringOr(document_, "base", "")))
        continue;  // Told by the vocabulary check.
      if (auto read = ReadForm(form, {base_, place, property.point.type}, findings_))
        property.forms.push_back(std::move(*read));
    }
    if (findings_.errors() == before && property.source() == nullptr &&
        !BoolOr(json, "writeOnly", false) && !forms->empty())
      findings_.Doubt(pointer + "/forms", "no form reads this property",
                      "\"op\": \"readproperty\" or \"observeproperty\"");
  }

  static constexpr std::string_view kAssetExample =
      "\"ps:asset\": \"acme/cologne/filling/line-1/pump-7\", enterprise/site/area/line/name";

  const Json& document_;
  const DocumentKind kind_;
  Findings findings_;
  Thing thing_;
  Point defaults_;
  std::string base_;
};

}  // namespace

ReadThing ReadThingDescription(const Json& document, const std::string& file) {
  return Reader(document, DocumentKind::kDescription, file).ReadDescription();
}

ReadModel ReadThingModel(const Json& document, const std::string& file) {
  return Reader(document, DocumentKind::kModel, file).ReadAsModel();
}

std::optional<ValueType> ValueTypeOf(const Json& property) {
  const std::string type = StringOr(property, "type", "");
  if (type == "number") return ValueType::kNumber;
  if (type == "integer") return ValueType::kInteger;
  if (type == "boolean") return ValueType::kBoolean;
  if (type == "string") return ValueType::kString;
  const auto items = property.find("items");
  if (type != "array" || items == property.end() || !items->is_object()) return std::nullopt;
  const std::string item = StringOr(*items, "type", "");
  if (item == "number" || item == "integer") return ValueType::kWaveform;
  return std::nullopt;
}

std::string_view ValueTypeName(ValueType type) {
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
      return "waveform";
  }
  return "number";
}

const Form* Property::source() const {
  for (const Form& form : forms)
    if (form.readable) return &form;
  return nullptr;
}

const Property* Thing::FindProperty(std::string_view property) const {
  for (const Property& candidate : properties)
    if (candidate.point.property == property) return &candidate;
  return nullptr;
}

}  // namespace penstock::things
