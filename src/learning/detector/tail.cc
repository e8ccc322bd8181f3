// Moments fit the two parameters: with mean m and variance v of the excesses, shape = (1 - m^2 / v)
// / 2 and scale = m (1 - shape). A handful of peaks says little about the shape, so it is drawn
// towards 0 (an exponential tail) by as much as ten peaks weigh, and never taken as bounded: a
// limit that cannot be exceeded is no estimate.
#include "learning/detector/tail.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "learning/linear.h"

namespace penstock::learning {
namespace {

constexpr size_t kGap = 10;  // Rows below the threshold that end a peak.
constexpr double kRowsMax = 1e15;

std::vector<double> Peaks(std::span<const double> scores, double threshold) {
  std::vector<double> peaks;
  size_t last = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!(scores[i] > threshold)) continue;
    if (peaks.empty() || i - last > kGap) {
      peaks.push_back(scores[i]);
    } else {
      peaks.back() = std::max(peaks.back(), scores[i]);
    }
    last = i;
  }
  return peaks;
}

}  // namespace

Result<Tail> Tail::Fit(std::span<const double> scores) {
  if (scores.size() < 50)
    return FailedPrecondition("{} scores are too few for a tail, 50 are needed", scores.size());
  Tail tail;
  tail.threshold_ = Quantile({scores.begin(), scores.end()}, 0.9);
  const std::vector<double> peaks = Peaks(scores, tail.threshold_);
  if (peaks.empty()) return FailedPrecondition("the scores never move");
  const auto n = static_cast<double>(peaks.size());
  double mean = 0, variance = 0;
  for (const double peak : peaks) mean += (peak - tail.threshold_) / n;
  for (const double peak : peaks) variance += std::pow(peak - tail.threshold_ - mean, 2) / n;
  const double shape = variance > 0 ? 0.5 * (1 - mean * mean / variance) : 0;
  tail.shape_ = std::clamp(shape * n / (n + 10), 0.0, 0.5);
  tail.scale_ = std::max(mean * (1 - tail.shape_), 1e-12);
  tail.rows_per_peak_ = static_cast<double>(scores.size()) / n;
  return tail;
}

double Tail::RowsPerExceedance(double score) const {
  if (!(score > threshold_)) return rows_per_peak_;
  const double excess = (score - threshold_) / scale_;
  const double rarer =
      shape_ > 1e-6 ? std::pow(1 + shape_ * excess, 1 / shape_) : std::exp(std::min(excess, 100.0));
  return std::min(rows_per_peak_ * rarer, kRowsMax);
}

Json Tail::ToJson() const {
  return {{"threshold", threshold_},
          {"rows_per_peak", rows_per_peak_},
          {"shape", shape_},
          {"scale", scale_}};
}

Result<Tail> Tail::FromJson(const Json& state) {
  Tail tail;
  ASSIGN_OR_RETURN(tail.threshold_, GetNumber(state, "threshold", "/tail"));
  ASSIGN_OR_RETURN(tail.rows_per_peak_, GetNumber(state, "rows_per_peak", "/tail"));
  ASSIGN_OR_RETURN(tail.shape_, GetNumber(state, "shape", "/tail"));
  ASSIGN_OR_RETURN(tail.scale_, GetNumber(state, "scale", "/tail"));
  if (!(tail.scale_ > 0) || !(tail.rows_per_peak_ >= 1) || !(tail.shape_ >= 0))
    return InvalidArgument("a tail with scale {}, shape {}, {} rows per peak", tail.scale_,
                           tail.shape_, tail.rows_per_peak_);
  return tail;
}

}  // namespace penstock::learning
