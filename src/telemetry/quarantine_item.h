// What the quarantine shows of an entry, asks for and counts.
#pragma once

#include <optional>
#include <string>

#include "telemetry/sample.h"

namespace penstock::telemetry {

// kNoted: a note, no sample to release. Releasing is the moment between a person's word and the
// log's.
enum class QuarantineState { kNoted, kOpen, kReleasing, kReleased, kDiscarded };
std::string_view QuarantineStateName(QuarantineState state);  // "open"
Result<QuarantineState> ParseQuarantineState(std::string_view name);

inline constexpr size_t kQuarantineTextMax = 1000;  // Bytes of a message.
void CutText(std::string& text, size_t max);        // At a character, never inside one (UTF-8).

struct QuarantineItem {
  uint64_t id = 0;  // Rises with time.
  QuarantineEntry entry;
  QuarantineState state = QuarantineState::kNoted;
  // Of a held entry:
  std::string contract;  // "pump@1.2.0"
  Time source_time;      // Of the first row.
  Quality quality = 0;   // As marked.
  uint64_t rows = 0;
  std::optional<double> corrected;
  std::string actor, reason;  // Who released or discarded it, and why.
  std::optional<Time> resolved_at;
};

// Every field that is given must fit.
struct QuarantineFilter {
  std::string contract;  // "pump" or "pump@1.2.0".
  std::string point, rule;
  std::optional<QuarantineState> state;
  std::optional<Time> from, to;  // Of coming into the quarantine: [from, to).
};

// A person's decision about an entry.
struct QuarantineAct {
  std::string actor, reason;
  Time at;
  std::optional<double> value;  // Instead of the one that came; none: as it is.
};

struct ViolationCount {
  std::string contract, point, rule;  // "pump@1.2.0", a path, "maximum".
  uint64_t rows = 0;
  Time last;
};

}  // namespace penstock::telemetry
