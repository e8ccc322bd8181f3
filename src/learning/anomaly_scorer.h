// From feature rows to predictions of "anomaly": one detector for each thing that a binding with a
// detector runs on.
//
// Thread rule: any thread; rows of one thing in the order of time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "inference/binding.h"
#include "inference/prediction.h"
#include "learning/detector.h"

namespace penstock::learning {

class AnomalyScorer {
 public:
  // States are kept as FOLDER/<model>/detector-<thing>.json; "": only in memory.
  explicit AnomalyScorer(std::string folder) : folder_(std::move(folder)) {}

  // `units`: property -> UCUM code. kNotFound for an unknown kind, with pointer and fix. Again with
  // the same model: replaces the binding; its detectors start anew when the features have changed.
  Status Bind(const inference::ModelBinding& binding,
              const std::map<std::string, std::string>& units = {});

  void Unbind(const std::string& model);  // What it learnt stays on disk for the next time.

  // classes {"normal", "anomaly"}; `because` are parts of the score (margin), largest first.
  // Nothing while the thing's detector warms up. `may_learn`: no alarm of the thing is open.
  Result<std::optional<inference::Prediction>> Score(const std::string& model,
                                                     const telemetry::FeatureRow& row,
                                                     bool may_learn);
  // Fits the detector of one thing on rows of normal behaviour, in the order of time.
  Status Fit(const std::string& model, const std::string& thing,
             const std::vector<telemetry::FeatureRow>& rows);

  // Writes the states of all that are ready; call now and then, and at the end.
  Status Save() const;

 private:
  struct Watched {
    std::unique_ptr<Detector> detector;
    std::optional<Time> last;
    Time settled{};        // Rows before have windows that reach back into a pause.
    uint32_t version = 1;  // Goes up with every Fit.
  };
  struct Bound {
    inference::ModelBinding binding;
    const DetectorKind* kind = nullptr;
    std::vector<std::string> units;  // By feature.
    std::map<std::string, Watched> things;
  };

  Result<Watched*> WatchedOf(Bound& bound, const std::string& thing);
  std::string FileOf(const std::string& model, const std::string& thing) const;
  void Restore(const Bound& bound, const std::string& thing, Watched& watched) const;

  const std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Bound> bound_;
};

}  // namespace penstock::learning
