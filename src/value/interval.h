// Intervals for figures made of few events, by the exact distributions.
#pragma once

#include <cstdint>
#include <utility>

namespace penstock::value {

inline constexpr double kConfidence = 0.9;

// Regularised incomplete gamma P(a, x) and beta I_x(a, b).
double GammaP(double a, double x);
double BetaI(double x, double a, double b);
// The x with the given lower tail; by bisection of the above, to 1e-12 of its size.
double ChiSquareQuantile(double p, double degrees_of_freedom);
double BetaQuantile(double p, double a, double b);

using Interval = std::pair<double, double>;

// Mean of an exponential time from `events` events in `total` time that is cut off at its end
// (Epstein, Sobel 1953): 2T / chi2(1 - alpha/2; 2n + 2) .. 2T / chi2(alpha/2; 2n). Needs events >
// 0.
Interval MeanTimeInterval(double total, uint64_t events);
// Mean of `events` complete exponential times that add up to `total`: 2T / chi2(2n) on both sides.
Interval MeanDurationInterval(double total, uint64_t events);
// Rate per unit of `exposure` of a Poisson count (Garwood 1936); with no events the lower end is 0.
Interval PoissonRateInterval(uint64_t events, double exposure);
// Proportion of few cases, exact (Clopper, Pearson 1934).
Interval ClopperPearson(uint64_t successes, uint64_t of);
// Proportion of many cases (Wilson 1927).
Interval Wilson(double successes, double of);

}  // namespace penstock::value
