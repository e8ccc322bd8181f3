// An instrument between the truth of a point and what is reported: noise, its own faults, and the
// rounding of the way the value travels.
#pragma once

#include <optional>

#include "base/random.h"
#include "plant/machine.h"

namespace penstock::plant {

enum class SensorFault { kNone, kStuck, kOffset, kDrift, kSpikes, kDropOut };

struct SensorFaultKind {
  SensorFault fault;
  std::string_view name;  // "stuck"
  std::string_view summary;
};
std::span<const SensorFaultKind> SensorFaultKinds();

struct Measured {
  double value =
      0;  // As a client sees it after scaling; while `lost`, the device's error code or NaN.
  bool lost = false;  // The sensor gives nothing.
};

// The value after its way over the wire: float32, counts, decimals. Outside what fits: clamped.
double AsItTravels(const PointKind& point, double value);
// What a client sees of a lost sensor: 0x8000 in a register, NaN elsewhere.
double ErrorCode(const PointKind& point);

class Instrument {
 public:
  Instrument(const PointKind& point, const Random& seed);

  const PointKind& point() const { return point_; }
  bool can_lie() const { return point_.noise > 0; }
  bool lying() const { return fault_ != SensorFault::kNone; }
  // `length`: how long a drift takes to its end.
  void BeginFault(SensorFault fault, Time now, Duration length);
  void EndFault() { fault_ = SensorFault::kNone; }

  Measured Measure(double truth, Time now);  // Once a step.

 private:
  const PointKind& point_;
  Random noise_, lies_;
  SensorFault fault_ = SensorFault::kNone;
  Time since_{};
  double length_s_ = 1;
  double bias_ = 0;  // kOffset, kDrift: in the point's unit.
  double held_ = 0;  // kStuck; the last honest reading.
};

}  // namespace penstock::plant
