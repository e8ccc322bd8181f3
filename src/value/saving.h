// What was saved, as a claim that can be checked: hours of unplanned downtime avoided x price, with
// the method's name and an interval. Without a baseline there is no claim.
#pragma once

#include <optional>
#include <string>

#include "value/kpis.h"
#include "value/usecase.h"

namespace penstock::value {

// Downtime observed before the model's alarms were acted upon.
struct Downtime {
  double hours = 0;     // Down.
  double observed = 0;  // Hours of observation.
  uint64_t failures = 0;
};

struct Saving {
  std::string usecase, method, currency, reason;  // `reason`: why there is no figure.
  std::optional<double> hours, low_hours,
      high_hours;                           // Avoided in the time after; may be negative.
  std::optional<double> amount, low, high;  // In `currency`.
  double confidence = 0.9;
  Json ToJson() const;
};

// before-after: the rate of downtime before, applied to the time after, less what was observed
// after. The interval treats downtime as a compound Poisson sum of exponential repairs and adds the
// two variances (normal approximation); with fewer than 3 failures before there is no claim.
// difference-in-differences: the same, less the change that the controls (`control_before`,
// `control_after`) show.
Saving ClaimSaving(const UseCase& use, const Downtime& before, const Downtime& after,
                   const std::optional<Downtime>& control_before,
                   const std::optional<Downtime>& control_after);

}  // namespace penstock::value
