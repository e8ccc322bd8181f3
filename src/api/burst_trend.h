// The trend of a waveform as people read vibration: the RMS of each burst, folded into the pixels
// of a chart.
#pragma once

#include <string>
#include <vector>

#include "storage/history.h"

namespace penstock::api {

inline constexpr size_t kBurstRowsMax = 16'000'000;  // Samples read for one trend.

// As History::Trend, but a value is the RMS (about the burst's mean) of a whole burst at the time
// of its first sample, and `count` and `bad` count bursts. A burst with a bad sample is bad. A
// burst is a run of samples none more than two spacings after the one before. kOutOfRange when the
// range holds more than kBurstRowsMax samples.
Result<std::vector<storage::TrendBucket>> BurstTrend(storage::History& history,
                                                     const std::string& path, double sample_rate_hz,
                                                     Time from, Time to, size_t buckets,
                                                     size_t slice_rows = 262'144);

}  // namespace penstock::api
