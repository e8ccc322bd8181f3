#include "telemetry/row_classes.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace penstock::telemetry {
namespace {

using storage::LogPriority;

LogPriority PriorityOf(const things::Property& property) {
  const bool waveform = property.point.type == things::ValueType::kWaveform;
  return property.priority.value_or(waveform ? LogPriority::kLow : LogPriority::kNormal);
}

// "unknown/point-7": as rows without a description are named (Pipeline::Impl::NameUnknown).
std::optional<PointId> IdInName(std::string_view path) {
  constexpr std::string_view kBefore = "unknown/point-";
  uint32_t id = 0;
  if (!path.starts_with(kBefore)) return std::nullopt;
  const char* const end = path.data() + path.size();
  const auto read = std::from_chars(path.data() + kBefore.size(), end, id);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return PointId{id};
}

}  // namespace

std::vector<LogPriority> PrioritiesOf(const things::Snapshot& snapshot) {
  std::vector<LogPriority> priorities(snapshot.by_id.size(), LogPriority::kNormal);
  for (const things::Thing& thing : snapshot.things)
    for (const things::Property& property : thing.properties)
      if (property.point.id.value < priorities.size())
        priorities[property.point.id.value] = PriorityOf(property);
  return priorities;
}

std::vector<ClassedBatch> ByPriority(Batch batch, std::span<const LogPriority> priorities) {
  const auto of = [&](PointId id) {
    return id.value < priorities.size() ? priorities[id.value] : LogPriority::kNormal;
  };
  std::vector<ClassedBatch> classes;
  if (batch.empty()) return classes;
  const LogPriority first = of(batch.point[0]);
  const bool mixed = std::ranges::any_of(batch.point, [&](PointId id) { return of(id) != first; });
  if (!mixed) {
    classes.push_back({std::move(batch), first});
    return classes;
  }
  for (const LogPriority priority : {LogPriority::kHigh, LogPriority::kNormal, LogPriority::kLow}) {
    ClassedBatch some{{}, priority};
    for (size_t i = 0; i < batch.size(); ++i)
      if (of(batch.point[i]) == priority)
        some.batch.Add(batch.point[i], batch.source_time[i], batch.ingest_time[i], batch.value[i],
                       batch.quality[i]);
    if (!some.batch.empty()) classes.push_back(std::move(some));
  }
  return classes;
}

GoneRows RowsGone(std::span<const storage::HistoryDeletion> deleted,
                  const things::Snapshot* snapshot,
                  const std::function<std::optional<PointId>(const std::string& path)>& id_of) {
  std::map<PointId, uint64_t> rows;
  GoneRows gone;
  for (const storage::HistoryDeletion& deletion : deleted) {
    for (const auto& [path, count] : deletion.of_point) {
      const things::Point* known = snapshot != nullptr ? snapshot->FindPoint(path) : nullptr;
      std::optional<PointId> id = known != nullptr ? std::optional(known->id) : IdInName(path);
      if (!id && !path.empty() && id_of) id = id_of(path);
      if (id)
        rows[*id] += count;
      else
        gone.unnamed += count;
    }
  }
  gone.of_point.assign(rows.begin(), rows.end());
  return gone;
}

}  // namespace penstock::telemetry
