// When each machine ran, by its point `running`: a model is asked only about a machine that runs
// and ran most of the window, in training and live alike.
//
// Thread rule: one thread at a time.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

class RunningTime {
 public:
  static constexpr std::string_view kPoint = "running";
  static constexpr double kStoppedShareMax = 0.3;  // Of the window.

  void Observe(const Batch& batch, const things::Snapshot& snapshot);
  void See(const std::string& thing, Time time, bool running);
  // Runs at `at` and stood still at most kStoppedShareMax of the window before. A thing without the
  // point always runs.
  bool RanThrough(const std::string& thing, Time at, Duration window) const;

 private:
  struct Stop {
    Time from;
    Time to;  // Time::max() while it lasts.
  };
  void Learn(const things::Snapshot& snapshot);

  std::map<std::string, std::deque<Stop>> stops_;  // The latest kStopsKept of each.
  // By PointId, of the snapshot seen last: 1 for a point of this name.
  std::vector<uint8_t> is_running_;
  const things::Snapshot* learnt_ = nullptr;  // Only compared.
  uint64_t revision_ = 0;
};

}  // namespace penstock::telemetry
