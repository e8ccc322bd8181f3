#include "telemetry/running_time.h"

#include <algorithm>

namespace penstock::telemetry {
namespace {
constexpr std::string_view kRunning = "running";
constexpr size_t kStopsKept = 1000;
}  // namespace

void RunningTime::See(const std::string& thing, Time time, bool running) {
  auto& stops = stops_[thing];
  const bool stopped = !stops.empty() && stops.back().to == Time::max();
  if (stopped && running) stops.back().to = std::max(time, stops.back().from);
  if (!stopped && !running) stops.push_back({time, Time::max()});
  if (stops.size() > kStopsKept) stops.pop_front();
}

void RunningTime::Observe(const Batch& batch, const things::Snapshot& snapshot) {
  for (size_t i = 0; i < batch.size(); ++i) {
    // A waveform's thousands of rows are of one point: look once.
    if (i > 0 && batch.point[i] == batch.point[i - 1] && batch.value[i] == batch.value[i - 1])
      continue;
    const things::Point* point = snapshot.FindPoint(batch.point[i]);
    if (point == nullptr || point->property != kRunning || IsBad(batch.quality[i])) continue;
    See(point->thing, batch.source_time[i], batch.value[i] != 0);
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
