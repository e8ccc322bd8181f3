// Series and continued fractions of the incomplete gamma and beta functions (Abramowitz,
// Stegun 6.5.29, 6.5.31 and 26.5.8; Lentz's method for the fractions), quantiles by bisection:
// slow, short, and right to the last digits. They are computed a few times per request.
#include "value/interval.h"

#include <algorithm>
#include <cmath>

namespace penstock::value {
namespace {

constexpr double kTail = (1 - kConfidence) / 2;
constexpr double kTiny = 1e-300, kPrecision = 1e-15;
constexpr int kIterationsMax = 10'000;

double GammaSeries(double a, double x) {
  double term = 1 / a, sum = term;
  for (int n = 1; n < kIterationsMax && std::abs(term) > std::abs(sum) * kPrecision; ++n) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * std::exp(-x + a * std::log(x) - std::lgamma(a));
}

double GammaFraction(double a, double x) {  // Q(a, x)
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / b, h = d;
  for (int i = 1; i < kIterationsMax; ++i) {
    const double an = -i * (i - a);
    b += 2;
    d = 1 / std::copysign(std::max(std::abs(an * d + b), kTiny), an * d + b);
    c = b + an / c;
    if (std::abs(c) < kTiny) c = kTiny;
    h *= d * c;
    if (std::abs(d * c - 1) < kPrecision) break;
  }
  return h * std::exp(-x + a * std::log(x) - std::lgamma(a));
}

double BetaFraction(double x, double a, double b) {
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < kTiny) d = kTiny;
  d = 1 / d;
  double h = d;
  const auto step = [&](double numerator) {
    d = 1 + numerator * d;
    if (std::abs(d) < kTiny) d = kTiny;
    c = 1 + numerator / c;
    if (std::abs(c) < kTiny) c = kTiny;
    d = 1 / d;
    h *= d * c;
    return d * c;
  };
  for (int m = 1; m < kIterationsMax; ++m) {
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    if (std::abs(step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))) - 1) <
        kPrecision)
      break;
  }
  return h;
}

template <typename F>
double Bisect(double low, double high, double p, F f) {
  for (int i = 0; i < 200 && high - low > 1e-13 * high; ++i) {
    const double middle = (low + high) / 2;
    (f(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double GammaP(double a, double x) {
  if (!(x > 0)) return 0;
  return x < a + 1 ? GammaSeries(a, x) : 1 - GammaFraction(a, x);
}

double BetaI(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // The fraction converges quickly on one side of the mean, symmetry gives the other.
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(x, a, b) / a;
  return 1 - front * BetaFraction(1 - x, b, a) / b;
}

double ChiSquareQuantile(double p, double degrees_of_freedom) {
  double high = degrees_of_freedom + 10;
  while (GammaP(degrees_of_freedom / 2, high / 2) < p) high *= 2;
  return Bisect(0, high, p, [&](double x) { return GammaP(degrees_of_freedom / 2, x / 2); });
}

double BetaQuantile(double p, double a, double b) {
  return Bisect(0, 1, p, [&](double x) { return BetaI(x, a, b); });
}

Interval MeanTimeInterval(double total, uint64_t events) {
  const auto n = static_cast<double>(events);
  return {2 * total / ChiSquareQuantile(1 - kTail, 2 * n + 2),
          2 * total / ChiSquareQuantile(kTail, 2 * n)};
}

Interval MeanDurationInterval(double total, uint64_t events) {
  const auto n = static_cast<double>(events);
  return {2 * total / ChiSquareQuantile(1 - kTail, 2 * n),
          2 * total / ChiSquareQuantile(kTail, 2 * n)};
}

Interval PoissonRateInterval(uint64_t events, double exposure) {
  const auto n = static_cast<double>(events);
  const double low = events == 0 ? 0 : ChiSquareQuantile(kTail, 2 * n) / 2 / exposure;
  return {low, ChiSquareQuantile(1 - kTail, 2 * n + 2) / 2 / exposure};
}

Interval ClopperPearson(uint64_t successes, uint64_t of) {
  const auto k = static_cast<double>(successes), n = static_cast<double>(of);
  const double low = successes == 0 ? 0 : BetaQuantile(kTail, k, n - k + 1);
  const double high = successes == of ? 1 : BetaQuantile(1 - kTail, k + 1, n - k);
  return {low, high};
}

Interval Wilson(double successes, double of) {
  constexpr double z = 1.6448536269514722;  // 95th percentile of the normal distribution.
  const double p = successes / of, z2 = z * z;
  const double center = (p + z2 / (2 * of)) / (1 + z2 / of);
  const double half = z * std::sqrt(p * (1 - p) / of + z2 / (4 * of * of)) / (1 + z2 / of);
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

}  // namespace penstock::value
