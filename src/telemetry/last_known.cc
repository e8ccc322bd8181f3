#include "telemetry/last_known.h"

#include <algorithm>

#include "base/log.h"
#include "telemetry/running_time.h"

namespace penstock::telemetry {
namespace {

constexpr size_t kBurstRows = 8192;  // Read of a waveform's end.
constexpr size_t kRunningRows = 2000;
constexpr Duration kRunningSpan = std::chrono::hours(24);

// The last burst that ends with `last`.
Status AddBurst(storage::History& history, const things::Point& point, Time last, Batch& out) {
  const Duration gap = FromSeconds(2 / point.sample_rate_hz);
  const Time from = last - FromSeconds(kBurstRows / point.sample_rate_hz);
  ASSIGN_OR_RETURN(const auto rows,
                   history.Read(point.path(), from, last + Duration(1), kBurstRows));
  size_t begin = rows.size();
  while (begin > 0 && (begin == rows.size() || rows[begin].time - rows[begin - 1].time <= gap))
    --begin;
  for (; begin < rows.size(); ++begin)
    out.Add(point.id, rows[begin].time, rows[begin].time, rows[begin].value, rows[begin].quality);
  return {};
}

}  // namespace

Result<Batch> LastKnown(storage::History& history, const things::Snapshot& snapshot) {
  ASSIGN_OR_RETURN(const auto rows, history.Last({}));
  std::vector<std::pair<const things::Point*, const storage::LastRow*>> known;
  for (const storage::LastRow& row : rows)
    if (const things::Point* point = snapshot.FindPoint(row.path)) known.emplace_back(point, &row);
  std::ranges::sort(known, {}, [](const auto& each) { return each.first->id; });
  Batch batch;
  batch.Reserve(known.size());
  for (const auto& [point, row] : known) {
    if (point->type == things::ValueType::kWaveform && point->sample_rate_hz > 0) {
      TRY(AddBurst(history, *point, row->time, batch));
    } else {
      batch.Add(point->id, row->time, row->ingest_time, row->value, row->quality);
    }
  }
  return batch;
}

Result<Batch> LastRunning(storage::History& history, const things::Snapshot& snapshot,
                          const Batch& last_known) {
  Batch batch;
  for (size_t i = 0; i < last_known.size(); ++i) {
    const things::Point* point = snapshot.FindPoint(last_known.point[i]);
    if (point == nullptr || point->property != RunningTime::kPoint) continue;
    const Time last = last_known.source_time[i];
    ASSIGN_OR_RETURN(const auto rows, history.Read(point->path(), last - kRunningSpan,
                                                   last + Duration(1), kRunningRows));
    for (const auto& row : rows) batch.Add(point->id, row.time, row.time, row.value, row.quality);
  }
  return batch;
}

LiveValues::SparkLoader SparksFrom(storage::History& history, const things::Directory& directory) {
  return [&history, &directory](PointId id, Time from) {
    LiveValues::Spark48 spark{};
    const auto snapshot = directory.snapshot();
    const things::Point* point = snapshot->FindPoint(id);
    if (point == nullptr) return spark;
    const auto trend = history.Trend(point->path(), from, from + LiveValues::kSparkSpan,
                                     LiveValues::kSparkBuckets);
    if (!trend) {
      LogSometimes(LogLevel::kWarn, "spark", "sparkline: " + trend.error().ToString());
      return spark;
    }
    const Duration step = LiveValues::kSparkSpan / LiveValues::kSparkBuckets;
    for (const storage::TrendBucket& bucket : *trend) {
      const auto at = static_cast<size_t>((bucket.from - from) / step);
      if (at < spark.size() && bucket.count > bucket.bad) spark[at] = bucket.mean;
    }
    return spark;
  };
}

}  // namespace penstock::telemetry
