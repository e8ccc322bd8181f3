#include "decisions/alarm_state.h"

namespace penstock::decisions {
namespace {

using enum AlarmState;

// Where an alarm stands that nobody hides.
AlarmState Visible(bool condition_active, bool answered) {
  if (condition_active) return answered ? kAcknowledged : kUnacknowledged;
  return answered ? kNormal : kReturnedUnacknowledged;
}

bool IsHidden(AlarmState state) {
  return state == kShelved || state == kSuppressed || state == kOutOfService;
}

}  // namespace

bool IsActive(AlarmState state) { return state == kUnacknowledged || state == kAcknowledged; }
bool IsOpen(AlarmState state) { return state != kNormal; }

std::optional<AlarmState> NextState(AlarmState state, AlarmEvent event, bool condition_active,
                                    bool answered) {
  switch (event) {
    case AlarmEvent::kRaise:
      if (state == kNormal || state == kReturnedUnacknowledged) return kUnacknowledged;
      return std::nullopt;
    case AlarmEvent::kClear:
      if (state == kUnacknowledged) return kReturnedUnacknowledged;
      if (state == kAcknowledged) return kNormal;
      return std::nullopt;
    case AlarmEvent::kAcknowledge:
      if (state == kUnacknowledged) return kAcknowledged;
      if (state == kReturnedUnacknowledged) return kNormal;
      return std::nullopt;
    case AlarmEvent::kShelve:
      if (!IsHidden(state) && state != kNormal) return kShelved;
      return std::nullopt;
    case AlarmEvent::kUnshelve:
      if (state == kShelved) return Visible(condition_active, answered);
      return std::nullopt;
    case AlarmEvent::kSuppress:
      if (!IsHidden(state)) return kSuppressed;
      return std::nullopt;
    case AlarmEvent::kUnsuppress:
      if (state == kSuppressed) return Visible(condition_active, answered);
      return std::nullopt;
    case AlarmEvent::kRemove:
      if (state != kOutOfService) return kOutOfService;
      return std::nullopt;
    case AlarmEvent::kReturn:
      if (state == kOutOfService) return Visible(condition_active, answered);
      return std::nullopt;
    case AlarmEvent::kSupersede:
      if (state != kNormal && state != kOutOfService) return kNormal;
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace penstock::decisions
