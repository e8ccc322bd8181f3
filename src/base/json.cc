// Reading JSON and YAML. nlohmann's DOM is built through its own parser with a callback that bounds
// the depth and refuses a key given twice; YAML nodes are converted by their resolved core-schema
// type.
#include "base/json.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <vector>

#include "base/file.h"

namespace penstock {
namespace {

constexpr size_t kMaxText = 16 << 20;
constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 1 << 20;

struct Place {
  size_t line = 1, column = 1;
};

Place PlaceOf(std::string_view text, size_t offset) {
  Place place;
  for (const char c : text.substr(0, std::min(offset, text.size()))) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return place;
}

// A YAML plain scalar by the 1.2 core schema.
Json FromScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char* first = text.data() + (text[0] == '+' ? 1 : 0);
  const char* last = text.data() + text.size();
  int64_t integer = 0;
  if (const auto r = std::from_chars(first, last, integer); r.ec == std::errc() && r.ptr == last)
    return integer;
  double number = 0;
  if (const auto r = std::from_chars(first, last, number);
      r.ec == std::errc() && r.ptr == last && std::isfinite(number))
    return number;
  return text;
}

// `budget` bounds the nodes after the expansion of aliases: no billion laughs.
Result<Json> FromYaml(const YAML::Node& node, const std::string& pointer, int depth, int& budget) {
  if (--budget < 0)
    return InvalidArgument("more than {} YAML nodes once aliases are expanded", kMaxNodes);
  if (depth > kMaxDepth) return InvalidArgument("nested deeper than {} levels", kMaxDepth);
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return node.Tag() == "!" ? Json(node.Scalar()) : FromScalar(node.Scalar());
    case YAML::NodeType::Sequence: {
      Json array = Json::array();
      for (size_t i = 0; i < node.size(); ++i) {
        ASSIGN_OR_RETURN(Json item,
                         FromYaml(node[i], fmt::format("{}/{}", pointer, i), depth + 1, budget));
        array.push_back(std::move(item));
      }
      return array;
    }
    case YAML::NodeType::Map: {
      Json object = Json::object();
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) return InvalidArgument("a key must be text, at {}", pointer);
        // YAML 1.1 readers take a bare `on` for true; this one keeps every key as written.
        const std::string key = entry.first.Scalar();
        const std::string below = pointer + "/" + EscapePointer(key);
        if (object.contains(key)) {
          auto error = InvalidArgument("key given twice: \"{}\" (line {})", key,
                                       entry.first.Mark().line + 1);
          error.error().At(below);
          return error;
        }
        ASSIGN_OR_RETURN(object[key], FromYaml(entry.second, below, depth + 1, budget));
      }
      return object;
    }
    default:
      return Json(nullptr);
  }
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::unexpected<Error> Missing(std::string_view key, std::string_view base, std::string_view type) {
  auto error = InvalidArgument("missing \"{}\" ({})", key, type);
  error.error().At(base);
  return error;
}

std::unexpected<Error> WrongType(const Json& value, std::string_view key, std::string_view base,
                                 std::string_view type) {
  auto error = InvalidArgument("\"{}\" must be a {}, not {}", key, type, value.type_name());
  error.error().At(fmt::format("{}/{}", base, EscapePointer(key)));
  return error;
}

}  // namespace

Result<Json> ParseJson(std::string_view text) {
  if (text.size() > kMaxText)
    return InvalidArgument("document of {} bytes, at most {}", text.size(), kMaxText);
  std::vector<std::set<std::string>> keys;
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth && problem.empty())
      problem = fmt::format("nested deeper than {} levels", kMaxDepth);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty() &&
        !keys.back().insert(parsed.get_ref<const std::string&>()).second && problem.empty())
      problem = fmt::format("key given twice: \"{}\"", parsed.get_ref<const std::string&>());
    return problem.empty();
  };
  try {
    Json value = Json::parse(text, watch);
    if (!problem.empty()) return InvalidArgument("{}", problem);
    return value;
  } catch (const Json::parse_error& error) {
    const Place place = PlaceOf(text, error.byte == 0 ? 0 : error.byte - 1);
    return InvalidArgument("not JSON: line {}, column {}", place.line, place.column);
  } catch (const Json::exception& error) {
    return InvalidArgument("not JSON: {}", error.what());
  }
}

