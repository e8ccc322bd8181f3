// Alarms after ISA-18.2 / IEC 62682, what led to them, and what a human said.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "inference/alarm_rule.h"
#include "inference/prediction.h"

namespace penstock::decisions {

enum class AlarmState {     // ISA-18.2 figure 7, by its letters.
  kNormal,                  // A
  kUnacknowledged,          // B: active, nobody has answered
  kAcknowledged,            // C: active, answered
  kReturnedUnacknowledged,  // D: cleared by itself before an answer
  kShelved,                 // G, with expiry
  kSuppressed,              // H, by design
  kOutOfService,            // I
};
std::string_view AlarmStateName(AlarmState state);  // "active_unacknowledged", "cleared", ...

using inference::Priority;

enum class VerdictKind {
  kTrueFault,
  kKnownOrPlanned,
  kSensorFault,
  kFalseAlarm,
  kModeChange,
  kUnsure
};
std::string_view VerdictKindName(VerdictKind kind);  // "true_fault", "known_or_planned", ...
Result<VerdictKind> ParseVerdictKind(std::string_view name);

struct Verdict {
  VerdictKind kind = VerdictKind::kUnsure;
  std::string code;  // Fault code for kTrueFault: "bearing_wear".
  std::string note;
  std::string actor;  // User name.
  Time at;
};

// Everything that led to one alarm, stored when it is raised.
struct DecisionRecord {
  TraceId trace;
  inference::Prediction prediction;
  Json features;     // [{name, value, unit, good_samples, all_samples}]
  Json samples;      // [{point, path, count, bad, contract, from, to}]
  std::string rule;  // "p(bearing_wear) > 0.8 for 30s"
};

struct Alarm {
  std::string id;  // "A-1042"
  TraceId trace;
  std::string thing, asset;
  std::string cause;        // Code: "bearing_wear", "unknown_anomaly", "sensor_flat_line".
  std::string title;        // "Bearing wear on Pump 7"
  std::string consequence;  // "seizure within 4 to 9 days"
  std::string response;     // "plan replacement"
  Duration respond_within{0};
  Priority priority = Priority::kMedium;
  AlarmState state = AlarmState::kNormal;
  Time raised, last_change;
  std::optional<Time> acknowledged_at, cleared_at, shelved_until, seen_at;
  std::string acknowledged_by;
  double confidence = 0;  // The prediction's probability.
  double confidence_low = 0, confidence_high = 0;
  std::string model;                             // "pump-faults@3"
  std::vector<inference::Contribution> because;  // Top contributions.
  std::optional<Verdict> verdict;
  std::vector<std::string>
      suppressed_while;       // Models whose alarms on the asset supersede this one.
  std::string superseded_by;  // "A-1043" did: nothing is left to be answered here.
  Json ToJson() const;        // As served by /api/v1/alarms.
};

Json ToJson(const Verdict& verdict);
Json ToJson(const inference::Contribution& contribution);

}  // namespace penstock::decisions
