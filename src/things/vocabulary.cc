// The tables below follow sections 5.3 and 10 of the W3C recommendation "Web of Things (WoT) Thing
// Description 1.1", the WoT binding templates for Modbus and MQTT, and docs/formats/td.md for the
// ps: terms. A class is a list of tables, because the standard mixes them: a property affordance is
// an interaction affordance and a data schema at once.
//
// The walk is driven by the tables alone; depth is bounded by the JSON reader (64), breadth by the
// file's size, and findings by Findings. What the values mean together (registers, units, security)
// is the reader's part.
#include "things/vocabulary.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace penstock::things {
namespace {

enum class Shape {
  kText,
  kTexts,    // One text; one or a list of them.
  kTextMap,  // Language -> text.
  kFlag,
  kNumber,
  kPositive,
  kInteger,
  kCount,
  kDuration,
  kAny,
  kList,  // Any value; any list.
  kObject,
  kObjects,
  kMap,      // Of class `of`: one, a list, by name.
  kSchemas,  // One data schema or a list of them.
};

enum class Class {
  kNone,
  kThing,
  kProperty,
  kAction,
  kEvent,
  kSchema,
  kForm,
  kRootForm,
  kLink,
  kSecurity,
  kVersion,
  kResponse,
  kOtherResponse,
  kReport,
  kQuality,
};

struct Term {
  std::string_view key;
  Shape shape;
  Class of = Class::kNone;
  bool required = false;        // In a Thing Description; a model may leave it to its descriptions.
  std::string_view words = "";  // "|a|b|": the only texts allowed.
};

constexpr Term kDescribed[] = {
    {"@type", Shape::kTexts},      {"title", Shape::kText},           {"titles", Shape::kTextMap},
    {"description", Shape::kText}, {"descriptions", Shape::kTextMap},
};
constexpr Term kThing[] = {
    {"@context", Shape::kAny, Class::kNone, true},
    {"id", Shape::kText},
    {"title", Shape::kText, Class::kNone, true},
    {"version", Shape::kObject, Class::kVersion},
    {"created", Shape::kText},
    {"modified", Shape::kText},
    {"support", Shape::kText},
    {"base", Shape::kText},
    {"properties", Shape::kMap, Class::kProperty},
    {"actions", Shape::kMap, Class::kAction},
    {"events", Shape::kMap, Class::kEvent},
    {"links", Shape::kObjects, Class::kLink},
    {"forms", Shape::kObjects, Class::kRootForm},
    {"security", Shape::kTexts, Class::kNone, true},
    {"securityDefinitions", Shape::kMap, Class::kSecurity, true},
    {"profile", Shape::kTexts},
    {"schemaDefinitions", Shape::kMap, Class::kSchema},
    {"uriVariables", Shape::kMap, Class::kSchema},
    {"ps:asset", Shape::kText},
    {"ps:model", Shape::kText},
    {"ps:contract", Shape::kText},
    {"ps:classification", Shape::kText, Class::kNone, false,
     "|public|internal|confidential|personal|"},
    {"ps:product", Shape::kText},
    {"ps:report", Shape::kObject, Class::kReport},
    {"ps:quality", Shape::kObject, Class::kQuality},
};
constexpr Term kModelOnly[] = {
    {"tm:optional", Shape::kTexts},
    {"tm:required", Shape::kTexts},
};
constexpr Term kSchema[] = {
    {"type", Shape::kText, Class::kNone, false,
     "|boolean|integer|number|string|object|array|null|"},
    {"const", Shape::kAny},
    {"default", Shape::kAny},
    {"unit", Shape::kText},
    {"oneOf", Shape::kObjects, Class::kSchema},
    {"enum", Shape::kList},
    {"readOnly", Shape::kFlag},
    {"writeOnly", Shape::kFlag},
    {"format", Shape::kText},
    {"items", Shape::kSchemas, Class::kSchema},
    {"minItems", Shape::kCount},
    {"maxItems", Shape::kCount},
    {"minimum", Shape::kNumber},
    {"maximum", Shape::kNumber},
    {"exclusiveMinimum", Shape::kNumber},
    {"exclusiveMaximum", Shape::kNumber},
    {"multipleOf", Shape::kPositive},
    {"minLength", Shape::kCount},
    {"maxLength", Shape::kCount},
    {"pattern", Shape::kText},
    {"contentEncoding", Shape::kText},
    {"contentMediaType", Shape::kText},
    {"properties", Shape::kMap, Class::kSchema},
    {"required", Shape::kTexts},
};
constexpr Term kAffordance[] = {
    {"uriVariables", Shape::kMap, Class::kSchema},
    {"observable", Shape::kFlag},
};
constexpr Term kForms[] = {{"forms", Shape::kObjects, Class::kForm, true}};
constexpr Term kOwnProperty[] = {
    {"ps:report", Shape::kObject, Class::kReport},
    {"ps:quality", Shape::kObject, Class::kQuality},
    {"ps:sampleRate", Shape::kPositive},
    {"ps:contract", Shape::kText},
    {"ps:classification", Shape::kText, Class::kNone, false,
     "|public|internal|confidential|personal|"},
    {"ps:product", Shape::kText},
    {"ps:column", Shape::kText},
};
constexpr Term kAction[] = {
    {"input", Shape::kObject, Class::kSchema},
    {"output", Shape::kObject, Class::kSchema},
    {"safe", Shape::kFlag},
    {"idempotent", Shape::kFlag},
    {"synchronous", Shape::kFlag},
    {"uriVariables", Shape::kMap, Class::kSchema},
};
constexpr Term kEvent[] = {
    {"subscription", Shape::kObject, Class::kSchema},
    {"data", Shape::kObject, Class::kSchema},
    {"dataResponse", Shape::kObject, Class::kSchema},
    {"cancellation", Shape::kObject, Class::kSchema},
    {"uriVariables", Shape::kMap, Class::kSchema},
};
constexpr std::string_view kInteractionOps =
    "|readproperty|writeproperty|observeproperty|unobserveproperty|invokeaction|queryaction|"
    "cancelaction|"
    "subscribeevent|unsubscribeevent|";
constexpr std::string_view kRootOps =
    "|readallproperties|writeallproperties|readmultipleproperties|writemultipleproperties|"
    "observeallproperties|unobserveallproperties|queryallactions|subscribeallevents|"
    "unsubscribeallevents|";
constexpr std::string_view kEntities = "|Coil|DiscreteInput|HoldingRegister|InputRegister|";
constexpr std::string_view kFunctions =
    "|readCoil|readDiscreteInput|readHoldingRegisters|readInputRegisters|writeSingleCoil|"
    "writeSingleHoldingRegister|writeMultipleCoils|writeMultipleHoldingRegisters|"
    "readDeviceIdentification|";
constexpr std::string_view kRegisterTypes =
    "|xsd:boolean|xsd:short|xsd:unsignedShort|xsd:int|xsd:unsignedInt|xsd:float|xsd:double|xsd:"
    "integer|"
    "xsd:decimal|xsd:byte|xsd:unsignedByte|xsd:long|xsd:unsignedLong|xsd:string|xsd:hexBinary|";
constexpr Term kOp[] = {{"op", Shape::kTexts, Class::kNone, false, kInteractionOps}};
constexpr Term kRootOp[] = {{"op", Shape::kTexts, Class::kNone, true, kRootOps}};
constexpr Term kForm[] = {
    {"href", Shape::kText, Class::kNone, true},
    {"contentType", Shape::kText},
    {"contentCoding", Shape::kText},
    {"subprotocol", Shape::kText},
    {"security", Shape::kTexts},
    {"scopes", Shape::kTexts},
    {"response", Shape::kObject, Class::kResponse},
    {"additionalResponses", Shape::kObjects, Class::kOtherResponse},
    {"modv:entity", Shape::kText, Class::kNone, false, kEntities},
    {"modv:function", Shape::kText, Class::kNone, false, kFunctions},
    {"modv:type", Shape::kText, Class::kNone, false, kRegisterTypes},
    {"modv:zeroBasedAddressing", Shape::kFlag},
    {"modv:mostSignificantByte", Shape::kFlag},
    {"modv:mostSignificantWord", Shape::kFlag},
    {"modv:pollingTime", Shape::kPositive},
    {"modv:timeout", Shape::kPositive},
    {"mqv:topic", Shape::kText},
    {"mqv:filter", Shape::kTexts},
    {"mqv:qos", Shape::kAny},
    {"mqv:retain", Shape::kFlag},
    {"mqv:controlPacket", Shape::kTexts, Class::kNone, false, "|publish|subscribe|unsubscribe|"},
    {"opcua:nodeId", Shape::kText},
    {"opcua:samplingInterval", Shape::kPositive},
    {"ps:value", Shape::kText},
    {"ps:time", Shape::kText},
    {"ps:scale", Shape::kNumber},
    {"ps:offset", Shape::kNumber},
};
constexpr Term kLink[] = {
    {"href", Shape::kText, Class::kNone, true},
    {"type", Shape::kText},
    {"rel", Shape::kText},
    {"anchor", Shape::kText},
    {"sizes", Shape::kText},
    {"hreflang", Shape::kTexts},
};
constexpr Term kSecurity[] = {
    {"scheme", Shape::kText, Class::kNone, true,
     "|nosec|auto|combo|basic|digest|apikey|bearer|psk|oauth2|"},
    {"proxy", Shape::kText},
    {"in", Shape::kText, Class::kNone, false, "|header|query|body|cookie|uri|auto|"},
    {"name", Shape::kText},
    {"qop", Shape::kText, Class::kNone, false, "|auth|auth-int|"},
    {"alg", Shape::kText},
    {"format", Shape::kText},
    {"identity", Shape::kText},
    {"authorization", Shape::kText},
    {"token", Shape::kText},
    {"refresh", Shape::kText},
    {"scopes", Shape::kTexts},
    {"flow", Shape::kText},
    {"oneOf", Shape::kTexts},
    {"allOf", Shape::kTexts},
};
constexpr Term kVersion[] = {{"instance", Shape::kText, Class::kNone, true},
                             {"model", Shape::kText}};
constexpr Term kResponse[] = {{"contentType", Shape::kText, Class::kNone, true}};
constexpr Term kOtherResponse[] = {
    {"contentType", Shape::kText}, {"schema", Shape::kText}, {"success", Shape::kFlag}};
constexpr Term kReport[] = {
    {"mode", Shape::kText, Class::kNone, false, "|every|change|"},
    {"deadband", Shape::kNumber},
    {"max_interval", Shape::kDuration},
};
constexpr Term kQuality[] = {
    {"max_rate_per_s", Shape::kPositive}, {"stale_after", Shape::kDuration},
    {"flat_after", Shape::kDuration},     {"flat_tolerance", Shape::kNumber},
    {"max_clock_skew", Shape::kDuration},
};

using Tables = std::vector<std::span<const Term>>;

Tables TablesOf(Class of, DocumentKind kind) {
  Tables tables;
  switch (of) {
    case Class::kNone:
      break;
    case Class::kThing:
      tables = {kThing, kDescribed};
      if (kind == DocumentKind::kModel) tables.emplace_back(kModelOnly);
      break;
    case Class::kProperty:
      tables = {kDescribed, kSchema, kAffordance, kForms, kOwnProperty};
      break;
    case Class::kAction:
      tables = {kDescribed, kAction, kForms};
      break;
    case Class::kEvent:
      tables = {kDescribed, kEvent, kForms};
      break;
    case Class::kSchema:
      tables = {kDescribed, kSchema};
      break;
    case Class::kForm:
      tables = {kForm, kOp};
      break;
    case Class::kRootForm:
      tables = {kForm, kRootOp};
      break;
    case Class::kLink:
      tables = {kLink};
      break;
    case Class::kSecurity:
      tables = {kSecurity, kDescribed};
      break;
    case Class::kVersion:
      tables = {kVersion};
      break;
    case Class::kResponse:
      tables = {kResponse};
      break;
    case Class::kOtherResponse:
      tables = {kOtherResponse};
      break;
    case Class::kReport:
      tables = {kReport};
      break;
    case Class::kQuality:
      tables = {kQuality};
      break;
  }
  return tables;
}

std::string_view NameOf(Shape shape) {
  switch (shape) {
    case Shape::kText:
      return "a text";
    case Shape::kTexts:
      return "a text or a list of texts";
    case Shape::kTextMap:
      return "an object of texts by language";
    case Shape::kFlag:
      return "true or false";
    case Shape::kNumber:
      return "a number";
    case Shape::kPositive:
      return "a number above 0";
    case Shape::kInteger:
      return "a whole number";
    case Shape::kCount:
      return "a whole number from 0";
    case Shape::kDuration:
      return "a duration as text (250ms, 10s, 5min)";
    case Shape::kAny:
      return "any value";
    case Shape::kList:
      return "a list";
    case Shape::kObject:
      return "an object";
    case Shape::kObjects:
      return "a list of objects";
    case Shape::kMap:
      return "an object of objects by name";
    case Shape::kSchemas:
      return "a data schema or a list of them";
  }
  return "";
}

bool AllOf(const Json& container, bool (Json::*test)() const noexcept) {
  return std::all_of(container.begin(), container.end(),
                     [&](const Json& item) { return (item.*test)(); });
}

// Children of objects, lists and maps are judged when they are walked.
bool Fits(const Json& value, Shape shape) {
  switch (shape) {
    case Shape::kText:
      return value.is_string();
    case Shape::kTexts:
      return value.is_string() || (value.is_array() && AllOf(value, &Json::is_string));
    case Shape::kTextMap:
      return value.is_object() && AllOf(value, &Json::is_string);
    case Shape::kFlag:
      return value.is_boolean();
    case Shape::kNumber:
      return value.is_number();
    case Shape::kPositive:
      return value.is_number() && value.get<double>() > 0;
    case Shape::kInteger:
      return value.is_number_integer();
    case Shape::kCount:
      return value.is_number_unsigned();
    case Shape::kDuration:
      return value.is_string();
    case Shape::kAny:
      return true;
    case Shape::kList:
      return value.is_array();
    case Shape::kObject:
    case Shape::kMap:
      return value.is_object();
    case Shape::kObjects:
      return value.is_array();
    case Shape::kSchemas:
      return value.is_object() || value.is_array();
  }
  return false;
}

std::string Below(std::string_view pointer, std::string_view key) {
  return fmt::format("{}/{}", pointer, EscapePointer(key));
}

// Prefixes that the TD 1.1 context itself declares.
constexpr std::string_view kBuiltInPrefixes[] = {"td",  "jsonschema", "wotsec", "hctl",  "htv",
                                                 "rdf", "rdfs",       "xsd",    "schema"};
// Prefixes whose terms are all known here, and what they stand for.
constexpr std::pair<std::string_view, std::string_view> kKnownPrefixes[] = {
    {"ps", kOwnTerms},
    {"modv", "https://www.w3.org/2019/wot/modbus#"},
    {"mqv", "https://www.w3.org/2019/wot/mqtt#"},
    {"opcua", "http://opcfoundation.org/UA/WoT-Binding/"},
};

std::string_view IriOf(std::string_view prefix) {
  for (const auto& [name, iri] : kKnownPrefixes)
    if (name == prefix) return iri;
  return "";
}

class Walk {
 public:
  Walk(DocumentKind kind, Findings& findings) : kind_(kind), findings_(findings) {}

