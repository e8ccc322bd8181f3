// What a model file says about itself: its features, its classes, the data it was trained on, how
// well it did and how far its probabilities can be believed. It travels inside the ONNX file
// (metadata_props); docs/formats/model.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "telemetry/feature.h"

namespace penstock::inference {

// One feature in the healthy rows of the training data.
struct FeatureProfile {
  std::string feature;  // "vibration_de.rms"
  double p5 = 0, p50 = 0, p95 = 0, mean = 0, deviation = 0;
  double missing = 0;           // Share of NaN, 0..1.
  std::vector<double> deciles;  // The nine inner ones: the reference of drift detection.
};

// Held-out rows whose probability of one class fell into [low, high).
struct CalibrationBin {
  double low = 0, high = 1;
  double n = 0, hits = 0;  // Independent rows (overlapping windows count once), and how many were
                           // of the class.
};

struct Interval {
  double low = 0, high = 1;
};
// Score interval of Wilson (1927) for a share; 90 % by default. n = 0: [0, 1].
Interval WilsonInterval(double hits, double n, double z = 1.6448536269514722);

struct ModelCard {
  telemetry::FeatureSchema schema;
  std::vector<std::string> classes;     // "normal" first, by convention.
  std::vector<FeatureProfile> profile;  // By the schema's order; empty when not told.
  Json metrics = Json::object();  // Of validation: {"log_loss", "accuracy", "classes": {...}}.
  std::map<std::string, std::vector<CalibrationBin>> calibration;  // By class.
  Time trained_at{};
  uint64_t rows = 0;
  std::map<std::string, uint64_t> label_counts;

  std::map<std::string, std::string> ToMetadata() const;
  // kFailedPrecondition when the file says nothing about features.
  static Result<ModelCard> FromMetadata(const std::map<std::string, std::string>& metadata);
  // What probability `p` of a class meant on held-out rows; [0, 1] when nothing is known.
  Interval ConfidenceOf(const std::string& name, double p) const;
};

// kFailedPrecondition, naming what is missing, extra or different, when rows made by `rows` do not
// fit a model trained on `model`. Order does not matter.
Status CheckFeatures(const telemetry::FeatureSchema& rows, const telemetry::FeatureSchema& model,
                     const std::string& model_name);

}  // namespace penstock::inference
