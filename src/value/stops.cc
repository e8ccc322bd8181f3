// A machine that does not run says only that. Which stop was a failure is decided here, by facts in
// this order:
//
//   1. the calendar: no production was planned
//   2. a stop shorter than `minor-stop` is idle
//   3. an alarm answered "known or planned": planned; answered "true fault": the first stop of
//   `shortest-repair` that ends
//      after the answer is the failure and its repair; an alarm not yet answered: presumably a
//      failure
//   4. a stop longer than `unexplained-down-after` that nothing explains is a failure
//   5. everything else is idle
//
// Then stops that overlap with an explained failure of another machine of the line become waiting
// for it. Of several unexplained long stops the one that began first is the failure, the others
// wait for it.
#include "value/stops.h"

#include <algorithm>
#include <set>

namespace penstock::value {
namespace {

constexpr Duration kTogether =
    std::chrono::seconds(60);  // Stops that begin this close together have no first.
constexpr const char* kUnexplained = "stopped for long, no alarm tells why";

// Spans of the calendar's windows that touch [from, to), by time.
std::vector<StateSpan> PlannedSpans(const std::vector<PlannedWindow>& windows, Time from, Time to) {
  std::vector<StateSpan> spans;
  if (windows.empty()) return spans;
  using std::chrono::days;
  for (Time day = std::chrono::floor<days>(from); day < to; day += days(1)) {
    const std::chrono::weekday weekday(std::chrono::time_point_cast<days>(day));
    const unsigned bit = weekday.iso_encoding() - 1;
    for (const auto& window : windows) {
      if ((window.days >> bit & 1U) == 0) continue;
      const Time begin = std::max(from, day + window.from), end = std::min(to, day + window.to);
      if (begin < end) spans.push_back({begin, end, MachineState::kPlanned, window.reason, "", ""});
    }
  }
  std::ranges::sort(spans, {}, &StateSpan::from);
  return spans;
}

// The alarm that makes a stop a failure or a planned one.
class Explainer {
 public:
  Explainer(const std::vector<AlarmFact>& alarms, const StateRules& rules)
      : alarms_(alarms), rules_(rules) {}

  // `ongoing`: the stop has not ended; until it has, it is what a long one would be.
  void Explain(StateSpan& stop, bool ongoing) {
    if (stop.length() < rules_.minor_stop) {
      stop.reason = "minor stop";
      return;
    }
    const bool repair = ongoing || stop.length() >= rules_.shortest_repair;
    for (const auto& alarm : alarms_) {
      if (!repair || !alarm.verdict || used_.contains(alarm.id)) continue;
      if (alarm.raised >= stop.to || alarm.verdict_at >= stop.to) continue;
      if (alarm.verdict == decisions::VerdictKind::kTrueFault ||
          alarm.verdict == decisions::VerdictKind::kKnownOrPlanned) {
        if (alarm.verdict_at + rules_.repair_within < stop.from) continue;
        used_.insert(alarm.id);
        const bool fault = alarm.verdict == decisions::VerdictKind::kTrueFault;
        stop.state = fault ? MachineState::kDown : MachineState::kPlanned;
        stop.reason = !fault ? "known or planned" : alarm.code.empty() ? alarm.cause : alarm.code;
        stop.alarm = alarm.id;
        // One repair answers all alarms of the same fault.
        for (const auto& other : alarms_) {
          if (other.verdict && other.raised < stop.to && other.verdict_at < stop.to)
            used_.insert(other.id);
        }
        return;
      }
    }
    for (const auto& alarm : alarms_) {
      const bool active = alarm.raised < stop.to && (!alarm.cleared || *alarm.cleared >= stop.from);
      if (alarm.verdict || !active) continue;
      stop.state = MachineState::kDown;
      stop.reason = alarm.cause + " (not yet answered)";
      stop.alarm = alarm.id;
      return;
    }
    if (stop.length() >= rules_.unexplained_down_after) {
      stop.state = MachineState::kDown;
      stop.reason = kUnexplained;
      return;
    }
    stop.reason = "stopped, no fault known";
  }

