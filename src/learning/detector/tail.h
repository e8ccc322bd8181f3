// How rare a score is, beyond any that was seen: the tail of a distribution by its peaks over a
// threshold.
#pragma once

#include <span>

#include "base/json.h"
#include "base/result.h"

namespace penstock::learning {

// Generalised Pareto tail of the peaks over the 90th percentile (Balkema and de Haan 1974; Siffer
// et al., "Anomaly detection in streams with extreme value theory", 2017). Scores that follow each
// other are one peak.
class Tail {
 public:
  // Scores of normal rows in their order. kFailedPrecondition with fewer than 50.
  static Result<Tail> Fit(std::span<const double> scores);

  // Normal rows per peak above `score`; at least rows per peak over the threshold.
  double RowsPerExceedance(double score) const;
  double threshold() const { return threshold_; }

  Json ToJson() const;
  static Result<Tail> FromJson(const Json& state);

 private:
  double threshold_ = 0, rows_per_peak_ = 1, shape_ = 0, scale_ = 1;
};

}  // namespace penstock::learning