  void Document(const Json& document) {
    if (document.contains("@context")) ReadContext(document["@context"]);
    Object(document, Class::kThing, "");
  }

 private:
  bool model() const { return kind_ == DocumentKind::kModel; }

  void ReadContext(const Json& context) {
    const Json list = context.is_array() ? context : Json::array({context});
    bool standard = false;
    for (size_t i = 0; i < list.size(); ++i) {
      const Json& entry = list[i];
      const std::string pointer = context.is_array() ? fmt::format("/@context/{}", i) : "/@context";
      if (entry.is_string()) {
        const auto& iri = entry.get_ref<const std::string&>();
        standard |= iri == "https://www.w3.org/2022/wot/td/v1.1" ||
                    iri == "https://www.w3.org/ns/wot-next/td";
      } else if (entry.is_object()) {
        for (const auto& [name, iri] : entry.items()) Prefix(name, iri, pointer);
      } else {
        findings_.Mistake(pointer, "a context is a text or an object of prefixes",
                          "\"@context\": [\"https://www.w3.org/2022/wot/td/v1.1\", {\"ps\": "
                          "\"urn:penstock:v1#\"}]");
      }
    }
    if (!standard)
      findings_.Mistake("/@context", "the context of TD 1.1 is missing",
                        "\"@context\": [\"https://www.w3.org/2022/wot/td/v1.1\", ...]");
  }

