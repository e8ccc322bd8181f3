#include "things/contract_yaml.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace penstock::things {
namespace {

constexpr size_t kLineMax = 96;

// The order in which people read a contract; other keys follow by name.
constexpr std::string_view kOrder[] = {
    "apiVersion",
    "kind",
    "id",
    "name",
    "property",
    "value",
    "unit",
    "element",
    "businessName",
    "version",
    "status",
    "domain",
    "tenant",
    "tags",
    "description",
    "purpose",
    "usage",
    "team",
    "username",
    "role",
    "logicalType",
    "items",
    "logicalTypeOptions",
    "physicalType",
    "physicalName",
    "minimum",
    "maximum",
    "required",
    "classification",
    "metric",
    "arguments",
    "customProperties",
    "quality",
    "properties",
    "schema",
    "slaProperties",
    "members",
};

size_t RankOf(std::string_view key) {
  const auto found = std::find(std::begin(kOrder), std::end(kOrder), key);
  return static_cast<size_t>(found - std::begin(kOrder));
}

std::vector<std::string> KeysInOrder(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  std::stable_sort(keys.begin(), keys.end(), [](const std::string& a, const std::string& b) {
    return RankOf(a) < RankOf(b);
  });
  return keys;
}

bool IsPlain(const std::string& text) {
  if (text.empty() || text.size() > 200 || text.back() == ' ') return false;
  const char first = text[0];
  if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/'))
    return false;
  for (const std::string_view word :
       {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", "infinity"}) {
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == word) return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" _./@()%;+-").find(c) != std::string_view::npos;
  });
}

std::string Scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  // A JSON text is a YAML text in double quotes.
  return IsPlain(text) ? text : Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string KeyText(const std::string& key) { return IsPlain(key) ? key : Json(key).dump(); }

// On one line, or "" when it would not fit or has another object within.
std::string Flow(const Json& value) {
  if (!value.is_structured()) return Scalar(value);
  std::string text;
  if (value.is_array()) {
    for (const Json& item : value) {
      if (item.is_structured()) return "";
      text += (text.empty() ? "" : ", ") + Scalar(item);
    }
    return "[" + text + "]";
  }
  for (const std::string& key : KeysInOrder(value)) {
    if (value[key].is_object() || (value[key].is_array() && Flow(value[key]).empty())) return "";
    text += (text.empty() ? "" : ", ") + KeyText(key) + ": " + Flow(value[key]);
  }
  return "{" + text + "}";
}

void WriteObject(const Json& object, size_t indent, bool first_inline, std::string& out);

// The value behind "key:" or "-".
void WriteValue(const Json& value, size_t indent, bool flow, std::string& out) {
  if (!value.is_structured() || value.empty()) {
    out += " " + (value.is_structured() ? value.dump() : Scalar(value)) + "\n";
    return;
  }
  if (const std::string line = Flow(value);
      flow && !line.empty() && indent + line.size() < kLineMax) {
    out += " " + line + "\n";
    return;
  }
  out += "\n";
  if (value.is_object()) return WriteObject(value, indent, false, out);
  for (const Json& item : value) out += ContractYamlItem(item, indent);
}

void WriteObject(const Json& object, size_t indent, bool first_inline, std::string& out) {
  bool first = first_inline;
  for (const std::string& key : KeysInOrder(object)) {
    out += first ? KeyText(key) : std::string(indent, ' ') + KeyText(key);
    out += ":";
    first = false;
    const bool flow = object[key].is_array() ? object[key].empty() || !object[key][0].is_object()
                                             : key != "description" && key != "team";
    WriteValue(object[key], indent + 2, flow, out);
  }
}

}  // namespace

std::string ContractYamlItem(const Json& item, size_t indent) {
  std::string out = std::string(indent, ' ') + "-";
  const std::string line = Flow(item);
  // A property is read top down, a small entry across.
  const bool small =
      !item.is_object() || !(item.contains("logicalType") || item.contains("properties"));
  if (!item.is_object() || item.empty() ||
      (small && !line.empty() && indent + line.size() < kLineMax)) {
    WriteValue(item, indent + 2, true, out);
    return out;
  }
  out += " ";
  WriteObject(item, indent + 2, true, out);
  return out;
}

std::string ContractYaml(const Json& document, size_t indent) {
  if (!document.is_object()) return Scalar(document) + "\n";
  std::string out;
  WriteObject(document, indent, false, out);
  return out;
}

}  // namespace penstock::things
