// Which time to delete by. A wall clock that is suddenly years ahead (a flat battery, a wrong time
// server) must not delete the whole history at once: time that nobody saw pass is believed only
// after it has stood for a day of steady time, and said so meanwhile. A clock that goes back
// deletes nothing anyway.
//
// Thread rule: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"
#include "base/log.h"

namespace penstock::telemetry {

class RetentionClock {
 public:
  using Steady = std::chrono::steady_clock;
  static constexpr Duration kUnseenMax = std::chrono::days(2);  // Believed at once: a long weekend.
  static constexpr auto kDoubtFor = std::chrono::hours(24);

  // A wall time that was surely seen: the ingest time of a stored row of an earlier life.
  void Remember(Time seen) { seen_ = std::max(seen_.value_or(seen), seen); }

  // `now` of the wall clock, or an earlier time while it is in doubt.
  Time Believe(Time now, Steady::time_point steady) {
    if (!seen_) seen_ = now;
    const auto passed =
        asked_ ? std::chrono::duration_cast<Duration>(steady - *asked_) : Duration(0);
    const Time expected = *seen_ + passed;
    if (now > expected + kUnseenMax) {
      if (!doubted_since_) doubted_since_ = steady;
      if (steady - *doubted_since_ < kDoubtFor) {
        LogSometimes(LogLevel::kWarn, "retention clock",
                     "the clock says " + FormatTime(now) + ", expected about " +
                         FormatTime(expected) + ": nothing is deleted by it for a day");
        return expected;
      }
    }
    doubted_since_.reset();
    asked_ = steady;
    seen_ = now;
    return now;
  }

 private:
  std::optional<Time> seen_;
  std::optional<Steady::time_point> asked_, doubted_since_;
};

// The same as a clock for who deletes by age elsewhere; one thread.
class BelievedClock final : public Clock {
 public:
  explicit BelievedClock(const Clock& clock) : clock_(clock) {}
  void Remember(Time seen) { believed_.Remember(seen); }
  Time Now() const override {
    return believed_.Believe(clock_.Now(), std::chrono::steady_clock::now());
  }

 private:
  const Clock& clock_;
  mutable RetentionClock believed_;
};

}  // namespace penstock::telemetry
