#include "storage/history_index.h"

#include <algorithm>

namespace penstock::storage {

std::shared_ptr<const HistoryIndex::Group> HistoryIndex::Find(const ParquetFilePointer& file,
                                                              size_t group) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(file.get());
  // Another file may live at the address of one that is gone.
  if (known == known_.end() || known->second.file.lock() != file) return nullptr;
  known->second.used = ++uses_;
  return known->second.groups[group];
}

void HistoryIndex::Keep(const ParquetFilePointer& file, size_t group,
                        std::shared_ptr<const Group> points) {
  const std::lock_guard lock(mutex_);
  if (points->size() > kStretchesMax) return;
  if (stretches_ + points->size() > kStretchesMax) MakeRoom(points->size());
  Known& known = known_[file.get()];
  if (known.file.lock() != file) {
    stretches_ -= known.stretches;
    known = {.file = file,
             .groups = std::vector<std::shared_ptr<const Group>>(file->groups().size())};
  }
  known.used = ++uses_;
  if (known.groups[group] != nullptr) return;
  known.stretches += points->size();
  stretches_ += points->size();
  known.groups[group] = std::move(points);
}

void HistoryIndex::MakeRoom(size_t stretches) {
  const auto drop = [&](auto known) {
    stretches_ -= known->second.stretches;
    return known_.erase(known);
  };
  for (auto known = known_.begin(); known != known_.end();)
    known = known->second.file.expired() ? drop(known) : std::next(known);
  while (stretches_ + stretches > kStretchesMax && !known_.empty())
    drop(std::ranges::min_element(known_, {}, [](const auto& each) { return each.second.used; }));
}

}  // namespace penstock::storage
