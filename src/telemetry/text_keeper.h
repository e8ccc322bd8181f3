// Keeps the table of texts from filling up with texts that nothing stands for any more: what has
// not come for longer than samples are kept may be forgotten (texts.h says when it is). Samples
// that wait in the log for a hub count, however old they are, and so do present values, which may
// have come long ago. What still shows an older text by its code alone, such as a roll-up of last
// year or a sample in the quarantine, shows none then.
//
// Thread rule: one thread at a time.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "storage/durable_log.h"
#include "telemetry/retention_clock.h"
#include "telemetry/texts.h"

namespace penstock::telemetry {

class TextKeeper {
 public:
  static constexpr Duration kEvery = std::chrono::hours(1);

  // All outlive it.
  struct Parts {
    Texts& texts;
    const Clock& clock;
    storage::DurableLog& log;
    std::function<Time(Time now)> kept_from;       // Samples before have been deleted.
    std::function<std::vector<double>()> present;  // Codes of present values; others do no harm.
  };
  explicit TextKeeper(Parts parts);

  void Sweep();  // Cheap unless an hour has passed.

 private:
  Result<size_t> Tidy(Time now);
  Result<Time> OldestInLog(Time none) const;

  const Parts parts_;
  BelievedClock clock_;  // A clock that jumps ahead makes nothing old.
  std::optional<Time> last_;
};

}  // namespace penstock::telemetry