  void Prefix(const std::string& name, const Json& iri, const std::string& pointer) {
    const std::string place = Below(pointer, name);
    if (name.starts_with("@")) return;  // "@language" and other keywords of JSON-LD.
    if (!iri.is_string()) return findings_.Mistake(place, "a prefix stands for a text");
    const std::string_view known = IriOf(name);
    if (!known.empty() && iri.get_ref<const std::string&>() != known)
      findings_.Mistake(place, fmt::format("\"{}\" must stand for \"{}\"", name, known),
                        fmt::format("\"{}\": \"{}\"", name, known));
    declared_.insert(name);
  }

  void Object(const Json& object, Class of, const std::string& pointer) {
    if (!object.is_object())
      return findings_.Mistake(pointer,
                               fmt::format("must be an object, not {}", object.type_name()));
    const Tables tables = TablesOf(of, kind_);
    for (const auto& [key, value] : object.items()) {
      const std::string place = Below(pointer, key);
      if (!model() && HasPlaceholder(key))
        findings_.Mistake(place, fmt::format("placeholder left in a key: \"{}\"", key),
                          kPlaceholderFix);
      else if (const Term* term = Find(tables, key))
        Value(value, *term, place);
      else
        Unknown(key, value, tables, place);
    }
    for (const auto& table : tables)
      for (const Term& term : table) Required(object, term, pointer);
  }

