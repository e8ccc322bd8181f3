// Noise is drawn in every step, lying or not, and lies from a stream of their own: a sensor fault
// changes nothing but its own point. An offset is 4 to 12 % of the instrument's range, as a
// transmitter that lost its calibration; a drift ends there. Spikes hit the end of the scale, as
// interference on an analog loop does, and go a little beyond.
#include "plant/sensor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace penstock::plant {
namespace {

constexpr std::array<SensorFaultKind, 5> kKinds = {{
    {SensorFault::kStuck, "stuck", "The value stands still."},
    {SensorFault::kOffset, "offset", "The value is off by 4 to 12 % of the range."},
    {SensorFault::kDrift, "drift", "The value creeps off."},
    {SensorFault::kSpikes, "spikes",
     "Every fourth reading or so jumps to the end of the scale and beyond."},
    {SensorFault::kDropOut, "drop_out",
     "The sensor gives nothing: error code, bad status or null."},
}};

}  // namespace

std::span<const SensorFaultKind> SensorFaultKinds() { return kKinds; }

double AsItTravels(const PointKind& point, double value) {
  switch (point.encoding) {
    case Encoding::kFloat32:
      return static_cast<double>(static_cast<float>(value));
    case Encoding::kUnsigned:
      return std::clamp(std::round(value / point.step), 0.0, 65535.0) * point.step;
    case Encoding::kSigned:
      return std::clamp(std::round(value / point.step), -32767.0, 32767.0) * point.step;
    case Encoding::kText: {
      const double counts =
          std::round(1 / point.step);  // Dividing gives the double nearest to the decimal text.
      return std::round(value * counts) / counts;
    }
    case Encoding::kInteger:
      return std::round(value);
    case Encoding::kBoolean:
      return value != 0 ? 1 : 0;
    case Encoding::kDouble:
      break;
  }
  return value;
}

double ErrorCode(const PointKind& point) {
  if (point.encoding == Encoding::kUnsigned) return 32768 * point.step;
  if (point.encoding == Encoding::kSigned) return -32768 * point.step;
  return std::numeric_limits<double>::quiet_NaN();
}

Instrument::Instrument(const PointKind& point, const Random& seed)
    : point_(point), noise_(seed.Fork("noise")), lies_(seed.Fork("lies")) {}

void Instrument::BeginFault(SensorFault fault, Time now, Duration length) {
  fault_ = fault;
  since_ = now;
  length_s_ = std::max(1.0, ToSeconds(length));
  bias_ =
      lies_.Uniform(0.04, 0.12) * (point_.maximum - point_.minimum) * (lies_.Chance(0.5) ? 1 : -1);
}

Measured Instrument::Measure(double truth, Time now) {
  if (!can_lie()) return {AsItTravels(point_, truth), false};
  double value = truth + point_.noise * noise_.Normal();
  // What cannot be: a level above full, a negative share. Others may read a little below zero.
  if (point_.minimum == 0) value = std::max(0.0, value);
  if (point_.minimum == 0 && (point_.unit == "%" || point_.unit == "1"))
    value = std::min(value, point_.maximum);
  switch (fault_) {
    case SensorFault::kNone:
      held_ = AsItTravels(point_, value);
      break;
    case SensorFault::kStuck:
      return {held_, false};
    case SensorFault::kOffset:
      value += bias_;
      break;
    case SensorFault::kDrift:
      value += bias_ * std::min(1.0, ToSeconds(now - since_) / length_s_);
      break;
    case SensorFault::kSpikes:
      if (lies_.Chance(0.25))
        value = point_.maximum + lies_.Uniform(-0.05, 0.25) * (point_.maximum - point_.minimum);
      break;
    case SensorFault::kDropOut:
      return {ErrorCode(point_), true};
  }
  return {AsItTravels(point_, value), false};
}

}  // namespace penstock::plant
