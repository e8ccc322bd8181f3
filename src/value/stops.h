// The rules by which stops become states: pure functions over facts.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "value/alarm_facts.h"
#include "value/kpi_file.h"

namespace penstock::value {

enum class MachineState { kRunning, kIdle, kDown, kPlanned, kUnknown };
std::string_view MachineStateName(MachineState state);  // "running"

// From `at` on: running, stopped, or not known.
enum class Run : int8_t { kUnknown = -1, kStopped = 0, kRunning = 1 };
struct RunningChange {
  Time at;
  Run run = Run::kUnknown;
};

struct StateSpan {
  Time from, to;
  MachineState state = MachineState::kUnknown;
  std::string reason;       // "bearing_wear", "minor stop", "waiting for pump-7" ...
  std::string alarm;        // The alarm behind it, or "".
  std::string waiting_for;  // The thing whose failure it waits for, or "".
  Duration length() const { return to - from; }
};

// Stops this long before the time asked for still use up verdicts.
inline constexpr Duration kLookBack = std::chrono::hours(48);

// One machine's spans over [from, to). `alarms`: of this machine, by time of raising.
std::vector<StateSpan> ClassifyStops(const std::vector<RunningChange>& changes,
                                     const std::vector<AlarmFact>& alarms, const KpiFile& file,
                                     Time from, Time to);
// Stops of one machine that another one's failure explains become idle, "waiting for ...".
void ExplainWaiting(std::map<std::string, std::vector<StateSpan>>& machines, const KpiFile& file);
// The line is what its producer is; where that waits for a failed machine, the line is down.
std::vector<StateSpan> LineSpans(const std::map<std::string, std::vector<StateSpan>>& machines,
                                 const KpiFile& file);

}  // namespace penstock::value
