// Rows folded as they come: into the pixel columns of a trend, and into the
// coverage of a point. Order does not matter to the result, but rows sorted by
// time are folded fastest.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "storage/history.h"

namespace penstock::storage {

// A sample counts as bad by the top two bits of its OPC UA status code.
inline bool IsBadQuality(uint32_t quality) { return (quality >> 30) >= 2; }

// Stretches of time [from, to), in order and apart.
struct TimeSpan {
  Time from, to;
};

// A step of a rollup, or rows folded into one: all but the counts are over rows
// that are neither bad nor NaN, and NaN when there is none.
struct RollupStep {
  Time time;  // The step's begin.
  int64_t count = 0, bad = 0, good = 0;
  double min = 0, max = 0, sum = 0, first = 0, last = 0;
  Time first_time,
      last_time;  // Of the rows that count; the step's begin when there is none.
};

class TrendFold {
 public:
  TrendFold(Time from, Time to, size_t buckets);
  // Buckets of `step` from `origin`, which is not after `from`.
  TrendFold(Time from, Time to, Time origin, Duration step);
  // Whole parts of the buckets within [from, to): spans that no bucket's
  // boundary cuts.
  std::vector<TimeSpan> Spans() const;
  // A step that lies within one bucket.
  void AddStep(const RollupStep& step);
  // Rows outside [from, to) are left out.
  void Add(std::span<const Time> time, std::span<const double> value,
           std::span<const uint32_t> quality);
  std::vector<TrendBucket> Finish() const;  // Those with at least one sample.

 private:
  struct Bucket {
    Time first_time = Time::max(), last_time = Time::min();
    double first = 0, last = 0, sum = 0;
    double min = std::numeric_limits<double>::infinity(), max = -min;
    uint64_t good = 0, count = 0, bad = 0;
  };
  static void AddTo(Bucket& bucket, std::span<const Time> time, std::span<const double> value,
                    std::span<const uint32_t> quality);

  Time from_, to_, origin_;
  int64_t step_us_;
  std::vector<Bucket> buckets_;
};

Time FloorTo(Time time,
             Duration grain);  // To a multiple of `grain` since 1970, down.

// Parts every span into what is made of whole steps of `grain` and what is left
// at its ends. Neighbours are joined in `whole`.
void SplitSpans(std::span<const TimeSpan> spans, Duration grain, std::vector<TimeSpan>& whole,
                std::vector<TimeSpan>& rest);

// Adds rows sorted by time to steps that are sorted too, the last one perhaps
// unfinished.
void FoldSteps(Duration grain, std::span<const Time> time, std::span<const double> value,
               std::span<const uint32_t> quality, std::vector<RollupStep>& steps);
void MergeStep(RollupStep& into, const RollupStep& other);  // Of the same step.

class CoverageFold {
 public:
  CoverageFold(Time from, Time to) : from_(from), to_(to) {}
  void Add(std::span<const Time> time, std::span<const uint32_t> quality);
  History::Coverage Finish(const std::string& path) const;

 private:
  Time from_, to_;
  History::Coverage coverage_;
  std::vector<bool> minutes_;  // From first_minute_ on.
  int64_t first_minute_ = 0, last_good_minute_ = INT64_MIN;
};

}  // namespace penstock::storage
