// Features: what a window of one asset's points looks like, as a model sees it.
//
// A feature is named "<property>.<statistic>": "vibration_de.rms", "vibration_de.band(120..180Hz)",
// "motor_current.mean". Windows are by source time; a row is computed every `every` per thing.
#pragma once

#include <string>
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
};

struct FeatureSchema {
  Duration window{0};
  Duration every{0};
  int min_samples = 3;  // Fewer good samples in a window: the feature is NaN.
  std::vector<FeatureSpec> features;
  Json ToJson() const;
  static Result<FeatureSchema> FromJson(const Json& document, std::string_view base = "");
  bool operator==(const FeatureSchema& other) const;
};

// One row of features of one thing at one time.
struct FeatureRow {
  TraceId trace;       // Born here; carried by prediction, alarm, verdict and label.
  std::string thing;   // "pump-7"
  std::string asset;
  Time at;             // End of the window (source time).
  Duration window{0};
  std::vector<double> values;        // By the schema's order; NaN where the data was missing or bad.
  std::vector<uint32_t> good_samples, all_samples;  // Per feature: how many were used, how many came.
};

}  // namespace penstock::telemetry
