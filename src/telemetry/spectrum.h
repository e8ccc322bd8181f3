// The spectrum of one burst: radix-2 FFT with a Hann window, and the RMS within bands of frequency.
//
// Scaled so that the RMS over all of 0..sample_rate/2 equals the RMS of the burst (Parseval;
// exactly for the windowed signal, in the mean for a stationary one). Plans are kept per size.
// Thread rule: one thread per Spectrum.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace penstock::telemetry {

class Spectrum {
 public:
  static constexpr size_t kSamplesMax = 1 << 16;

  // Transforms a burst, its mean removed. Bursts that are no power of two are padded with zeros; at
  // most kSamplesMax samples are used, at least 8 needed (else the bands are NaN).
  void Analyse(std::span<const double> burst, double mean, double sample_rate_hz);
  // RMS of the bins with low_hz <= f < high_hz.
  double BandRms(double low_hz, double high_hz) const;
  // Mean square per bin, from 0 to sample_rate/2.
  std::span<const double> power() const { return power_; }

 private:
  void Plan(size_t burst_size);

  size_t planned_size_ = 0;  // Of the burst.
  size_t fft_size_ = 0;      // Power of two, at least planned_size_.
  double window_energy_ = 0;
  std::vector<double> window_;
  std::vector<std::complex<double>> twiddle_, work_;
  std::vector<uint32_t> reversed_;
  std::vector<double> power_;
  double bin_hz_ = 0;
};

}  // namespace penstock::telemetry
