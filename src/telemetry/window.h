// The last minutes of one point, by source time, and what can be said about them in one number.
//
// Scalar points keep their samples; waveforms keep one summary per burst (RMS, crest, kurtosis,
// bands), the samples themselves are let go. Bad and stale samples are counted, not used. Thread
// rule: one thread.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "telemetry/feature.h"
#include "telemetry/sample.h"
#include "telemetry/spectrum.h"

namespace penstock::telemetry {

// Good and uncertain samples are used, bad and stale (Uncertain_LastUsableValue) ones are not.
inline bool IsUsable(Quality quality) {
  return IsGood(quality) || (IsUncertain(quality) && quality != kUncertainLastUsableValue);
}

// Moments of a list of values in one place. NaN where the values do not give one (kurtosis of a
// constant).
struct Moments {
  size_t count = 0;
  double mean = 0, min = 0, max = 0, last = 0;
  double deviation = 0;  // With n - 1.
  double rms = 0;        // Of a waveform: after removing the mean.
  double crest = 0;      // Largest magnitude / rms.
  double kurtosis = 0;   // m4 / m2^2: 3 for a normal distribution.
};
Moments MomentsOf(std::span<const double> values);
Moments MomentsOfBurst(std::span<const double> values);

struct WindowCounts {
  uint32_t good = 0, all = 0;  // Samples (of a waveform: its samples, not its bursts).
  Time first{}, last{};  // Source times of the first and last sample; equal to Time{} when all = 0.
};

class PointWindow {
 public:
  // `bands` in Hz, for waveforms. sample_rate_hz > 0: a waveform.
  PointWindow(double sample_rate_hz, std::vector<std::pair<double, double>> bands);

  // One point's rows [begin, end) of a batch, in arrival order.
  void Add(const Batch& batch, size_t begin, size_t end, Spectrum& spectrum);
  // Ends the burst that may still be growing.
  void CloseBurst(Spectrum& spectrum);
  // Lets go what is older than `from`.
  void Forget(Time from);

  // The statistics of `specs` over [from, to) into `values`; NaN with fewer than min_samples usable
  // samples.
  WindowCounts Compute(Time from, Time to, std::span<const FeatureSpec* const> specs,
                       int min_samples, std::span<double> values) const;
  bool Has(Time from, Time to) const;  // Any sample, used or not.
  std::optional<Time> FirstAtOrAfter(Time from) const;
  // Same sample rate and bands: what was kept is of use under a new binding.
  bool SameShape(const PointWindow& other) const {
    return sample_rate_hz_ == other.sample_rate_hz_ && bands_ == other.bands_;
  }

 private:
  struct Entry {  // A sample, or a burst.
    Time time{}, last_time{};
    double value = 0;  // A burst's rms.
    bool usable = true;
    uint32_t samples = 1;
    double mean = 0, min = 0, max = 0, variance = 0, crest = 0, kurtosis = 0;  // Bursts only.
    std::vector<float> bands;
  };
  void Insert(Entry entry);

  double sample_rate_hz_;
  std::vector<std::pair<double, double>> bands_;
  std::deque<Entry> entries_;  // By time.
  std::vector<double> burst_;
  Time burst_first_{}, burst_last_{};
  bool burst_usable_ = true;
};

}  // namespace penstock::telemetry
