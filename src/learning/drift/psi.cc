// Population stability index: the training values' deciles cut the axis into ten parts that held a
// tenth each; the live shares q_i of the parts are compared by sum (q_i - p_i) ln(q_i / p_i), the
// symmetric Kullback-Leibler divergence. Where deciles coincide (a feature that is mostly one
// value) their parts are one with the summed share. Half a value is added to each part, so that an
// empty one is no infinity. Live values are forgotten by halves: at 4,096 the counts are halved, so
// that a judgement is about the last few thousand.
#include <algorithm>
#include <cmath>
#include <vector>

#include "learning/drift_detector.h"

namespace penstock::learning {
namespace {

constexpr double kMinValues = 100, kForgetAt = 4096;

class Psi final : public DriftDetector {
 public:
  Psi(std::vector<double> edges, std::vector<double> shares, double threshold)
      : edges_(std::move(edges)),
        shares_(std::move(shares)),
        counts_(shares_.size()),
        threshold_(threshold) {}

  void Observe(std::span<const double> values) override {
    for (const double value : values) {
      if (std::isnan(value)) continue;
      const auto part = std::upper_bound(edges_.begin(), edges_.end(), value) - edges_.begin();
      ++counts_[static_cast<size_t>(part)];
      if (++total_ < kForgetAt) continue;
      for (double& count : counts_) count /= 2;
      total_ /= 2;
    }
  }

  Result<DriftVerdict> Judge() const override {
    if (total_ < kMinValues)
      return FailedPrecondition("{} values are too few to judge drift, {} are needed", total_,
                                kMinValues);
    DriftVerdict verdict;
    const double parts = static_cast<double>(counts_.size());
    for (size_t i = 0; i < counts_.size(); ++i) {
      const double live = (counts_[i] + 0.5) / (total_ + 0.5 * parts);
      verdict.score += (live - shares_[i]) * std::log(live / shares_[i]);
    }
    verdict.drifted = verdict.score > threshold_;
    return verdict;
  }

 private:
  std::vector<double> edges_;   // Ascending, distinct.
  std::vector<double> shares_;  // Of the parts between them, in training.
  std::vector<double> counts_;
  double total_ = 0;
  double threshold_;
};

Result<std::unique_ptr<DriftDetector>> CreatePsi(std::span<const double> reference,
                                                 double threshold) {
  const bool finite =
      std::all_of(reference.begin(), reference.end(), [](double x) { return std::isfinite(x); });
  if (reference.empty() || !finite || !std::is_sorted(reference.begin(), reference.end()))
    return InvalidArgument("{} numbers are no ascending quantiles", reference.size());
  if (!(threshold > 0)) return InvalidArgument("a threshold of {}", threshold);
  const double share = 1.0 / static_cast<double>(reference.size() + 1);
  std::vector<double> edges, shares{share};
  for (const double quantile : reference) {
    if (!edges.empty() && edges.back() == quantile) {
      shares.back() += share;  // upper_bound counts an edge to the part above it.
      continue;
    }
    edges.push_back(quantile);
    shares.push_back(share);
  }
  return std::make_unique<Psi>(std::move(edges), std::move(shares), threshold);
}

}  // namespace

extern const DriftDetectorKind kDriftDetector_psi;
const DriftDetectorKind kDriftDetector_psi = {
    .name = "psi",
    .summary = "Compares how live values fall into the deciles of the training values.",
    .reference = "Siddiqi, Credit Risk Scorecards (2006); limits 0.1 and 0.25 by Lewis (1994)",
    .default_threshold = 0.25,
    .create = CreatePsi,
};

}  // namespace penstock::learning
