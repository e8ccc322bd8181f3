// Making probabilities mean what they say, on rows that training did not see.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/model_card.h"
#include "inference/tree_ensemble.h"

namespace penstock::learning {

// softmax(scale * margins + bias): temperature scaling (Guo et al., "On calibration of modern
// neural networks", 2017) with a bias per class, because class weights shift the odds.
struct MarginCalibration {
  double scale = 1;
  std::vector<double> bias;
};

// Minimises the log loss, biases held small. `margins` is rows x classes.
Result<MarginCalibration> FitCalibration(std::span<const float> margins,
                                         std::span<const uint32_t> labels, size_t classes);
// The same trees with calibrated margins: whoever runs them needs to know nothing of calibration.
void ApplyCalibration(const MarginCalibration& calibration, inference::TreeForest& forest);

// Bins of one class's probability. `overlap`: how many rows share their data with one another;
// counts are divided by it, so that intervals are not narrower than the evidence.
std::vector<inference::CalibrationBin> CalibrationBins(std::span<const double> probabilities,
                                                       std::span<const bool> is_class,
                                                       double overlap);

}  // namespace penstock::learning
