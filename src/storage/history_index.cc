#include "storage/history_index.h"

#include <algorithm>

namespace penstock::storage {

// Block by block without a branch, so that the compiler compares many at once.
std::optional<size_t> HistoryIndex::Points::PlaceOf(uint32_t entry) const {
  constexpr size_t kBlock = 64;
  size_t at = 0;
  for (; at + kBlock <= entries.size(); at += kBlock) {
    uint32_t found = 0;
    for (size_t i = 0; i < kBlock; ++i) found |= entries[at + i] == entry ? 1U : 0U;
    if (found != 0) break;
  }
  const auto place = std::find(entries.begin() + static_cast<ptrdiff_t>(at), entries.end(), entry);
  if (place == entries.end()) return std::nullopt;
  return static_cast<size_t>(place - entries.begin());
}

const HistoryIndex::Group* HistoryIndex::Find(const ParquetFilePointer& file, size_t group) {
  const auto known = known_.find(file.get());
  // Another file may live at the address of one that is gone.
  if (known == known_.end() || known->second.file.lock() != file) return nullptr;
  known->second.used = ++uses_;
  return &known->second.groups[group];
}

HistoryIndex::PointsPointer HistoryIndex::FindPoints(const ParquetFilePointer& file, size_t group) {
  const std::lock_guard lock(mutex_);
  const Group* const known = Find(file, group);
  return known == nullptr ? nullptr : known->points;
}

ParquetPagesPointer HistoryIndex::FindPages(const ParquetFilePointer& file, size_t group,
                                            size_t column) {
  const std::lock_guard lock(mutex_);
  const Group* const known = Find(file, group);
  return known == nullptr || known->pages.empty() ? nullptr : known->pages[column];
}

HistoryIndex::Known* HistoryIndex::KnownOf(const ParquetFilePointer& file, size_t bytes) {
  if (bytes > kBytesMax / 2) return nullptr;
  if (bytes_ + bytes > kBytesMax) MakeRoom(bytes);
  Known& known = known_[file.get()];
  if (known.file.lock() != file) {
    bytes_ -= known.bytes;
    known = {.file = file, .groups = std::vector<Group>(file->groups().size())};
  }
  known.used = ++uses_;
  return &known;
}

void HistoryIndex::KeepPoints(const ParquetFilePointer& file, size_t group, PointsPointer points) {
  const std::lock_guard lock(mutex_);
  const size_t bytes = points->memory();
  Known* const known = KnownOf(file, bytes);
  if (known == nullptr || known->groups[group].points != nullptr) return;
  known->groups[group].points = std::move(points);
  known->bytes += bytes;
  bytes_ += bytes;
}

void HistoryIndex::KeepPages(const ParquetFilePointer& file, size_t group, size_t column,
                             ParquetPagesPointer pages) {
  const std::lock_guard lock(mutex_);
  const size_t bytes = pages->memory();
  Known* const known = KnownOf(file, bytes);
  if (known == nullptr) return;
  auto& columns = known->groups[group].pages;
  columns.resize(file->schema().size());
  if (columns[column] != nullptr) return;
  columns[column] = std::move(pages);
  known->bytes += bytes;
  bytes_ += bytes;
}

void HistoryIndex::MakeRoom(size_t bytes) {
  const auto drop = [&](auto known) {
    bytes_ -= known->second.bytes;
    return known_.erase(known);
  };
  for (auto known = known_.begin(); known != known_.end();)
    known = known->second.file.expired() ? drop(known) : std::next(known);
  while (bytes_ + bytes > kBytesMax && !known_.empty())
    drop(std::ranges::min_element(known_, {}, [](const auto& each) { return each.second.used; }));
}

}  // namespace penstock::storage
