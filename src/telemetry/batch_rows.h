// Rows of a batch: which belong together, and how some are taken out of it or into another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "telemetry/sample.h"

namespace penstock::telemetry {

// In place: the others keep their order and move up. `keep(row)` is asked once for each row, in
// order, before any later row has moved. The sequence numbers are not touched: rows go before they
// are numbered.
template <typename Keep>
void KeepRows(Batch& batch, Keep keep) {
  size_t kept = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!keep(i)) continue;
    if (kept != i) {
      batch.point[kept] = batch.point[i];
      batch.source_time[kept] = batch.source_time[i];
      batch.ingest_time[kept] = batch.ingest_time[i];
      batch.value[kept] = batch.value[i];
      batch.quality[kept] = batch.quality[i];
    }
    ++kept;
  }
  batch.point.resize(kept);
  batch.source_time.resize(kept);
  batch.ingest_time.resize(kept);
  batch.value.resize(kept);
  batch.quality.resize(kept);
}

struct RowRange {
  size_t begin = 0, end = 0;
};

inline void AddRows(Batch& to, const Batch& from, const RowRange& rows) {
  for (size_t i = rows.begin; i < rows.end; ++i)
    to.Add(from.point[i], from.source_time[i], from.ingest_time[i], from.value[i], from.quality[i]);
}

// The same for rows that are known: `gone`, rising and apart. The rows between move as whole runs.
inline void RemoveRows(Batch& batch, std::span<const RowRange> gone) {
  const auto close_up = [&](auto& column) {
    auto to = column.begin() + static_cast<ptrdiff_t>(gone.front().begin);
    for (size_t i = 0; i < gone.size(); ++i) {
      const size_t stop = i + 1 < gone.size() ? gone[i + 1].begin : column.size();
      to = std::copy(column.begin() + static_cast<ptrdiff_t>(gone[i].end),
                     column.begin() + static_cast<ptrdiff_t>(stop), to);
    }
    column.erase(to, column.end());
  };
  if (gone.empty()) return;
  close_up(batch.point);
  close_up(batch.source_time);
  close_up(batch.ingest_time);
  close_up(batch.value);
  close_up(batch.quality);
}

// One past the last row of the burst that starts at `begin`: rows of the same point, in time order,
// none more than two spacings after the one before. `sample_rate_hz` 0: the run of the same point.
inline size_t BurstEnd(const Batch& batch, size_t begin, double sample_rate_hz) {
  const PointId id = batch.point[begin];
  size_t end = begin + 1;
  if (sample_rate_hz <= 0) {
    while (end < batch.size() && batch.point[end] == id) ++end;
    return end;
  }
  const Duration gap = FromSeconds(2 / sample_rate_hz);
  while (end < batch.size() && batch.point[end] == id) {
    const Duration step = batch.source_time[end] - batch.source_time[end - 1];
    if (step.count() < 0 || step > gap) break;
    ++end;
  }
  return end;
}

}  // namespace penstock::telemetry
