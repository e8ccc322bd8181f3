// Time as a value handed to each room, so that a test can hold it still and a simulated plant can
// hurry it.
//
// Times are UTC with microseconds. Steady waiting (socket time-outs, poll intervals) uses
// std::chrono directly: it is about real sockets, not about what happened when.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock {

using Duration = std::chrono::microseconds;
using Time = std::chrono::sys_time<Duration>;

inline int64_t ToMicros(Time time) { return time.time_since_epoch().count(); }
inline Time FromMicros(int64_t micros) { return Time(Duration(micros)); }
inline double ToSeconds(Duration duration) { return static_cast<double>(duration.count()) * 1e-6; }
inline Duration FromSeconds(double seconds) {
  return Duration(static_cast<int64_t>(seconds * 1e6));
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  // Simulated seconds per real second; 1 except with a simulated plant.
  virtual double Speed() const { return 1.0; }
};

class SystemClock final : public Clock {
 public:
  Time Now() const override;
};

// Runs `speed` times as fast as real time from `origin`, for a plant in time-lapse. Thread-safe.
class ScaledClock final : public Clock {
 public:
  ScaledClock(Time origin, double speed);
  // For several processes that share one time: simulated `origin` was at the real time `anchor`.
  ScaledClock(Time origin, double speed, Time anchor);
  Time Now() const override;
  double Speed() const override { return speed_; }
  Time origin() const { return origin_; }
  Time anchor() const { return anchor_; }

 private:
  Time origin_;
  double speed_;
  Time anchor_;  // Real (system) time at which simulated time was origin_.
};

// Moves only when told. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time now) : now_(ToMicros(now)) {}
  Time Now() const override { return FromMicros(now_.load(std::memory_order_relaxed)); }
  void Set(Time now) { now_.store(ToMicros(now), std::memory_order_relaxed); }
  void Advance(Duration by) { now_.fetch_add(by.count(), std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> now_;
};

// RFC 3339 in UTC with microseconds: "2026-01-31T08:00:00.000000Z".
std::string FormatTime(Time time);
// Accepts RFC 3339 with any offset and 0 to 9 fractional digits, years 1970 to 2261.
Result<Time> ParseTime(std::string_view text);

// "250ms", "10s", "5min" (also "5m"), "8h", "90d", "2y" (365 days); a sum like "1h30min" too.
Result<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);  // The shortest such text: "1h30min".

}  // namespace penstock
