// A drift detector answers one question: do live values still look like the values
// the model was trained on? One detector watches one feature of one model.
//
// Thread rule: a detector belongs to one shard; calls never overlap.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"

namespace penstock::learning {

struct DriftVerdict {
  double score = 0;      // In the detector's own unit; larger is worse.
  bool drifted = false;  // The score has crossed the threshold.
};

class DriftDetector {
 public:
  virtual ~DriftDetector() = default;

  // Adds live values; samples of bad quality were dropped by the caller. NaN counts as missing and
  // is left out.
  virtual void Observe(std::span<const double> values) = 0;

  // Compares what was observed with the reference. kFailedPrecondition while too few came.
  virtual Result<DriftVerdict> Judge() const = 0;
};

// A kind of detector as configuration, console and documentation know it.
struct DriftDetectorKind {
  std::string_view name;       // As written in configuration: "psi".
  std::string_view summary;    // One sentence, shown in the console.
  std::string_view reference;  // The paper or standard it follows.
  double default_threshold;
  // `reference`: the inner deciles of the training values (inference::FeatureProfile::deciles).
  Result<std::unique_ptr<DriftDetector>> (*create)(std::span<const double> reference,
                                                   double threshold);
};

std::span<const DriftDetectorKind> DriftDetectorKinds();
// kNotFound with the nearest kind as the fix.
Result<const DriftDetectorKind*> FindDriftDetectorKind(std::string_view name);

}  // namespace penstock::learning
