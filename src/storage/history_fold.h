// Rows folded as they come: into the pixel columns of a trend, and into the coverage of a point.
// Order does not matter to the result, but rows sorted by time are folded fastest.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "storage/history.h"

namespace penstock::storage {

// A sample counts as bad by the top two bits of its OPC UA status code.
inline bool IsBadQuality(uint32_t quality) { return (quality >> 30) >= 2; }

class TrendFold {
 public:
  TrendFold(Time from, Time to, size_t buckets);
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

  Time from_, to_;
  int64_t step_us_;
  std::vector<Bucket> buckets_;
};

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
