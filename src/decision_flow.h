// From a feature row to an alarm, and from a verdict to a label and a KPI: who calls whom, in one
// place.
//
// Thread rule: OnRow and Observe on the pipeline's thread; the alarm's listeners on any.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "decisions/alarms.h"
#include "decisions/provenance.h"
#include "inference/binding.h"
#include "inference/scorer.h"
#include "learning/anomaly_scorer.h"
#include "telemetry/feature_engine.h"
#include "telemetry/running_time.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock {

class DecisionFlow {
 public:
  struct Parts {
    const Clock& clock;
    things::Directory& directory;
    telemetry::FeatureEngine& features;
    inference::Scorer& scorer;
    learning::AnomalyScorer& anomalies;
    decisions::Alarms& alarms;
    decisions::Provenance& provenance;
    // "pump@1.2.0" that a point is held against now; absent: what its description says.
    std::function<std::string(const things::Point&)> contract_of = nullptr;
  };
  explicit DecisionFlow(const Parts& parts) : parts_(parts) {}

  // Binds every usable model or detector of SITE/models/*.yaml and lets go of those whose file is
  // no longer there, with their alarms. What cannot be used is logged and returned; a bad file
  // keeps its old version.
  std::vector<Error> Bind(const std::string& models_folder_of_site);
  void OnRow(const std::string& schema, telemetry::FeatureRow&& row);
  void Observe(
      const telemetry::Batch& batch);  // A pipeline subscriber: notes when machines stood still.

  // 5th to 95th percentile of the healthy rows for the point, of the statistic that people read.
  std::optional<std::pair<double, double>> NormalBand(const things::Point& point) const;
  // As /api/v1/models lists them.
  Json ModelsJson(const inference::ModelRepository& repository) const;

 private:
  struct Bound {
    inference::ModelBinding binding;
    std::vector<std::string> things;
    std::atomic<uint64_t> predictions{0};
  };

  void UnbindAllBut(const inference::Bindings& bindings);
  Status BindOne(inference::ModelBinding&& binding, const things::Snapshot& snapshot);
  void Judge(const Bound& bound, const inference::Prediction& prediction,
             const telemetry::FeatureRow& row);
  // Nothing while a detector warms up.
  Result<std::optional<inference::Prediction>> Predict(const Bound& bound,
                                                       const telemetry::FeatureRow& row);
  decisions::Basis BasisOf(const Bound& bound, const inference::Prediction& prediction,
                           const telemetry::FeatureRow& row) const;
  void FillUnits(inference::Prediction& prediction) const;

  Parts parts_;
  mutable std::mutex mutex_;
  // By model name. Shared with a row that is being judged while a reload replaces the binding.
  std::map<std::string, std::shared_ptr<Bound>> bound_;
  telemetry::RunningTime running_;
};

}  // namespace penstock
