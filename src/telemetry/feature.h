// Features: what a window of one asset's points looks like, as a model sees it.
//
// A feature is named "<property>.<statistic>": "vibration_de.rms", "vibration_de.band(120..180Hz)",
// "motor_current.mean". Windows are by source time; a row is computed every `every` per thing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"

namespace penstock::telemetry {

// Kinds: count mean min max deviation rms slope crest kurtosis last range band(LO..HIHz).
struct FeatureSpec {
  std::string property;   // "vibration_de"
  std::string statistic;  // "rms" | "band" ...
  double band_low_hz = 0, band_high_hz = 0;
  std::string name() const;
  // From "vibration_de.band(120..180Hz)".
  static Result<FeatureSpec> Parse(std::string_view text);
  bool operator==(const FeatureSpec& other) const = default;
};

// The statistics there are, without band: "count", "mean" ...
std::span<const std::string_view> FeatureStatistics();

// In a file: {window: 20min, every: 2min, min_samples: 3, features: ["vibration_de.rms", ...]}, or
// instead of `features` of: [points] with take: [statistics], or of: {point: [statistics]}.
// Specified in docs/formats/features.md.
struct FeatureSchema {
  Duration window{0};
  Duration every{0};
  int min_samples = 3;  // Fewer good samples in a window: the feature is NaN.
  std::vector<FeatureSpec> features;
  Json ToJson() const;
  static Result<FeatureSchema> FromJson(const Json& document, std::string_view base = "");
  bool operator==(const FeatureSchema& other) const;
};

// Which samples of one point a row was made of; for the decision record.
struct PointEvidence {
  PointId point;
  std::string property;
  uint32_t good = 0, all = 0;  // Used, and came.
  Time first{}, last{};        // Source times; meaningless when all = 0.
};

// One row of features of one thing at one time.
struct FeatureRow {
  TraceId trace;      // Born here; carried by prediction, alarm, verdict and label.
  std::string thing;  // "pump-7"
  std::string asset;
  Time at;  // End of the window (source time).
  Duration window{0};
  std::vector<double> values;  // By the schema's order; NaN where the data was missing or bad.
  std::vector<uint32_t> good_samples,
      all_samples;                      // Per feature: how many were used, how many came.
  std::vector<PointEvidence> evidence;  // Per property, in order of first use by the schema.
};

}  // namespace penstock::telemetry
