// What is older than site.yaml's `retain: decisions` goes: closed alarms with their decision
// records, chains and what KPIs know of them. Labels stay for ever, and what a label of that time
// speaks of stays with it.
//
// Thread rule: one thread at a time.
#pragma once

#include <optional>

#include "base/clock.h"
#include "decisions/alarms.h"
#include "learning/labels.h"
#include "value_flow.h"

namespace penstock {

class Expiry {
 public:
  static constexpr Duration kEvery = std::chrono::hours(1);  // Of the node's time.

  // All outlive it.
  Expiry(Duration retain_decisions, const Clock& clock, decisions::Alarms& alarms,
         const learning::Labels& labels, ValueFlow& value)
      : retain_(retain_decisions), clock_(clock), alarms_(alarms), labels_(labels), value_(value) {}

  // Cheap unless an hour has passed; then deletes a bounded number, and the rest at the next calls.
  void Sweep();

 private:
  Result<decisions::Expired> Forget(Time before, const std::vector<std::string>& kept);

  const Duration retain_;
  const Clock& clock_;
  decisions::Alarms& alarms_;
  const learning::Labels& labels_;
  ValueFlow& value_;
  std::optional<Time> last_;
};

}  // namespace penstock
