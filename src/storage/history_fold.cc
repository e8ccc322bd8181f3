#include "storage/history_fold.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace penstock::storage {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

}  // namespace

Time FloorTo(Time time, Duration grain) {
  const int64_t at = ToMicros(time), step = grain.count();
  return FromMicros(at - ((at % step) + step) % step);
}

TrendFold::TrendFold(Time from, Time to, size_t buckets) : from_(from), to_(to), origin_(from) {
  CHECK(from < to && buckets > 0);
  const int64_t span = (to - from).count(), count = static_cast<int64_t>(buckets);
  step_us_ = span / count + (span % count != 0 ? 1 : 0);
  buckets_.resize(static_cast<size_t>((span - 1) / step_us_ + 1));
}

TrendFold::TrendFold(Time from, Time to, Time origin, Duration step)
    : from_(from), to_(to), origin_(origin), step_us_(step.count()) {
  CHECK(origin <= from && from < to && step > Duration(0));
  buckets_.resize(static_cast<size_t>(((to - origin).count() - 1) / step_us_ + 1));
}

std::vector<TimeSpan> TrendFold::Spans() const {
  std::vector<TimeSpan> spans;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const Time begin = origin_ + Duration(static_cast<int64_t>(i) * step_us_);
    const TimeSpan span{std::max(begin, from_), std::min(begin + Duration(step_us_), to_)};
    if (span.from < span.to) spans.push_back(span);
  }
  return spans;
}

void TrendFold::AddStep(const RollupStep& step) {
  if (step.time < from_ || step.time >= to_) return;
  Bucket& b = buckets_[static_cast<size_t>((step.time - origin_).count() / step_us_)];
  b.count += static_cast<uint64_t>(step.count);
  b.bad += static_cast<uint64_t>(step.bad);
  if (step.good == 0) return;
  b.good += static_cast<uint64_t>(step.good);
  b.sum += step.sum;
  b.min = std::min(b.min, step.min);
  b.max = std::max(b.max, step.max);
  if (step.first_time < b.first_time) b.first_time = step.first_time, b.first = step.first;
  if (step.last_time >= b.last_time) b.last_time = step.last_time, b.last = step.last;
}

void TrendFold::Add(std::span<const Time> time, std::span<const double> value,
                    std::span<const uint32_t> quality) {
  for (size_t i = 0; i < time.size();) {
    if (time[i] < from_ || time[i] >= to_) {
      ++i;
      continue;
    }
    // Most rows fall into the bucket of their predecessor: they are taken as
    // one stretch.
    const int64_t at = (time[i] - origin_).count() / step_us_;
    const Time begin = std::max(origin_ + Duration(at * step_us_), from_),
               end = std::min(origin_ + Duration((at + 1) * step_us_), to_);
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
    TrendBucket out{.from = origin_ + Duration(static_cast<int64_t>(i) * step_us_),
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

void SplitSpans(std::span<const TimeSpan> spans, Duration grain, std::vector<TimeSpan>& whole,
                std::vector<TimeSpan>& rest) {
  const int64_t step = grain.count();
  for (const TimeSpan& span : spans) {
    const Time begin = FloorTo(span.from + Duration(step - 1), grain),
               end = FloorTo(span.to, grain);
    if (begin >= end) {
      rest.push_back(span);
      continue;
    }
    if (span.from < begin) rest.push_back({span.from, begin});
    if (!whole.empty() && whole.back().to == begin) {
      whole.back().to = end;
    } else {
      whole.push_back({begin, end});
    }
    if (end < span.to) rest.push_back({end, span.to});
  }
}

void MergeStep(RollupStep& into, const RollupStep& other) {
  into.count += other.count;
  into.bad += other.bad;
  if (other.good == 0) return;
  if (into.good == 0) {
    const auto count = into.count, bad = into.bad;
    into = other;
    into.count = count;
    into.bad = bad;
    return;
  }
  into.good += other.good;
  into.sum += other.sum;
  into.min = std::min(into.min, other.min);
  into.max = std::max(into.max, other.max);
  if (other.first_time < into.first_time)
    into.first_time = other.first_time, into.first = other.first;
  if (other.last_time >= into.last_time) into.last_time = other.last_time, into.last = other.last;
}

void FoldSteps(Duration grain, std::span<const Time> time, std::span<const double> value,
               std::span<const uint32_t> quality, std::vector<RollupStep>& steps) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < time.size();) {
    const Time begin = FloorTo(time[i], grain), end = begin + grain;
    RollupStep s{.time = begin, .min = kInfinity, .max = -kInfinity};
    for (; i < time.size() && time[i] < end; ++i) {
      ++s.count;
      const bool bad = IsBadQuality(quality[i]);
      s.bad += bad ? 1 : 0;
      const double v = value[i];
      if (bad || !std::isfinite(v)) continue;
      if (s.good++ == 0) s.first = v, s.first_time = time[i];
      s.last = v;
      s.last_time = time[i];
      s.sum += v;
      s.min = v < s.min ? v : s.min;
      s.max = v > s.max ? v : s.max;
    }
    if (s.good == 0) {
      s.min = s.max = s.sum = s.first = s.last = kNothing;
      s.first_time = s.last_time = begin;
    }
    if (!steps.empty() && steps.back().time == begin) {
      MergeStep(steps.back(), s);
    } else {
      steps.push_back(s);
    }
  }
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
