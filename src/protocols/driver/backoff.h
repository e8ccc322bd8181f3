// How long to wait before the next attempt: doubling from 250 ms to 30 s, each with up to a quarter
// of jitter so that a hundred devices behind one failed switch do not come back in one instant.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>

#include "base/random.h"

namespace penstock::protocols {

class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{250}, kLongest{30'000};

  // `name` (a device's address) decides the jitter: the same device waits the same times in every
  // run.
  explicit Backoff(std::string_view name) : random_(Random(0x9E37).Fork(name)) {}

  std::chrono::milliseconds Next() {
    const auto base = std::min(kLongest, kFirst * (1 << std::min(failures_, 10)));
    ++failures_;
    const double jittered = static_cast<double>(base.count()) * random_.Uniform(0.75, 1.0);
    return std::chrono::milliseconds(static_cast<int64_t>(jittered));
  }
  void Reset() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  Random random_;
  int failures_ = 0;
};

}  // namespace penstock::protocols
