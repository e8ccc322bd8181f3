#include "storage/history_tail.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace penstock::storage {
namespace {

template <typename T>
void Reorder(std::vector<T>& column, const std::vector<uint32_t>& order) {
  std::vector<T> moved;
  moved.reserve(column.size());
  for (const uint32_t at : order) moved.push_back(column[at]);
  column = std::move(moved);
}

}  // namespace

void TailPoint::Sort() {
  if (sorted) return;
  std::vector<uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return time[a] < time[b]; });
  Reorder(time, order);
  Reorder(ingest_time, order);
  Reorder(value, order);
  Reorder(quality, order);
  Reorder(sequence, order);
  sorted = true;
}

RowRun TailPoint::Run(std::string_view path, size_t from, size_t to) const {
  const auto part = [&](const auto& column) { return std::span(column).subspan(from, to - from); };
  return {path, part(time), part(ingest_time), part(value), part(quality), part(sequence)};
}

void HistoryTail::Append(const HistoryColumns& columns, size_t skip) {
  const size_t size = columns.point.size();
  CHECK(columns.source_time.size() == size && columns.ingest_time.size() == size &&
        columns.value.size() == size && columns.quality.size() == size);
  for (size_t i = skip; i < size; ++i) {
    const uint32_t id = columns.point[i].value;
    if (id >= points_.size()) points_.resize(id + 1);
    TailPoint& point = points_[id];
    if (!point.time.empty() && columns.source_time[i] < point.time.back()) point.sorted = false;
    point.time.push_back(columns.source_time[i]);
    point.ingest_time.push_back(columns.ingest_time[i]);
    point.value.push_back(columns.value[i]);
    point.quality.push_back(columns.quality[i]);
    point.sequence.push_back(columns.first_sequence + i);
  }
  if (size <= skip) return;
  rows_ += size - skip;
  sequence_end_ = columns.first_sequence + size;
}

void HistoryTail::Sort() {
  for (TailPoint& point : points_) point.Sort();
}

const TailPoint* HistoryTail::Find(PointId id) const {
  return id.value < points_.size() ? &points_[id.value] : nullptr;
}

}  // namespace penstock::storage