  void Required(const Json& object, const Term& term, const std::string& pointer) {
    if (!term.required || object.contains(term.key)) return;
    if (model() && term.key != "@context") return;
    findings_.Mistake(pointer, fmt::format("missing \"{}\" ({})", term.key, NameOf(term.shape)),
                      FixOf(term.key));
  }

  static std::string_view FixOf(std::string_view key) {
    if (key == "securityDefinitions")
      return "\"securityDefinitions\": {\"none\": {\"scheme\": \"nosec\"}}";
    if (key == "security") return "\"security\": \"none\", a name defined in securityDefinitions";
    if (key == "forms") return "give at least one form: how the value is reached";
    return "";
  }

  static const Term* Find(const Tables& tables, std::string_view key) {
    for (const auto& table : tables)
      for (const Term& term : table)
        if (term.key == key) return &term;
    return nullptr;
  }

  void Unknown(const std::string& key, const Json& value, const Tables& tables,
               const std::string& place) {
    const size_t colon = key.find(':');
    const std::string prefix = colon == key.npos ? "" : key.substr(0, colon);
    if (prefix == "tm") {
      if (model() && key == "tm:ref") return Value(value, {"tm:ref", Shape::kText}, place);
      if (!model())
        return findings_.Mistake(place, fmt::format("\"{}\" belongs into a Thing Model", key),
                                 "remove it");
    } else if (!prefix.empty() && IriOf(prefix).empty()) {
      const bool known = declared_.contains(prefix) ||
                         std::find(std::begin(kBuiltInPrefixes), std::end(kBuiltInPrefixes),
                                   prefix) != std::end(kBuiltInPrefixes);
      if (!known)
        findings_.Mistake(place, fmt::format("prefix not declared: \"{}\"", prefix),
                          fmt::format("add {{\"{}\": \"...\"}} to @context", prefix));
      return;
    }
    std::vector<std::string> candidates;
    for (const auto& table : tables)
      for (const Term& term : table) candidates.emplace_back(term.key);
    const std::string nearest = Nearest(key, candidates);
    findings_.Mistake(place, fmt::format("unknown key \"{}\"", key),
                      nearest.empty() ? "remove it, or write it with a prefix declared in @context"
                                      : fmt::format("write \"{}\"", nearest));
  }

