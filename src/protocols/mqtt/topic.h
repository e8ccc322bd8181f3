// Topics and topic filters: MQTT 3.1.1, section 4.7. A tree finds what matches a topic in the time
// of its levels, however many filters there are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace penstock::protocols::mqtt {

struct TopicLimits {
  size_t bytes_max = 1024;
  size_t levels_max = 32;
};

// What is wrong with the topic or filter, by the standard or by our limits.
Status CheckTopic(std::string_view topic, const TopicLimits& limits);
Status CheckFilter(std::string_view filter, const TopicLimits& limits);
bool HasWildcard(std::string_view filter);
// For a few filters; a TopicTree for many.
bool Matches(std::string_view filter, std::string_view topic);

// Values by filter. The filters were checked: no more than levels_max levels, which bounds the
// recursion.
template <typename T>
class TopicTree {
 public:
  // The value of this filter, made if it is new.
  T& At(std::string_view filter) {
    Node* node = &root_;
    ForEachLevel(filter, [&](std::string_view level) {
      auto child = node->children.find(level);
      if (child == node->children.end()) {
        child = node->children.emplace(std::string(level), std::make_unique<Node>()).first;
      }
      node = child->second.get();
    });
    if (!node->value) {
      node->value.emplace();
      ++size_;
    }
    return *node->value;
  }
  T* Find(std::string_view filter) {
    Node* node = &root_;
    ForEachLevel(filter, [&](std::string_view level) {
      if (node == nullptr) return;
      const auto child = node->children.find(level);
      node = child == node->children.end() ? nullptr : child->second.get();
    });
    return node != nullptr && node->value ? &*node->value : nullptr;
  }
  void Erase(std::string_view filter) { EraseBelow(root_, filter, false); }

  // Calls found(const T&) for each filter that matches the topic, in no particular order.
  template <typename F>
  void Match(std::string_view topic, F&& found) const {
    MatchBelow(root_, topic, false, topic.starts_with('$'), found);
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
    std::optional<T> value;
  };

  template <typename F>
  static void ForEachLevel(std::string_view text, F&& each) {
    while (true) {
      const size_t slash = text.find('/');
      each(text.substr(0, slash));
      if (slash == text.npos) return;
      text.remove_prefix(slash + 1);
    }
  }

  // `ended`: the topic has no further level (an empty rest may still be an empty level).
  template <typename F>
  static void MatchBelow(const Node& node, std::string_view rest, bool ended, bool first_hidden,
                         F& found) {
    if (!first_hidden) {  // "$SYS" is matched by its own name alone [MQTT-4.7.2-1].
      const auto all = node.children.find(std::string_view("#"));
      if (all != node.children.end() && all->second->value) found(*all->second->value);
    }
    if (ended) {
      if (node.value) found(*node.value);
      return;
    }
    const size_t slash = rest.find('/');
    const std::string_view level = rest.substr(0, slash);
    const bool last = slash == rest.npos;
    const std::string_view next = last ? std::string_view{} : rest.substr(slash + 1);
    const auto same = node.children.find(level);
    if (same != node.children.end()) MatchBelow(*same->second, next, last, false, found);
    if (first_hidden) return;
    const auto any = node.children.find(std::string_view("+"));
    if (any != node.children.end()) MatchBelow(*any->second, next, last, false, found);
  }

  // True when nothing is left below `node`.
  bool EraseBelow(Node& node, std::string_view rest, bool ended) {
    if (ended) {
      if (node.value) --size_;
      node.value.reset();
      return node.children.empty();
    }
    const size_t slash = rest.find('/');
    const bool last = slash == rest.npos;
    const auto child = node.children.find(rest.substr(0, slash));
    if (child == node.children.end()) return false;
    const std::string_view next = last ? std::string_view{} : rest.substr(slash + 1);
    if (EraseBelow(*child->second, next, last)) node.children.erase(child);
    return node.children.empty() && !node.value;
  }

  Node root_;
  size_t size_ = 0;
};

}  // namespace penstock::protocols::mqtt