 private:
  const std::vector<AlarmFact>& alarms_;
  const StateRules& rules_;
  std::set<std::string> used_;
};

// Cuts a stop at the calendar's windows.
void AddStop(std::vector<StateSpan>& spans, StateSpan stop, const std::vector<StateSpan>& planned,
             bool ongoing, Explainer& explainer) {
  Time at = stop.from;
  const auto piece = [&](Time end) {
    if (at >= end) return;
    StateSpan rest = stop;
    rest.from = at;
    rest.to = end;
    explainer.Explain(rest, ongoing && end == stop.to);
    spans.push_back(std::move(rest));
  };
  for (const auto& window : planned) {
    if (window.to <= at || window.from >= stop.to) continue;
    piece(window.from);
    StateSpan inside = window;
    inside.from = std::max(at, window.from);
    inside.to = std::min(stop.to, window.to);
    if (inside.from < inside.to) spans.push_back(inside);
    at = std::max(at, inside.to);
  }
  piece(stop.to);
}

Duration Overlap(const StateSpan& a, const StateSpan& b) {
  return std::max(Duration(0), std::min(a.to, b.to) - std::max(a.from, b.from));
}

bool Explained(const StateSpan& span) {
  return span.state == MachineState::kDown && span.reason != kUnexplained;
}

}  // namespace

std::string_view MachineStateName(MachineState state) {
  switch (state) {
    case MachineState::kRunning:
      return "running";
    case MachineState::kIdle:
      return "idle";
    case MachineState::kDown:
      return "down";
    case MachineState::kPlanned:
      return "planned";
    case MachineState::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::vector<StateSpan> ClassifyStops(const std::vector<RunningChange>& changes,
                                     const std::vector<AlarmFact>& alarms, const KpiFile& file,
                                     Time from, Time to) {
  std::vector<StateSpan> spans;
  if (from >= to) return spans;
  // A stop is judged as a whole, even when only a part of it is asked for.
  Explainer explainer(alarms, file.states);
  const Time look_back = from - kLookBack;
  const auto planned = PlannedSpans(file.planned, look_back, to);
  if (changes.empty() || changes.front().at > from) {
    const Time known = changes.empty() ? to : std::min(to, changes.front().at);
    if (from < known) spans.push_back({from, known, MachineState::kUnknown, "no data", "", ""});
  }
  for (size_t i = 0; i < changes.size() && changes[i].at < to; ++i) {
    StateSpan span;
    span.from = changes[i].at;
    span.to = i + 1 < changes.size() ? std::min(to, changes[i + 1].at) : to;
    if (span.to <= span.from || span.to < look_back) continue;
    if (changes[i].run == Run::kStopped) {
      // Earlier stops too: a verdict is used up by the first stop that follows it.
      span.state = MachineState::kIdle;
      AddStop(spans, span, planned, i + 1 == changes.size(), explainer);
      continue;
    }
    span.state = changes[i].run == Run::kRunning ? MachineState::kRunning : MachineState::kUnknown;
    if (span.state == MachineState::kUnknown) span.reason = "no data";
    spans.push_back(std::move(span));
  }
  std::erase_if(spans, [&](const StateSpan& span) { return span.to <= from; });
  if (!spans.empty()) spans.front().from = std::max(from, spans.front().from);
  return spans;
}

void ExplainWaiting(std::map<std::string, std::vector<StateSpan>>& machines, const KpiFile& file) {
  const auto known = machines;  // As classified alone.
  for (auto& [name, spans] : machines) {
    for (auto& span : spans) {
      const bool unexplained = span.state == MachineState::kDown && span.reason == kUnexplained;
      const bool idle =
          span.state == MachineState::kIdle && span.length() >= file.states.minor_stop;
      if (!unexplained && !idle) continue;
      for (const auto& [other, others] : known) {
        if (other == name) continue;
        for (const auto& cause : others) {
          const bool first = unexplained && cause.state == MachineState::kDown &&
                             cause.from + kTogether < span.from;
          if (!Explained(cause) && !first) continue;
          if (2 * Overlap(span, cause) < span.length()) continue;
          span.state = MachineState::kIdle;
          span.reason = fmt::format("waiting for {}", other);
          span.waiting_for = other;
          span.alarm = cause.alarm;
        }
      }
    }
  }
}

std::vector<StateSpan> LineSpans(const std::map<std::string, std::vector<StateSpan>>& machines,
                                 const KpiFile& file) {
  const auto producer = machines.find(file.producer);
  if (producer == machines.end()) return {};
  std::vector<StateSpan> spans = producer->second;
  for (auto& span : spans) {
    if (span.state == MachineState::kDown)
      span.reason = fmt::format("{}: {}", file.producer, span.reason);
    if (span.waiting_for.empty()) continue;
    span.state = MachineState::kDown;
    span.reason = span.waiting_for;
    for (const auto& cause : machines.at(span.waiting_for)) {
      if (cause.state == MachineState::kDown && Overlap(span, cause) > Duration(0)) {
        span.reason = fmt::format("{}: {}", span.waiting_for, cause.reason);
      }
    }
  }
  return spans;
}

}  // namespace penstock::value
