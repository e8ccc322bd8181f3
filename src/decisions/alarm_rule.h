// When a prediction becomes an alarm: the threshold, the patience, and the words.
#pragma once

#include <string>

#include "base/clock.h"
#include "decisions/alarm.h"

namespace penstock::decisions {

struct AlarmRule {
  std::string model;       // "pump-faults"; the model whose predictions are watched.
  std::string condition;   // As written: "p(bearing_wear) > 0.8".
  std::string cause;       // Class of the prediction, and the alarm's cause code: "bearing_wear".
  double threshold = 0.8;  // Probability of `cause`, strictly above.
  double deadband = 0.2;   // Clears below threshold - deadband.
  Duration delay_on{0};    // The condition must hold this long ("for").
  Duration delay_off{0};   // And be gone this long before the alarm clears.
  Priority priority = Priority::kMedium;
  std::string title;  // "bearing wear"; the alarm reads "Bearing wear on Pump 7".
  std::string consequence, response;
  Duration respond_within{0};
  bool suppressed_by_others =
      false;  // Not raised while another alarm of the same thing is active (ISA-18.2 H).
};

}  // namespace penstock::decisions
