#include "storage/history_tail.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

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

void TailBlock::Put(size_t row, std::span<const Time> ingest, uint64_t sequence) {
  for (size_t i = 0; i < ingest.size(); ++i, ++row) {
    const Stretch own{ToMicros(ingest[i]), sequence + i - row};
    if (by_row_ == nullptr && (stretches_used_ == 0 || stretches_[stretches_used_ - 1] != own)) {
      if (stretches_used_ < kByRow)
        stretches_[stretches_used_++] = own;
      else
        by_row_ = std::make_unique_for_overwrite<ByRow>();
    }
    stretch_[row] = by_row_ == nullptr ? static_cast<uint8_t>(stretches_used_ - 1) : kByRow;
    if (by_row_ == nullptr) continue;
    by_row_->ingest_time[row] = own.ingest;
    by_row_->sequence[row] = sequence + i;
  }
}

void TailRows::Clear() {
  time.clear();
  ingest_time.clear();
  value.clear();
  quality.clear();
  sequence.clear();
}

void TailRows::Append(const TailRows& other) {
  time.insert(time.end(), other.time.begin(), other.time.end());
  ingest_time.insert(ingest_time.end(), other.ingest_time.begin(), other.ingest_time.end());
  value.insert(value.end(), other.value.begin(), other.value.end());
  quality.insert(quality.end(), other.quality.begin(), other.quality.end());
  sequence.insert(sequence.end(), other.sequence.begin(), other.sequence.end());
}

RowRun TailRows::Run(std::string_view path) const {
  const auto* ingest = reinterpret_cast<const Time*>(ingest_time.data());
  return {path, times(), {ingest, size()}, value, quality, sequence};
}

void TailRows::Sort() {
  if (std::is_sorted(time.begin(), time.end())) return;
  std::vector<uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return time[a] < time[b]; });
  Reorder(time, order);
  Reorder(ingest_time, order);
  Reorder(value, order);
  Reorder(quality, order);
  Reorder(sequence, order);
}

// From the last row on, so that each chain begins with its first.
const TailBlock::Chains& TailBlock::ChainsOf() const {
  std::call_once(chained_, [this] {
    auto chains = std::make_unique_for_overwrite<Chains>();
    chains->first.fill(kRows);
    for (size_t row = kRows; row-- > 0;)
      chains->next[row] =
          std::exchange(chains->first[ChainOf(point[row])], static_cast<uint16_t>(row));
    chains_ = std::move(chains);
  });
  return *chains_;
}

// Most rows lie in full blocks, where a point's are found; the rest of them is looked through.
void TailSnapshot::Collect(PointId point, Time from, Time to, TailRows& out) const {
  const int64_t first = ToMicros(from), end = ToMicros(to);
  const auto take = [&](const TailBlock& block, size_t row) {
    if (block.time[row] < first || block.time[row] >= end) return;
    out.time.push_back(block.time[row]);
    out.ingest_time.push_back(block.ingest_time(row));
    out.value.push_back(block.value[row]);
    out.quality.push_back(block.quality[row]);
    out.sequence.push_back(block.sequence(row));
  };
  const size_t full = rows / TailBlock::kRows, behind = rows % TailBlock::kRows;
  for (size_t b = 0; b < full; ++b)
    blocks[b]->ForRowsOf(point, [&](size_t row) { take(*blocks[b], row); });
  for (size_t row = 0; row < behind; ++row)
    if (blocks[full]->point[row] == point.value) take(*blocks[full], row);
}

TailByPoint::TailByPoint(TailSnapshot tail) : tail_(std::move(tail)) {
  uint32_t highest = 0;
  tail_.ForEach(
      [&](const TailBlock& block, size_t i) { highest = std::max(highest, block.point[i]); });
  begin_.assign(size_t{highest} + 2, 0);
  tail_.ForEach([&](const TailBlock& block, size_t i) {
    ++begin_[block.point[i] + 1];
    first_ = std::min(first_, block.time[i]);
    last_ = std::max(last_, block.time[i]);
  });
  std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
  order_.resize(tail_.rows);
  std::vector<uint32_t> next(begin_.begin(), begin_.end() - 1);
  uint32_t row = 0;
  tail_.ForEach([&](const TailBlock& block, size_t i) { order_[next[block.point[i]]++] = row++; });
}

void TailByPoint::Take(size_t point, TailRows& out) const {
  const std::span<const uint32_t> order = std::span(order_).subspan(begin_[point], rows_of(point));
  const auto gather = [&](auto& column, const auto& from) {
    column.resize(order.size());
    for (size_t i = 0; i < order.size(); ++i)
      column[i] = from(*tail_.blocks[order[i] / TailBlock::kRows], order[i] % TailBlock::kRows);
  };
  gather(out.time, [](const TailBlock& b, size_t i) { return b.time[i]; });
  gather(out.ingest_time, [](const TailBlock& b, size_t i) { return b.ingest_time(i); });
  gather(out.value, [](const TailBlock& b, size_t i) { return b.value[i]; });
  gather(out.quality, [](const TailBlock& b, size_t i) { return b.quality[i]; });
  gather(out.sequence, [](const TailBlock& b, size_t i) { return b.sequence(i); });
  out.Sort();
}

void HistoryTail::Append(const HistoryColumns& columns, size_t skip) {
  const size_t size = columns.point.size();
  CHECK(columns.source_time.size() == size && columns.ingest_time.size() == size &&
        columns.value.size() == size && columns.quality.size() == size);
  static_assert(sizeof(PointId) == sizeof(uint32_t) && sizeof(Time) == sizeof(int64_t));
  for (size_t at = skip; at < size;) {
    const size_t to = rows_ % TailBlock::kRows;
    if (to == 0) blocks_.push_back(std::make_shared_for_overwrite<TailBlock>());
    TailBlock& block = *blocks_.back();
    const size_t some = std::min(size - at, TailBlock::kRows - to);
    std::memcpy(&block.point[to], &columns.point[at], some * sizeof(uint32_t));
    std::memcpy(&block.time[to], &columns.source_time[at], some * sizeof(int64_t));
    std::memcpy(&block.value[to], &columns.value[at], some * sizeof(double));
    std::memcpy(&block.quality[to], &columns.quality[at], some * sizeof(uint32_t));
    block.Put(to, columns.ingest_time.subspan(at, some), columns.first_sequence + at);
    rows_ += some;
    at += some;
  }
  if (size > skip) sequence_end_ = columns.first_sequence + size;
}

TailSnapshot HistoryTail::Snapshot() const { return {{blocks_.begin(), blocks_.end()}, rows_}; }

}  // namespace penstock::storage
