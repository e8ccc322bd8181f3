#include "telemetry/running_time.h"

#include <algorithm>

namespace penstock::telemetry {
namespace {
constexpr size_t kStopsKept = 1000;
}  // namespace

void RunningTime::See(const std::string& thing, Time time, bool running) {
  auto& stops = stops_[thing];
  const bool stopped = !stops.empty() && stops.back().to == Time::max();
  if (stopped && running) stops.back().to = std::max(time, stops.back().from);
  if (!stopped && !running) stops.push_back({time, Time::max()});
  if (stops.size() > kStopsKept) stops.pop_front();
}

void RunningTime::Learn(const things::Snapshot& snapshot) {
  if (learnt_ == &snapshot && revision_ == snapshot.revision &&
      is_running_.size() == snapshot.by_id.size())
    return;
  is_running_.assign(snapshot.by_id.size(), 0);
  for (const things::Property* property : snapshot.by_id)
    if (property != nullptr && property->point.property == kPoint)
      is_running_[property->point.id.value] = 1;
  learnt_ = &snapshot;
  revision_ = snapshot.revision;
}

void RunningTime::Observe(const Batch& batch, const things::Snapshot& snapshot) {
  Learn(snapshot);
  for (size_t i = 0; i < batch.size(); ++i) {
    const PointId id = batch.point[i];
    if (id.value >= is_running_.size() || is_running_[id.value] == 0) continue;
    if (IsBad(batch.quality[i])) continue;
    See(snapshot.FindPoint(id)->thing, batch.source_time[i], batch.value[i] != 0);
  }
}

bool RunningTime::RanThrough(const std::string& thing, Time at, Duration window) const {
  const auto found = stops_.find(thing);
  if (found == stops_.end()) return true;
  Duration stopped{0};
  for (auto it = found->second.rbegin(); it != found->second.rend() && it->to > at - window; ++it) {
    if (it->from <= at && it->to > at) return false;
    if (it->from < at) stopped += std::min(it->to, at) - std::max(it->from, at - window);
  }
  return ToSeconds(stopped) <= kStoppedShareMax * ToSeconds(window);
}

}  // namespace penstock::telemetry
