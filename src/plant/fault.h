// The life of one machine between faults: healthy, worsening, failed, in repair; drawn from the
// seed.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/random.h"
#include "plant/machine.h"
#include "plant/truth.h"

namespace penstock::plant {

// How often things go wrong; times in plant hours.
struct FaultRates {
  double healthy_hours = 1.2;  // Mean from one repair to the next onset; 0: no machine faults.
  double healthy_hours_min = 1.0 / 3;
  double sensor_fault_hours = 1.6;  // Mean between sensor faults of the whole line; 0: none.
  // One machine begins worn, so that there is something to see soon.
  bool early_fault = true;
  // Without a crew: chance that a worsening machine is repaired in time, at 40 to 98 % of its life.
  double repair_chance = 0;
};

class FaultLife {
 public:
  FaultLife(Machine& machine, const Random& seed, const FaultRates& rates, Time start, bool early,
            Truth& truth);

  // What the physics sees at `now`; called once a step.
  Condition Advance(Time now);

  bool faulty() const { return fault_ >= 0; }  // Worsening or failed, repair not begun.
  bool down() const { return failed_ || repair_ends_.has_value(); }
  bool in_repair() const { return repair_ends_.has_value(); }
  const FaultEvent* current() const;  // nullptr when healthy.

  // A crew comes: `length` of stop; what is worn is mended. What has failed takes longer. Nothing
  // happens while a repair is going on.
  void BeginRepair(Time now, Duration length, std::string_view reason);

 private:
  void Begin(Time now);
  void Fail(Time now);
  void EndRepair(Time now);
  void PlanNext(Time from);

  Machine& machine_;
  Random random_;
  FaultRates rates_;
  Truth& truth_;
  bool early_;
  Time next_onset_{};
  int fault_ = -1;
  bool failed_ = false;
  size_t event_ = 0;  // In truth_.faults, while fault_ >= 0 or in repair of it.
  bool mends_fault_ = false;
  std::optional<Time> repair_at_;  // Planned: breakdown, or the history's own crew.
  std::optional<Time> repair_ends_;
  Duration planned_length_{0}, breakdown_length_{0};  // Drawn with the fault.
};

}  // namespace penstock::plant
