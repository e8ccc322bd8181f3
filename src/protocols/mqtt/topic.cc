#include "protocols/mqtt/topic.h"

#include <algorithm>

namespace penstock::protocols::mqtt {
namespace {

Status CheckSize(std::string_view text, const TopicLimits& limits, std::string_view what) {
  if (text.empty()) return InvalidArgument("{} of no characters [MQTT-4.7.3-1]", what);
  if (text.size() > limits.bytes_max) {
    return InvalidArgument("{} of {} bytes, at most {} are taken", what, text.size(),
                           limits.bytes_max);
  }
  const auto levels = 1 + static_cast<size_t>(std::count(text.begin(), text.end(), '/'));
  if (levels > limits.levels_max) {
    return InvalidArgument("{} of {} levels, at most {} are taken", what, levels,
                           limits.levels_max);
  }
  return {};
}

}  // namespace

Status CheckTopic(std::string_view topic, const TopicLimits& limits) {
  TRY(CheckSize(topic, limits, "topic"));
  if (HasWildcard(topic)) return InvalidArgument("wildcard in topic {} [MQTT-3.3.2-2]", topic);
  return {};
}

Status CheckFilter(std::string_view filter, const TopicLimits& limits) {
  TRY(CheckSize(filter, limits, "topic filter"));
  for (size_t at = 0; at < filter.size(); ++at) {
    const char c = filter[at];
    if (c != '+' && c != '#') continue;
    const bool begins = at == 0 || filter[at - 1] == '/';
    const bool ends = at + 1 == filter.size() || filter[at + 1] == '/';
    if (!begins || !ends) {
      return InvalidArgument("topic filter {}: {} is not alone in its level [MQTT-4.7.1]", filter,
                             c);
    }
    if (c == '#' && at + 1 != filter.size()) {
      return InvalidArgument("topic filter {}: # is not the last level [MQTT-4.7.1-2]", filter);
    }
  }
  return {};
}

bool HasWildcard(std::string_view filter) {
  return filter.find_first_of("+#") != std::string_view::npos;
}

bool Matches(std::string_view filter, std::string_view topic) {
  TopicTree<bool> tree;
  tree.At(filter);
  bool found = false;
  tree.Match(topic, [&](bool) { found = true; });
  return found;
}

}  // namespace penstock::protocols::mqtt
