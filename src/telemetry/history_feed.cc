#include "telemetry/history_feed.h"

#include <algorithm>

#include "telemetry/quality.h"

namespace penstock::telemetry {
namespace {

// The start of the burst that is still open at `end`: it is held back for the next slice.
size_t OpenBurst(const Batch& rows, const things::Point& point, Time end) {
  if (point.type != things::ValueType::kWaveform || !(point.sample_rate_hz > 0) || rows.empty())
    return rows.size();
  const Duration gap = FromSeconds(2 / point.sample_rate_hz);
  if (rows.source_time.back() + gap < end) return rows.size();
  size_t start = rows.size() - 1;
  while (start > 0 && rows.source_time[start] - rows.source_time[start - 1] <= gap) --start;
  return start;
}

Batch Cut(const Batch& rows, size_t begin, size_t end) {
  Batch cut;
  cut.Reserve(end - begin);
  for (size_t i = begin; i < end; ++i) {
    cut.Add(rows.point[i], rows.source_time[i], rows.ingest_time[i], rows.value[i],
            rows.quality[i]);
  }
  return cut;
}

}  // namespace

Result<uint64_t> FeedFromHistory(storage::History& history, const things::Snapshot& snapshot,
                                 std::span<const PointId> points, Time from, Time to,
                                 const std::function<void(const Batch&)>& take,
                                 const FeedOptions& options) {
  std::vector<Batch> held(points.size());
  uint64_t fed = 0;
  for (Time begin = from; begin < to; begin += options.slice) {
    const Time end = std::min(to, begin + options.slice);
    Batch slice;
    for (size_t i = 0; i < points.size(); ++i) {
      const things::Point* point = snapshot.FindPoint(points[i]);
      if (point == nullptr) return NotFound("point unknown: #{}", points[i].value);
      ASSIGN_OR_RETURN(const auto rows,
                       history.Read(point->path(), begin, end, options.rows_per_read));
      if (rows.size() >= options.rows_per_read) {
        return ResourceExhausted("{} has {} or more samples within {}", point->path(), rows.size(),
                                 FormatDuration(options.slice));
      }
      Batch batch = std::move(held[i]);
      batch.Reserve(batch.size() + rows.size());
      for (const auto& row : rows) batch.Add(point->id, row.time, row.time, row.value, row.quality);
      const size_t open = end == to ? batch.size() : OpenBurst(batch, *point, end);
      held[i] = Cut(batch, open, batch.size());
      if (open == batch.size()) {
        slice.Append(batch);
      } else {
        slice.Append(Cut(batch, 0, open));
      }
    }
    if (slice.empty()) continue;
    fed += slice.size();
    take(slice);
  }
  return fed;
}

}  // namespace penstock::telemetry
