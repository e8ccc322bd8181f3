#include "expiry.h"

#include "base/log.h"

namespace penstock {

Result<decisions::Expired> Expiry::Forget(Time before, const std::vector<std::string>& kept) {
  TRY(value_.Expire(before, kept));
  return alarms_.Expire(before, kept);
}

void Expiry::Sweep() {
  const Time now = clock_.Now();
  if (last_ && now - *last_ < kEvery) return;
  const Time before = now - retain_;
  const auto kept = labels_.TracesSince(before);
  const auto gone =
      kept ? Forget(before, *kept) : Result<decisions::Expired>(std::unexpected(kept.error()));
  if (!gone) {
    LogSometimes(LogLevel::kWarn, "expiry", "not expired: " + gone.error().ToString());
    last_ = now;  // Again in an hour.
    return;
  }
  if (gone->alarms > 0)
    LogInfo("expired: {} alarms, {} decisions, {} steps until {}", gone->alarms, gone->decisions,
            gone->steps, FormatTime(before));
  if (static_cast<size_t>(gone->alarms) < decisions::kExpireMax) last_ = now;
}

}  // namespace penstock
