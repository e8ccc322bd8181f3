#include "protocols/line_protocol/point_table.h"

#include <span>
#include <unordered_map>

namespace penstock::protocols {

PointTable::PointTable(const things::Snapshot& snapshot)
    : snapshot_(&snapshot), revision_(snapshot.revision) {
  std::unordered_map<std::string_view, uint32_t> known;
  const auto number_of = [&](const std::string& name) {
    if (const auto found = known.find(name); found != known.end()) return found->second;
    const auto number = static_cast<uint32_t>(names_.size());
    known.emplace(names_.emplace_back(name), number);
    return number;
  };
  first_.reserve(snapshot.things.size() + 1);
  entries_.reserve(snapshot.by_id.size());
  for (const things::Thing& thing : snapshot.things) {
    first_.push_back(static_cast<uint32_t>(entries_.size()));
    for (const things::Property& property : thing.properties)
      entries_.push_back(
          {number_of(property.point.property), {property.point.id, property.point.type}});
  }
  first_.push_back(static_cast<uint32_t>(entries_.size()));
}

Field PointTable::Find(uint32_t thing, std::string_view property, uint32_t& guess) const {
  const auto entries =
      std::span(entries_).subspan(first_[thing], first_[thing + 1] - first_[thing]);
  if (guess < entries.size() && names_[entries[guess].name] == property)
    return entries[guess].field;
  for (uint32_t at = 0; at < entries.size(); ++at) {
    if (names_[entries[at].name] != property) continue;
    guess = at;
    return entries[at].field;
  }
  return {};
}

}  // namespace penstock::protocols