namespace {

std::string_view LineAt(std::string_view text, int number) {
  for (; number > 0; --number) {
    const size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// What is most often wrong with a line that no YAML reader takes; "" for none of these.
std::string_view AdviceFor(std::string_view line) {
  const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
  const size_t value = line.find(": ");
  const size_t first = value == line.npos ? line.npos : line.find_first_not_of(' ', value + 1);
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != line.npos)
    return "indent with spaces: YAML takes no tabs there";
  if (count('"') % 2 != 0) return "close the text with a second \"";
  if (count('\'') % 2 != 0) return "close the text with a second ', or put it in \"...\"";
  if (count('[') != count(']')) return "close the list: as many ] as [";
  if (count('{') != count('}')) return "close the object: as many } as {";
  if (first < line.size() && std::string_view("%@`&*!|>").find(line[first]) != line.npos)
    return "put the value in quotes: it begins with a character that YAML reads as its own";
  if (first < line.size() && line.find(": ", first) != line.npos)
    return "put the value in quotes: it has a \": \" of its own";
  return "";
}

std::string YamlFix(std::string_view text, const YAML::Mark& mark) {
  // The reader often notices one line too late.
  for (int line = mark.line; line >= 0 && line + 1 >= mark.line; --line)
    if (const auto advice = AdviceFor(LineAt(text, line)); !advice.empty())
      return std::string(advice);
  return "write \"key: value\", with a space behind the colon, and indent it like its neighbours";
}

}  // namespace

Result<Json> ParseYaml(std::string_view text) {
  if (text.size() > kMaxText)
    return InvalidArgument("document of {} bytes, at most {}", text.size(), kMaxText);
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    int budget = kMaxNodes;
    return FromYaml(root, "", 0, budget);
  } catch (const YAML::Exception& error) {
    auto refused = InvalidArgument("not YAML: line {}, column {}: {}", error.mark.line + 1,
                                   error.mark.column + 1, error.msg);
    refused.error().Fix(YamlFix(text, error.mark));
    return refused;
  }
}

Result<Json> ReadDocument(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxText));
  auto value = path.ends_with(".json") ? ParseJson(text) : ParseYaml(text);
  if (!value) value.error().Where(path);
  return value;
}

Result<std::string> GetString(const Json& object, std::string_view key, std::string_view base) {
  const auto found = object.find(key);
  if (found == object.end()) return Missing(key, base, "string");
  if (!found->is_string()) return WrongType(*found, key, base, "string");
  return found->get<std::string>();
}

Result<double> GetNumber(const Json& object, std::string_view key, std::string_view base) {
  const auto found = object.find(key);
  if (found == object.end()) return Missing(key, base, "number");
  if (!found->is_number()) return WrongType(*found, key, base, "number");
  return found->get<double>();
}

std::string StringOr(const Json& object, std::string_view key, std::string_view otherwise) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>()
                                                     : std::string(otherwise);
}

double NumberOr(const Json& object, std::string_view key, double otherwise) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

bool BoolOr(const Json& object, std::string_view key, bool otherwise) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string& candidate : candidates)
    if (const size_t distance = EditDistance(word, candidate); distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  return best;
}

Status CheckKeys(const Json& object, std::initializer_list<std::string_view> known,
                 std::string_view base) {
  if (!object.is_object()) {
    auto error = InvalidArgument("must be an object, not {}", object.type_name());
    error.error().At(base);
    return error;
  }
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    auto error = InvalidArgument("unknown key \"{}\"", key);
    error.error().At(fmt::format("{}/{}", base, EscapePointer(key)));
    const std::string nearest = Nearest(key, std::vector<std::string>(known.begin(), known.end()));
    if (!nearest.empty()) {
      error.error().Fix("did you mean \"" + nearest + "\"?");
    } else {
      std::string names;
      for (const auto name : known) names += (names.empty() ? "" : ", ") + std::string(name);
      error.error().Fix("known keys: " + names);
    }
    return error;
  }
  return {};
}

std::string EscapePointer(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json NumberOrNull(const std::optional<double>& value) {
  return value ? NumberOrNull(*value) : Json(nullptr);
}

}  // namespace penstock
