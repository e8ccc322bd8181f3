// What a model said about one feature row, and why.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace penstock::inference {

struct Contribution {
  std::string feature;    // "vibration_de.rms"
  double value = 0;       // The feature's value in its unit.
  double normal_low = 0;  // 5th and 95th percentile of the training profile's healthy rows.
  double normal_high = 0;
  double contribution = 0;  // SHAP, in the model's margin (log-odds) for the predicted class.
  std::string unit;         // UCUM, of `value`; filled from the point where the scorer knows it.
};

struct Prediction {
  TraceId trace;
  std::string thing, asset;
  Time at;
  std::string model;                  // "pump-faults"
  uint32_t version = 0;               // 3
  std::string digest;                 // sha256 of the model file, hex.
  std::vector<std::string> classes;   // "normal", "bearing_wear", ...
  std::vector<double> probabilities;  // Same order; for a detector: {1-score, score}.
  size_t top = 0;                     // Index of the most probable class other than "normal".
  // 90 % interval of the share of held-out rows with such a probability of `top` that were of that
  // class.
  double confidence_low = 0, confidence_high = 1;
  double base_value = 0;              // Margin of the top class without any feature.
  double margin = 0;                  // base_value + sum of contributions, to 1e-9.
  std::vector<Contribution> because;  // Largest |contribution| first; all of them.
  double latency_us = 0;
};

}  // namespace penstock::inference