  void Value(const Json& value, const Term& term, const std::string& place) {
    if (const std::string_view iri = IriOf(term.key.substr(0, term.key.find(':')));
        !iri.empty() && !declared_.contains(std::string(term.key.substr(0, term.key.find(':')))))
      UndeclaredKnown(std::string(term.key.substr(0, term.key.find(':'))), iri, place);
    if (value.is_string() && HasPlaceholder(value.get_ref<const std::string&>())) {
      if (model()) return;
      return findings_.Mistake(
          place,
          fmt::format("placeholder left: {}", value.get_ref<const std::string&>().substr(0, 80)),
          kPlaceholderFix);
    }
    if (!Fits(value, term.shape)) {
      return findings_.Mistake(place, fmt::format("\"{}\" must be {}, not {}", term.key,
                                                  NameOf(term.shape), Shown(value)));
    }
    if (term.shape == Shape::kDuration) Span(value, place);
    if (!term.words.empty()) Words(value, term, place);
    Children(value, term, place);
  }

  void UndeclaredKnown(const std::string& prefix, std::string_view iri, const std::string& place) {
    if (!reported_.insert(prefix).second) return;
    findings_.Mistake(place, fmt::format("prefix not declared: \"{}\"", prefix),
                      fmt::format("add {{\"{}\": \"{}\"}} to @context", prefix, iri));
  }

