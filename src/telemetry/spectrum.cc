// A real burst of n samples, n a power of two, is packed into n/2 complex ones, transformed by the
// iterative radix-2 algorithm (Cooley, Tukey 1965) and unpacked: half the work of a complex
// transform of n. The Hann window keeps a tone from leaking over the whole spectrum (its main lobe
// is four bins wide), at the price of a little resolution.
//
// Scale: with window w, Parseval says sum |X_k|^2 = N sum (x_i w_i)^2, and for a stationary signal
// sum (x_i w_i)^2 is mean(x^2) sum w_i^2. Dividing |X_k|^2 by N sum w^2 and counting the bins
// between 0 and the Nyquist frequency twice gives mean squares that add up to the mean square of
// the burst, padded or not.
#include "telemetry/spectrum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

namespace penstock::telemetry {

void Spectrum::Plan(size_t burst_size) {
  if (burst_size == planned_size_) return;
  planned_size_ = burst_size;
  fft_size_ = std::bit_ceil(burst_size);
  const size_t half = fft_size_ / 2;
  window_.resize(burst_size);
  window_energy_ = 0;
  for (size_t i = 0; i < burst_size; ++i) {
    const double phase =
        2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(burst_size);
    window_[i] = 0.5 - 0.5 * std::cos(phase);
    window_energy_ += window_[i] * window_[i];
  }
  twiddle_.resize(half);  // e^(-2 pi i k / fft_size)
  for (size_t k = 0; k < half; ++k) {
    twiddle_[k] = std::polar(
        1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(fft_size_));
  }
  const int bits = std::countr_zero(half);
  reversed_.assign(half, 0);
  for (size_t i = 1; i < half; ++i) {
    reversed_[i] = (reversed_[i >> 1] >> 1) | static_cast<uint32_t>((i & 1) << (bits - 1));
  }
  work_.resize(half);
  power_.resize(half + 1);
}

void Spectrum::Analyse(std::span<const double> burst, double mean, double sample_rate_hz) {
  if (burst.size() < 8 || !(sample_rate_hz > 0)) {
    power_.clear();
    planned_size_ = 0;
    return;
  }
  if (burst.size() > kSamplesMax) burst = burst.first(kSamplesMax);
  Plan(burst.size());
  bin_hz_ = sample_rate_hz / static_cast<double>(fft_size_);
  const size_t half = fft_size_ / 2;
  const auto sample = [&](size_t i) {
    return i < burst.size() ? (burst[i] - mean) * window_[i] : 0.0;
  };
  for (size_t i = 0; i < half; ++i) work_[reversed_[i]] = {sample(2 * i), sample(2 * i + 1)};

  for (size_t length = 2; length <= half; length *= 2) {
    const size_t stride = fft_size_ / length;  // e^(-2 pi i j / length) = twiddle_[j * stride]
    for (size_t block = 0; block < half; block += length) {
      for (size_t j = 0; j < length / 2; ++j) {
        // By parts: operator* of std::complex checks for infinities at every turn.
        const auto& factor = twiddle_[j * stride];
        auto& a = work_[block + j];
        auto& b = work_[block + j + length / 2];
        const double real = b.real() * factor.real() - b.imag() * factor.imag();
        const double imag = b.real() * factor.imag() + b.imag() * factor.real();
        b = {a.real() - real, a.imag() - imag};
        a = {a.real() + real, a.imag() + imag};
      }
    }
  }

  const double scale = 1.0 / (static_cast<double>(fft_size_) * window_energy_);
  power_[0] = std::pow(work_[0].real() + work_[0].imag(), 2) * scale;
  power_[half] = std::pow(work_[0].real() - work_[0].imag(), 2) * scale;
  for (size_t k = 1; k < half; ++k) {
    // The even and the odd samples' transforms, put together.
    const auto z = work_[k];
    const auto mirrored = std::conj(work_[half - k]);
    const std::complex<double> even = 0.5 * (z + mirrored);
    const std::complex<double> odd = std::complex<double>(0, -0.5) * (z - mirrored);
    const auto& factor = twiddle_[k];
    const double real = even.real() + odd.real() * factor.real() - odd.imag() * factor.imag();
    const double imag = even.imag() + odd.real() * factor.imag() + odd.imag() * factor.real();
    power_[k] = 2 * (real * real + imag * imag) * scale;
  }
}

double Spectrum::BandRms(double low_hz, double high_hz) const {
  if (power_.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  const double first =
      std::clamp(std::ceil(low_hz / bin_hz_ - 1e-9), 0.0, static_cast<double>(power_.size()));
  size_t k = static_cast<size_t>(first);
  for (; k < power_.size() && static_cast<double>(k) * bin_hz_ < high_hz - 1e-9 * bin_hz_; ++k)
    sum += power_[k];
  return std::sqrt(sum);
}

}  // namespace penstock::telemetry
