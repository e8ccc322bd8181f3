// What was really wrong, and when: the log that alarms are judged by afterwards. Nothing of it
// travels over a protocol; only the plant's own crew may look.
//
// Thread rule: one thread at a time, with the Line that writes it.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace penstock::plant {

struct FaultEvent {
  std::string machine, kind;
  Time onset{};          // Of this run: the machine may be worn already.
  Time would_fail_at{};  // If nobody comes.
  double degree_at_onset =
      0;              // Damage 0..1 at `onset`; it grows by the clock to 1 at `would_fail_at`.
  double growth = 1;  // severity = damage ^ growth
  std::optional<Time> failed_at, repair_began, repaired_at;

  double DamageAt(Time time) const;  // 0 outside its life.
  double SeverityAt(Time time) const;
  bool ActiveAt(Time time) const;    // From onset to the begin of the repair.
  std::string_view outcome() const;  // "failed" | "prevented" | "ongoing"
};

struct SensorFaultEvent {
  std::string machine, property, kind;
  Time began{};
  Time would_end_at{};
  std::optional<Time> ended_at;
  bool repaired = false;

  bool ActiveAt(Time time) const;
};

// A stop for repair or inspection.
struct StopEvent {
  std::string machine, reason;  // "repair" | "breakdown" | "inspection"
  Time began{};
  Time ends_at{};
};

// What somebody who opens the machine finds.
struct Inspection {
  bool known = false;  // Such a machine is here.
  std::string fault;   // Kind of a fault that was on between the alarm and now; "": none.
  std::string
      sensor_fault;        // The same for the sensors, and for the twenty minutes before the alarm.
  bool fault_now = false;  // Worsening or failed, repair not begun.
  bool stopped = false;    // In repair or inspection then, or less than 25 minutes before.
};

class Truth {
 public:
  // JSON lines are appended to `path`; "" keeps them in memory alone.
  static Result<std::unique_ptr<Truth>> Open(const std::string& path);
  Truth() = default;
  ~Truth();
  Truth(const Truth&) = delete;
  Truth& operator=(const Truth&) = delete;

  // `fields` get "time" and "event".
  void Write(Time time, std::string_view event, Json fields);

  std::vector<FaultEvent> faults;
  std::vector<SensorFaultEvent> sensor_faults;
  std::vector<StopEvent> stops;
  // By what is recorded; `known` is left to the caller.
  Inspection Inspect(std::string_view machine, Time raised, Time now) const;
  // The newest lines, at most kLinesMax.
  const std::vector<std::string>& lines() const { return lines_; }

  // {"faults": [...], "sensor_faults": [...], "stops": [...]}
  Json ToJson() const;

  static constexpr size_t kLinesMax = 20000;

 private:
  std::vector<std::string> lines_;
  std::FILE* file_ = nullptr;
};

}  // namespace penstock::plant