  // The type, and the value where it is short.
  static std::string Shown(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array())
      return value.size() > 4
                 ? "a list"
                 : value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60);
    return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60);
  }

  void Span(const Json& value, const std::string& place) {
    auto duration = ParseDuration(value.get_ref<const std::string&>().substr(0, 40));
    if (duration) return;
    findings_.Mistake(duration.error().At(place));
  }

  void Words(const Json& value, const Term& term, const std::string& place) {
    const auto check = [&](const Json& word, const std::string& at) {
      const auto& text = word.get_ref<const std::string&>();
      if (term.words.find(fmt::format("|{}|", text)) != term.words.npos &&
          text.find('|') == text.npos)
        return;
      if (term.key == "scheme" && text.find(':') != text.npos)
        return;  // A scheme of another vocabulary.
      if (model() && HasPlaceholder(text)) return;
      const std::vector<std::string> words = List(term.words);
      const std::string nearest = Nearest(text, words);
      findings_.Mistake(at, fmt::format("\"{}\" is no {}", text.substr(0, 80), term.key),
                        nearest.empty() ? fmt::format("one of: {}", fmt::join(words, ", "))
                                        : fmt::format("write \"{}\"", nearest));
    };
    if (value.is_string()) return check(value, place);
    for (size_t i = 0; i < value.size(); ++i) check(value[i], fmt::format("{}/{}", place, i));
  }

  static std::vector<std::string> List(std::string_view words) {
    std::vector<std::string> list;
    for (size_t at = 1; at < words.size();) {
      const size_t end = words.find('|', at);
      list.emplace_back(words.substr(at, end - at));
      at = end + 1;
    }
    return list;
  }

  void Children(const Json& value, const Term& term, const std::string& place) {
    const auto each = [&](const Json& list) {
      for (size_t i = 0; i < list.size(); ++i)
        Object(list[i], term.of, fmt::format("{}/{}", place, i));
    };
    switch (term.shape) {
      case Shape::kObject:
        Object(value, term.of, place);
        break;
      case Shape::kObjects:
        if (value.empty() && term.key == "forms" && !model())
          findings_.Mistake(place, "no form", "give at least one form: how the value is reached");
        each(value);
        break;
      case Shape::kSchemas:
        if (value.is_array())
          each(value);
        else
          Object(value, term.of, place);
        break;
      case Shape::kMap:
        for (const auto& [name, child] : value.items()) Named(name, child, term, place);
        break;
      default:
        break;
    }
  }

  void Named(const std::string& name, const Json& child, const Term& term,
             const std::string& place) {
    const std::string at = Below(place, name);
    if (HasPlaceholder(name))
      findings_.Mistake(at, "a name cannot be a placeholder", "write the name out");
    Object(child, term.of, at);
  }

  static constexpr std::string_view kPlaceholderFix =
      "replace it by a value: placeholders belong into models";

  DocumentKind kind_;
  Findings& findings_;
  std::set<std::string> declared_, reported_;
};

}  // namespace

bool HasPlaceholder(std::string_view text) {
  const size_t open = text.find("{{");
  return open != text.npos && text.find("}}", open + 2) != text.npos;
}

namespace {
void CollectPlaceholders(std::string_view text, std::set<std::string>& names) {
  for (size_t at = text.find("{{"); at != text.npos; at = text.find("{{", at)) {
    const size_t end = text.find("}}", at + 2);
    if (end == text.npos) return;
    names.emplace(text.substr(at + 2, end - at - 2));
    at = end + 2;
  }
}

void CollectPlaceholders(const Json& value, std::set<std::string>& names) {
  if (value.is_string())
    return CollectPlaceholders(std::string_view(value.get_ref<const std::string&>()), names);
  if (value.is_object())
    for (const auto& [key, child] : value.items())
      CollectPlaceholders(std::string_view(key), names);
  if (value.is_structured())
    for (const Json& child : value) CollectPlaceholders(child, names);
}
}  // namespace

std::set<std::string> PlaceholdersOf(const Json& document) {
  std::set<std::string> names;
  CollectPlaceholders(document, names);
  return names;
}

void CheckVocabulary(const Json& document, DocumentKind kind, Findings& findings) {
  Walk(kind, findings).Document(document);
}

}  // namespace penstock::things
