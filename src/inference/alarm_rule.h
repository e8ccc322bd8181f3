// When a prediction becomes an alarm, as models/*.yaml says it: the threshold, the patience, and
// the words.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"

namespace penstock::inference {

// ISA-18.2; "severity" in the file.
enum class Priority { kHigh = 1, kMedium = 2, kLow = 3 };

// alarm: {when: p(bearing_wear) > 0.8, for: 4min, severity: high, ...}; the words go to the alarm
// as written.
struct AlarmRule {
  std::string model;       // "pump-faults"; the model whose predictions are watched.
  std::string condition;   // As written: "p(bearing_wear) > 0.8".
  std::string cause;       // Class of the prediction, and the alarm's cause code: "bearing_wear".
  double threshold = 0.8;  // Probability of `cause`, strictly above.
  double deadband = 0.2;   // Clears below threshold - deadband.
  Duration delay_on{0};    // "for": the condition must hold this long.
  Duration delay_off{0};   // "clear-after": and be gone this long before the alarm clears.
  Priority priority = Priority::kMedium;
  std::string title;  // "cause", for people: "bearing wear"; the class's name without it.
  std::string consequence, response;
  Duration respond_within{0};
  // "suppress: {while: [pump-faults]}", suppression by design (ISA-18.2): while an alarm of one of
  // these models is active on the asset this one is not raised, and one that is open is superseded.
  std::vector<std::string> suppressed_while;
  Duration suppressed_after{0};  // "after": and for so long afterwards; the features' window.
};

}  // namespace penstock::inference
