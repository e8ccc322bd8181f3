#include "storage/history_fold.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace penstock::storage {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

}  // namespace

TrendFold::TrendFold(Time from, Time to, size_t buckets) : from_(from), to_(to) {
  CHECK(from < to && buckets > 0);
  const int64_t span = (to - from).count(), count = static_cast<int64_t>(buckets);
  step_us_ = span / count + (span % count != 0 ? 1 : 0);
  buckets_.resize(static_cast<size_t>((span - 1) / step_us_ + 1));
}

void TrendFold::Add(std::span<const Time> time, std::span<const double> value,
                    std::span<const uint32_t> quality) {
  for (size_t i = 0; i < time.size();) {
    if (time[i] < from_ || time[i] >= to_) {
      ++i;
      continue;
    }
    // Most rows fall into the bucket of their predecessor: they are taken as one stretch.
    const int64_t at = (time[i] - from_).count() / step_us_;
    const Time begin = from_ + Duration(at * step_us_),
               end = std::min(begin + Duration(step_us_), to_);
    size_t behind = i + 1;
    while (behind < time.size() && time[behind] >= begin && time[behind] < end) ++behind;
    AddTo(buckets_[static_cast<size_t>(at)], time.subspan(i, behind - i),
          value.subspan(i, behind - i), quality.subspan(i, behind - i));
    i = behind;
  }
}

void TrendFold::AddTo(Bucket& bucket, std::span<const Time> time, std::span<const double> value,
                      std::span<const uint32_t> quality) {
  Bucket b = bucket;  // In registers.
  b.count += time.size();
  for (size_t i = 0; i < time.size(); ++i) {
    const double v = value[i];
    const bool is_bad = IsBadQuality(quality[i]);
    b.bad += is_bad ? 1 : 0;
    if (is_bad || !std::isfinite(v)) continue;
    ++b.good;
    b.sum += v;
    b.min = v < b.min ? v : b.min;
    b.max = v > b.max ? v : b.max;
    if (time[i] < b.first_time) b.first_time = time[i], b.first = v;
    if (time[i] >= b.last_time) b.last_time = time[i], b.last = v;
  }
  bucket = b;
}

std::vector<TrendBucket> TrendFold::Finish() const {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  std::vector<TrendBucket> trend;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const Bucket& bucket = buckets_[i];
    if (bucket.count == 0) continue;
    TrendBucket out{.from = from_ + Duration(static_cast<int64_t>(i) * step_us_),
                    .first = kNothing,
                    .min = kNothing,
                    .max = kNothing,
                    .last = kNothing,
                    .mean = kNothing,
                    .count = bucket.count,
                    .bad = bucket.bad,
                    .good = bucket.good};
    if (bucket.good > 0) {
      out.first = bucket.first;
      out.min = bucket.min;
      out.max = bucket.max;
      out.last = bucket.last;
      out.mean = bucket.sum / static_cast<double>(bucket.good);
    }
    trend.push_back(out);
  }
  return trend;
}

void CoverageFold::Add(std::span<const Time> time, std::span<const uint32_t> quality) {
  for (size_t i = 0; i < time.size(); ++i) {
    const Time t = time[i];
    if (t < from_ || t >= to_) continue;
    if (coverage_.count++ == 0) coverage_.first = coverage_.last = t;
    coverage_.first = std::min(coverage_.first, t);
    coverage_.last = std::max(coverage_.last, t);
    if (IsBadQuality(quality[i])) ++coverage_.bad;
    // "Good" here is the status code's own word: neither bad nor uncertain.
    const int64_t minute = ToMicros(t) / kMinuteUs;
    if ((quality[i] >> 30) != 0 || minute == last_good_minute_) continue;
    last_good_minute_ = minute;
    if (minutes_.empty()) first_minute_ = minute;
    if (minute < first_minute_) {
      minutes_.insert(minutes_.begin(), static_cast<size_t>(first_minute_ - minute), false);
      first_minute_ = minute;
    }
    const auto at = static_cast<size_t>(minute - first_minute_);
    if (at >= minutes_.size()) minutes_.resize(at + 1);
    minutes_[at] = true;
  }
}

History::Coverage CoverageFold::Finish(const std::string& path) const {
  History::Coverage coverage = coverage_;
  coverage.path = path;
  coverage.minutes_present =
      static_cast<uint64_t>(std::count(minutes_.begin(), minutes_.end(), true));
  return coverage;
}

}  // namespace penstock::storage
