// From feature rows to predictions: each binding's model, its explanation, and how sure it is.
//
// Thread rule: any thread; Reload swaps a model between two rows.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inference/binding.h"
#include "inference/model_repository.h"
#include "inference/prediction.h"

namespace penstock::inference {

struct ScorerStats {
  uint64_t predictions = 0, refused = 0;
  double latency_us_p50 = 0,
         latency_us_p99 = 0;  // Upper bound of the quarter-octave they fall into.
};

// The unit of a feature of a point in `unit`: "mm/s" -> "mm/s" for rms, "(mm/s)/h" for slope, "1"
// for kurtosis.
std::string FeatureUnit(const telemetry::FeatureSpec& feature, const std::string& unit);

class Scorer {
 public:
  // At least this share of a row's features must be there for a prediction.
  static constexpr double kPresentMin = 0.5;

  explicit Scorer(const ModelRepository& repository) : repository_(repository) {}

  // Loads the binding's model and checks it against its features and alarms; replaces a binding of
  // the same model. Errors name the file, and the pointer of what does not fit. Bindings with a
  // detector are not for here.
  // `units`: property -> UCUM code, for the contributions.
  Status Bind(const ModelBinding& binding, const std::map<std::string, std::string>& units = {});
  void Unbind(const std::string& model);
  // Loads again what its alias now means, where that has changed; returns the models that did.
  Result<std::vector<std::string>> Reload();

  // `row` was made by the binding's schema. kFailedPrecondition when too little of it is there.
  Result<Prediction> Score(const std::string& model, const telemetry::FeatureRow& row);

  std::shared_ptr<const Model> ModelOf(const std::string& model) const;  // nullptr: not bound.
  ScorerStats StatsOf(const std::string& model) const;

 private:
  struct Bound {
    ModelBinding binding;
    std::shared_ptr<const Model> model;
    std::vector<size_t> order;  // Position in the row of each of the model's features.
    std::map<std::string, std::string> units;  // By property.
    std::vector<std::string> feature_units;    // By the model's features.
  };
  struct Tally {
    uint64_t predictions = 0, refused = 0;
    std::array<uint64_t, 128> latency{};  // By quarter octaves of a nanosecond.
  };

  Result<std::shared_ptr<const Bound>> Make(const ModelBinding& binding,
                                            const std::map<std::string, std::string>& units) const;
  void Count(const std::string& model, bool refused, double latency_us);

  const ModelRepository& repository_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Bound>> bound_;
  std::map<std::string, Tally> tallies_;
};

}  // namespace penstock::inference
