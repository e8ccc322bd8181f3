// The history knows samples, not bursts, and its trend has no sum of squares. So the samples are
// read in slices of bounded size, the latest first, as History::Read gives them; each slice is cut
// into bursts and forgotten.
//
// The first burst of a full slice may have begun before it. It is left to the next slice, which
// ends where the second burst begins: a burst is read twice at most and counted once. A burst that
// fills a slice alone is taken as it is, so that every slice gets on.
#include "api/burst_trend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "storage/history_fold.h"
#include "telemetry/window.h"

namespace penstock::api {
namespace {

using storage::HistoryRow;

size_t BurstEnd(std::span<const HistoryRow> rows, size_t begin, Duration gap_max) {
  size_t end = begin + 1;
  while (end < rows.size() && rows[end].time - rows[end - 1].time <= gap_max) ++end;
  return end;
}

// The columns of bursts that one slice yields, for TrendFold.
struct Bursts {
  std::vector<Time> time;
  std::vector<double> rms;
  std::vector<uint32_t> quality;

  void Add(std::span<const HistoryRow> burst, std::vector<double>& values) {
    constexpr uint32_t kBadQuality = 0x80000000;
    values.clear();
    bool usable = true;
    for (const HistoryRow& row : burst) {
      usable = usable && !storage::IsBadQuality(row.quality) && std::isfinite(row.value);
      values.push_back(row.value);
    }
    time.push_back(burst.front().time);
    rms.push_back(usable ? telemetry::MomentsOfBurst(values).rms
                         : std::numeric_limits<double>::quiet_NaN());
    quality.push_back(usable ? 0 : kBadQuality);
  }
};

}  // namespace

Result<std::vector<storage::TrendBucket>> BurstTrend(storage::History& history,
                                                     const std::string& path, double sample_rate_hz,
                                                     Time from, Time to, size_t buckets,
                                                     size_t slice_rows) {
  if (sample_rate_hz <= 0) return InvalidArgument("{} has no sample rate, so no bursts", path);
  if (from >= to || buckets == 0) return InvalidArgument("a trend of nothing: {}", path);
  const Duration gap_max(static_cast<int64_t>(std::ceil(2e6 / sample_rate_hz)));
  storage::TrendFold fold(from, to, buckets);
  std::vector<double> values;
  size_t read = 0;
  for (Time end = to; end > from;) {
    ASSIGN_OR_RETURN(const auto rows, history.Read(path, from, end, slice_rows));
    read += rows.size();
    if (read > kBurstRowsMax) {
      auto error = Error{Code::kOutOfRange, fmt::format("{} has more than {} samples in this range",
                                                        path, kBurstRowsMax)};
      return std::unexpected(error.Fix("ask for a shorter range"));
    }
    const bool more = rows.size() == slice_rows;
    size_t begin = more ? BurstEnd(rows, 0, gap_max) : 0;
    if (begin == rows.size()) begin = 0;  // One burst fills the slice, or there is nothing.
    end = more ? rows[begin].time : from;
    Bursts bursts;
    while (begin < rows.size()) {
      const size_t behind = BurstEnd(rows, begin, gap_max);
      bursts.Add(std::span(rows).subspan(begin, behind - begin), values);
      begin = behind;
    }
    fold.Add(bursts.time, bursts.rms, bursts.quality);
  }
  return fold.Finish();
}

}  // namespace penstock::api
