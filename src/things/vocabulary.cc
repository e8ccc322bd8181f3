// A class of object is a list of tables of terms (vocabulary_terms.h), because the standard mixes
// them: a property affordance is an interaction affordance and a data schema at once.
//
// The walk is driven by the tables alone; depth is bounded by the JSON reader (64), breadth by the
// file's size, and findings by Findings. What the values mean together (registers, units, security)
// is the reader's part.
#include "things/vocabulary.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "things/vocabulary_terms.h"

namespace penstock::things {
namespace {

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
bool HasShape(const Json& value, Shape shape) {
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

constexpr size_t kMaxDuration = 40;  // Characters; the reader takes no longer ones either.

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
    if (!HasShape(value, term.shape)) {
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
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kMaxDuration)
      return findings_.Mistake(place, fmt::format("duration of {} characters", text.size()),
                               "write a number and a unit: 250ms, 10s, 5min, 8h");
    if (auto duration = ParseDuration(text); !duration)
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
