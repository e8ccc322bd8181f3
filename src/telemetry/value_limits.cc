#include "telemetry/value_limits.h"

#include <bit>
#include <cmath>
#include <limits>

namespace penstock::telemetry {
namespace {

constexpr float kUnbounded = std::numeric_limits<float>::infinity();

bool LastBit(float value) { return (std::bit_cast<uint32_t>(value) & 1) != 0; }

}  // namespace

ValueLimit ValueLimit::None() { return For(-kUnbounded, kUnbounded, false, false); }

ValueLimit ValueLimit::For(double low, double high, bool whole, bool closer) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (closer) return {kUnbounded, -kUnbounded};
  // Values beyond what a float holds are suspects, too, unless there is no bound at all.
  ValueLimit limit{static_cast<float>(std::clamp(low, -kLargest, kLargest)),
                   static_cast<float>(std::clamp(high, -kLargest, kLargest))};
  if (static_cast<double>(limit.low) < low) limit.low = std::nextafter(limit.low, kUnbounded);
  if (static_cast<double>(limit.high) > high) limit.high = std::nextafter(limit.high, -kUnbounded);
  if (!whole && low == -kInfinite) limit.low = -kUnbounded;
  if (high == kInfinite) limit.high = kUnbounded;
  // Outward where no whole number lies between, so that 0 of 0..1 is no suspect.
  if (LastBit(limit.low) != whole)
    limit.low =
        std::nextafter(limit.low, whole && std::abs(low) < (1 << 23) ? -kUnbounded : kUnbounded);
  return limit;
}

bool ValueLimit::MoreThanRange() const { return low > high || LastBit(low); }

bool ValueLimit::Suspect(double value) const {
  const bool inside = value >= static_cast<double>(low) && value <= static_cast<double>(high);
  return !inside || (LastBit(low) && std::nearbyint(value) != value);
}

}  // namespace penstock::telemetry
