// Which points a topic carries.
//
// An exact topic is one look-up in a hash table, the common case on the hot path; filters with
// wildcards lie in a topic tree. The JSON pointers of one filter's points become one tree of keys:
// walking the payload and this tree together visits each byte once. A pointer that leads into
// another point's own value (an array that is a waveform, and its first element) cannot be read in
// the same pass; it is kept apart as nested.
#include <algorithm>
#include <set>

#include "protocols/mqtt/payload.h"

namespace penstock::protocols::mqtt {
namespace {

// RFC 6901: "/a~1b/0" -> "a/b", "0". The directory has checked the syntax.
std::vector<std::string> TokensOf(std::string_view pointer) {
  std::vector<std::string> tokens;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const size_t slash = pointer.find('/');
    std::string token;
    const std::string_view raw = pointer.substr(0, slash);
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '~' && i + 1 < raw.size()) {
        token += raw[++i] == '1' ? '/' : '~';
      } else {
        token += raw[i];
      }
    }
    tokens.push_back(std::move(token));
    pointer = slash == pointer.npos ? std::string_view{} : pointer.substr(slash);
  }
  return tokens;
}

bool IsBelow(std::string_view pointer, std::string_view ancestor) {
  return pointer.size() > ancestor.size() && pointer.starts_with(ancestor) &&
         pointer[ancestor.size()] == '/';
}

}  // namespace

int TopicPlan::SlotOf(const std::string& pointer) {
  const auto known = std::find(pointers_.begin(), pointers_.end(), pointer);
  if (known != pointers_.end()) return static_cast<int>(known - pointers_.begin());
  pointers_.push_back(pointer);
  return static_cast<int>(pointers_.size()) - 1;
}

void TopicPlan::Add(size_t point, const things::MqttForm& form) {
  targets_.push_back({.point = point,
                      .value_slot = SlotOf(form.value_pointer),
                      .time_slot = form.time_pointer.empty() ? -1 : SlotOf(form.time_pointer)});
  // The trees are small; made anew, they need no care about what this addition changed. A pointer
  // goes as many walks behind its ancestors as it has of them.
  walks_.assign(1, Tree(1));
  for (size_t slot = 0; slot < pointers_.size(); ++slot) {
    const auto ancestors = static_cast<size_t>(
        std::count_if(pointers_.begin(), pointers_.end(),
                      [&](const auto& other) { return IsBelow(pointers_[slot], other); }));
    while (walks_.size() <= ancestors) walks_.emplace_back(1);
    Plant(walks_[ancestors], static_cast<int>(slot));
  }
}

void TopicPlan::Plant(Tree& tree, int slot) {
  size_t node = 0;
  for (const std::string& token : TokensOf(pointers_[static_cast<size_t>(slot)])) {
    auto& children = tree[node].children;
    const auto child = std::find_if(children.begin(), children.end(),
                                    [&](const auto& each) { return each.first == token; });
    if (child != children.end()) {
      node = static_cast<size_t>(child->second);
      continue;
    }
    children.emplace_back(token, static_cast<int>(tree.size()));
    node = tree.size();
    tree.emplace_back();
  }
  tree[node].slot = slot;
}

TopicRouter::TopicRouter(const things::Snapshot& snapshot, std::string_view broker) {
  for (const things::Thing& thing : snapshot.things) {
    for (const things::Property& property : thing.properties) {
      const things::Form* form = property.source();
      if (form == nullptr || form->protocol != things::Protocol::kMqtt) continue;
      if (form->mqtt.broker != broker) continue;
      points_.push_back({property.point, *form});
    }
  }
  Build();
}

TopicRouter::TopicRouter(std::vector<SourcePoint> points) : points_(std::move(points)) { Build(); }

void TopicRouter::Build() {
  std::set<std::string> things;
  for (const SourcePoint& each : points_) things.insert(each.point.thing);
  things_.assign(things.begin(), things.end());
  for (size_t i = 0; i < points_.size(); ++i) {
    const auto thing = std::lower_bound(things_.begin(), things_.end(), points_[i].point.thing);
    thing_of_.push_back(static_cast<size_t>(thing - things_.begin()));
    const things::MqttForm& form = points_[i].form.mqtt;
    auto& plan = HasWildcard(form.topic) ? wildcards_.At(form.topic) : exact_[form.topic];
    if (!plan) plan = std::make_unique<TopicPlan>();
    plan->Add(i, form);
  }
}

void TopicRouter::Find(std::string_view topic, std::vector<const TopicPlan*>& out) const {
  const auto exact = exact_.find(topic);
  if (exact != exact_.end()) out.push_back(exact->second.get());
  if (wildcards_.empty()) return;
  wildcards_.Match(topic, [&](const auto& plan) { out.push_back(plan.get()); });
}

std::vector<std::pair<std::string, int>> TopicRouter::filters() const {
  std::map<std::string, int> highest;
  for (const SourcePoint& each : points_) {
    int& qos = highest[each.form.mqtt.topic];
    qos = std::max(qos, each.form.mqtt.qos);
  }
  return {highest.begin(), highest.end()};
}

}  // namespace penstock::protocols::mqtt
