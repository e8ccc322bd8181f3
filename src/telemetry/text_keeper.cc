#include "telemetry/text_keeper.h"

#include <algorithm>

#include "base/log.h"
#include "telemetry/batch_codec.h"

namespace penstock::telemetry {
namespace {

using std::chrono::days;

// The file's days are one behind at most; one more for a clock that is set back a little.
constexpr uint32_t kDaysMargin = 2;

uint32_t DayOf(Time time) {
  const auto day = std::chrono::floor<days>(time).time_since_epoch().count();
  return static_cast<uint32_t>(std::max<int64_t>(day, 1));
}

}  // namespace

TextKeeper::TextKeeper(Parts parts) : parts_(std::move(parts)), clock_(parts_.clock) {
  if (const uint32_t newest = parts_.texts.newest_day(); newest != 0)
    clock_.Remember(Time(days(newest)));
}

// When the first row that is still in the log came.
Result<Time> TextKeeper::OldestInLog(Time none) const {
  Result<Time> oldest = none;
  TRY(parts_.log.Read(parts_.log.begin(), [&](uint64_t, ByteView record) {
    const auto batch = DecodeBatch(record);
    if (!batch)
      oldest = std::unexpected(batch.error());
    else if (!batch->empty())
      oldest = std::min(none, batch->ingest_time.front());
    return false;
  }));
  return oldest;
}

Result<size_t> TextKeeper::Tidy(Time now) {
  if (!parts_.texts.pressed()) return parts_.texts.Tidy(DayOf(now), 0, {});
  ASSIGN_OR_RETURN(const Time from, OldestInLog(parts_.kept_from(now)));
  const uint32_t day = DayOf(from);
  return parts_.texts.Tidy(DayOf(now), day - std::min(day, kDaysMargin), parts_.present());
}

void TextKeeper::Sweep() {
  const Time now = clock_.Now();
  if (last_ && now - *last_ < kEvery) return;
  last_ = now;
  const auto forgotten = Tidy(now);
  if (!forgotten)
    return LogSometimes(LogLevel::kWarn, "texts",
                        "the table of texts is not tidied: " + forgotten.error().ToString());
  if (*forgotten > 0)
    LogInfo("texts: {} that no sample has any more are forgotten, {} are left", *forgotten,
            parts_.texts.size());
}

}  // namespace penstock::telemetry
