#include "telemetry/row_classes.h"

#include <algorithm>
#include <map>

namespace penstock::telemetry {
namespace {

using storage::LogPriority;

LogPriority PriorityOf(const things::Thing& thing, const things::Point& point) {
  const auto properties = thing.document.find("properties");
  if (properties != thing.document.end() && properties->is_object()) {
    const auto property = properties->find(point.property);
    if (property != properties->end() && property->is_object()) {
      const std::string named = StringOr(*property, "ps:priority", "");
      if (named == "low") return LogPriority::kLow;
      if (named == "high") return LogPriority::kHigh;
      if (named == "normal") return LogPriority::kNormal;
    }
  }
  return point.type == things::ValueType::kWaveform ? LogPriority::kLow : LogPriority::kNormal;
}

}  // namespace

std::vector<LogPriority> PrioritiesOf(const things::Snapshot& snapshot) {
  std::vector<LogPriority> priorities(snapshot.by_id.size(), LogPriority::kNormal);
  for (const things::Thing& thing : snapshot.things)
    for (const things::Property& property : thing.properties)
      if (property.point.id.value < priorities.size())
        priorities[property.point.id.value] = PriorityOf(thing, property.point);
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

std::vector<std::pair<PointId, uint64_t>> RowsThatGo(storage::History& history,
                                                     const things::Snapshot& snapshot,
                                                     const storage::HistoryRetention& rules) {
  std::map<std::string, std::vector<std::string>> paths_of;  // By product.
  for (const things::Property* property : snapshot.by_id)
    if (property != nullptr) paths_of[property->point.product].push_back(property->point.path());
  std::vector<std::pair<PointId, uint64_t>> rows;
  for (const auto& [product, paths] : paths_of) {
    const auto own = rules.raw_of_product.find(product);
    const Time cutoff = own == rules.raw_of_product.end() ? rules.raw : own->second;
    const Time day = std::chrono::floor<std::chrono::days>(cutoff);
    const auto files = history.Files(product);
    if (std::ranges::none_of(
            files, [&](const auto& file) { return file.level == "raw" && file.first < day; }))
      continue;
    const auto coverage = history.CoverageOf(paths, Time(), day);
    if (!coverage) return {};
    for (const auto& point : *coverage)
      if (const things::Point* known = snapshot.FindPoint(point.path); known && point.count > 0)
        rows.emplace_back(known->id, point.count);
  }
  return rows;
}

}  // namespace penstock::telemetry
