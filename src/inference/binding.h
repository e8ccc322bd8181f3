// models/*.yaml: which model runs on which assets, on which features, and when it becomes an alarm.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "inference/alarm_rule.h"
#include "telemetry/feature.h"

namespace penstock::inference {

// detector: {kind: residual, warm-up: 200, false-alarm-every: 30d}: no trained model, it learns
// what is normal.
struct DetectorSpec {
  std::string kind;
  size_t warm_up = 200;                    // Rows.
  Duration memory = std::chrono::days(7);  // Over which slow change becomes normal.
  Duration false_alarm_every = std::chrono::days(30);
};

struct Canary {
  std::string alias;  // "challenger"
  double share = 0;
  std::vector<std::string> guard;
};

struct ModelBinding {
  std::string file;
  std::string model;                   // "pump-faults"; also the name of its feature schema.
  std::string alias = "champion";      // Or "challenger" or a version number.
  std::string on_model;                // Pattern of Thing Models: "pump@1.*"; or
  std::vector<std::string> on_things;  // things by name.
  telemetry::FeatureSchema schema;
  int explain = 3;  // Contributions shown with each decision.
  std::vector<AlarmRule> alarms;
  std::vector<std::string> suppress_while;  // Models; each of `alarms` has them too.
  std::optional<DetectorSpec> detector;
  std::optional<Canary> canary;
};

// Errors carry pointer and fix.
Result<ModelBinding> BindingFromJson(const Json& document);
Result<ModelBinding> ReadBinding(const std::string& file);

struct Bindings {
  std::vector<ModelBinding> good;
  std::vector<Error> bad;  // Files that cannot be used, and why.
};
// All of FOLDER/*.yaml, by file name; a model named twice is an error. No folder: nothing.
Bindings ReadBindings(const std::string& folder);

}  // namespace penstock::inference
