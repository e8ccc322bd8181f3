// The state machine of ISA-18.2-2016 (IEC 62682:2022) figure "alarm state transition", without side
// effects.
#pragma once

#include <optional>

#include "decisions/alarm.h"

namespace penstock::decisions {

enum class AlarmEvent {
  kRaise,        // The condition holds, delay passed.
  kClear,        // The condition is gone, delay passed.
  kAcknowledge,  // An operator answered.
  kShelve,
  kUnshelve,  // By hand or by expiry.
  kSuppress,
  kUnsuppress,
  kRemove,     // Out of service.
  kReturn,     // Back in service.
  kSupersede,  // An alarm that says more took its place; nothing is left to be answered.
};

// The next state, or nothing when the event means nothing in this state. `condition_active` and
// `answered` are needed to leave shelved, suppressed and out of service: the alarm comes back to
// where it would be by now.
std::optional<AlarmState> NextState(AlarmState state, AlarmEvent event, bool condition_active,
                                    bool answered);

// Active: the process condition is shown as abnormal (B or C).
bool IsActive(AlarmState state);
// Open: a human still has something to look at (everything but normal).
bool IsOpen(AlarmState state);

}  // namespace penstock::decisions
