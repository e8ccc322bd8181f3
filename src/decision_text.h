// The chain of a decision in words: one line per stage, as `penstock explain` and the console print
// it.
#pragma once

#include <string>

#include "decisions/alarm.h"
#include "inference/prediction.h"
#include "telemetry/feature.h"
#include "things/directory.h"

namespace penstock {

// "vibration_de.rms" -> "vibration_de".
std::string PropertyOf(const std::string& feature);

// What the features of the strongest contributions were made of: [{path, count, good, contract}].
Json SamplesJson(const telemetry::FeatureRow& row, const telemetry::FeatureSchema& schema,
                 const inference::Prediction& prediction, const things::Snapshot& snapshot);
Json FeaturesJson(const telemetry::FeatureRow& row, const telemetry::FeatureSchema& schema);

// "vibration_de 184 samples, motor_current 120 (contract pump@1.2.0)"
std::string SamplesText(const Json& samples);
// "vibration_de.rms 7.9 mm/s (normal 1.8..3.1), ..."
std::string FeaturesText(const inference::Prediction& prediction, size_t most);
// "pump-faults@3 (sha256:9f2c...) p(bearing_wear) = 0.93 [0.86, 0.97]\nbecause vibration_de.rms
// +1.9 ..."
std::string ModelText(const inference::Prediction& prediction, const std::string& cause,
                      double probability, size_t most);

}  // namespace penstock
