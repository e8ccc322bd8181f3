#include "things/security.h"

#include <algorithm>

#include "things/vocabulary.h"

namespace penstock::things {

void CheckSecurity(const Json& names, const Json& definitions, const std::string& pointer,
                   Findings& findings) {
  const auto check = [&](const Json& name, const std::string& place) {
    if (!name.is_string() || definitions.contains(name.get<std::string>())) return;
    std::vector<std::string> known;
    for (const auto& [key, value] : definitions.items()) known.push_back(key);
    const std::string nearest = Nearest(name.get<std::string>(), known);
    findings.Mistake(
        place, fmt::format("security \"{}\" is not defined", name.get<std::string>().substr(0, 80)),
        nearest.empty() ? "define it in securityDefinitions"
                        : fmt::format("write \"{}\"", nearest));
  };
  if (names.is_string()) return check(names, pointer);
  if (!names.is_array()) return;
  if (names.empty())
    findings.Mistake(pointer, "no security chosen", "name one of securityDefinitions");
  for (size_t i = 0; i < names.size(); ++i) check(names[i], fmt::format("{}/{}", pointer, i));
}

void CheckSchemes(const Json& definitions, Findings& findings) {
  for (const auto& [name, definition] : definitions.items()) {
    const std::string scheme = StringOr(definition, "scheme", "");
    if (scheme.empty() || scheme == "nosec" || scheme == "basic" || HasPlaceholder(scheme))
      continue;
    findings.Doubt("/securityDefinitions/" + EscapePointer(name),
                   fmt::format("scheme \"{}\" is not used by any driver", scheme.substr(0, 40)),
                   "nosec or basic");
  }
}

bool WantsPassword(const Json& names, const Json& definitions) {
  const auto is_basic = [&](const Json& name) {
    const auto scheme =
        name.is_string() ? definitions.find(name.get_ref<const std::string&>()) : definitions.end();
    return scheme != definitions.end() && StringOr(*scheme, "scheme", "") == "basic";
  };
  return names.is_array() ? std::any_of(names.begin(), names.end(), is_basic) : is_basic(names);
}

}  // namespace penstock::things
