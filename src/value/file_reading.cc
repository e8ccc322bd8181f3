#include "value/file_reading.h"

#include <algorithm>

namespace penstock::value {

std::unexpected<Error> Mistake(std::string_view pointer, std::string message, std::string fix) {
  return std::unexpected(
      Error{Code::kInvalidArgument, std::move(message), "", std::string(pointer), std::move(fix)});
}

Result<std::string> TextAt(const Json& object, std::string_view key, std::string_view base,
                           bool required) {
  if (!required && !object.contains(key)) return std::string();
  ASSIGN_OR_RETURN(auto text, GetString(object, key, base));
  if (required && text.empty()) {
    return Mistake(fmt::format("{}/{}", base, key), fmt::format("{} is empty", key),
                   "write a name");
  }
  return text;
}

Result<std::vector<std::string>> TextsAt(const Json& object, std::string_view key,
                                         std::string_view base) {
  std::vector<std::string> texts;
  const auto found = object.find(key);
  if (found == object.end()) return texts;
  const std::string pointer = fmt::format("{}/{}", base, key);
  if (!found->is_array())
    return Mistake(pointer, fmt::format("{} is no list", key), fmt::format("{}: [a, b]", key));
  for (size_t i = 0; i < found->size(); ++i) {
    if (!(*found)[i].is_string()) {
      return Mistake(fmt::format("{}/{}", pointer, i), "text expected",
                     "write a name, in quotes if need be");
    }
    texts.push_back((*found)[i].get<std::string>());
  }
  return texts;
}

Result<Duration> DurationAt(const Json& object, std::string_view key, std::string_view base,
                            Duration otherwise) {
  if (!object.contains(key)) return otherwise;
  const std::string pointer = fmt::format("{}/{}", base, key);
  ASSIGN_OR_RETURN(const auto text, GetString(object, key, base));
  auto duration = ParseDuration(text);
  if (!duration) return std::unexpected(std::move(duration).error().At(pointer));
  if (*duration < std::chrono::seconds(1) || *duration > std::chrono::days(3650)) {
    return Mistake(pointer, fmt::format("{} is {}, outside 1s..3650d", key, text),
                   "as in 30min or 90d");
  }
  return *duration;
}

Result<Json> ObjectAt(const Json& object, std::string_view key, std::string_view base) {
  const auto found = object.find(key);
  if (found == object.end()) return Json::object();
  if (!found->is_object()) {
    return Mistake(fmt::format("{}/{}", base, key), fmt::format("{} is no object", key),
                   fmt::format("{}: {{key: value}}", key));
  }
  return *found;
}

Status CheckPoint(const things::Snapshot* snapshot, const std::string& path,
                  std::string_view pointer) {
  if (path.find('/') == std::string::npos) {
    return Mistake(pointer, fmt::format("no point path: \"{}\"", path),
                   "write THING/POINT, as in pump-7/flow");
  }
  if (snapshot == nullptr || snapshot->FindPoint(path) != nullptr) return {};
  std::vector<std::string> paths;
  for (const auto& [known, id] : snapshot->by_path) paths.push_back(known);
  std::ranges::sort(paths);
  const std::string nearest = Nearest(path, paths);
  return Mistake(pointer, fmt::format("point unknown: {}", path),
                 nearest.empty() ? "see things/*.td.json for the points there are"
                                 : fmt::format("did you mean \"{}\"?", nearest));
}

Status CheckThing(const things::Snapshot* snapshot, const std::string& name,
                  std::string_view pointer) {
  if (snapshot == nullptr || snapshot->FindThing(name) != nullptr) return {};
  std::vector<std::string> names;
  for (const auto& thing : snapshot->things) names.push_back(thing.name);
  const std::string nearest = Nearest(name, names);
  return Mistake(pointer, fmt::format("thing unknown: {}", name),
                 nearest.empty() ? fmt::format("one of {}", fmt::join(names, ", "))
                                 : fmt::format("did you mean \"{}\"?", nearest));
}

}  // namespace penstock::value
