// Training every model of a site from labelled history: what `penstock learn train` does.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inference/binding.h"
#include "inference/model_repository.h"
#include "learning/anomaly_scorer.h"
#include "learning/dataset.h"
#include "learning/trainer.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::learning {

// Labelled history in runs: stretches of time that are not connected to each other.
struct History {
  size_t runs = 0;
  // Feeds one run's samples (by time; a waveform's bursts whole; quality not yet marked) and
  // returns what was wrong in it and when, as the maintenance knows it.
  std::function<Result<std::vector<LabelInterval>>(
      size_t run, const std::function<void(telemetry::Batch batch)>& sink)>
      replay;
};

struct HistoryTraining {
  TrainOptions train;
  DatasetOptions dataset;
  Time trained_at{};     // Written into the files.
  bool activate = true;  // The new version becomes champion.
  std::function<void(const std::string& line)> progress;
};

// The alarms of a binding name its classes. Bindings of detectors are left out. Every model is
// written, then the reports are returned in the order of the bindings; the first error ends it
// (models written before stay).
Result<std::vector<TrainReport>> TrainFromHistory(std::span<const inference::ModelBinding> bindings,
                                                  std::shared_ptr<const things::Snapshot> snapshot,
                                                  const History& history,
                                                  inference::ModelRepository& repository,
                                                  const HistoryTraining& options);

// Fits the detector of every thing on the rows of history that touch no label, and saves the
// states. One line of progress per thing.
Status FitDetectorsFromHistory(std::span<const inference::ModelBinding> bindings,
                               std::shared_ptr<const things::Snapshot> snapshot,
                               const History& history, AnomalyScorer& detectors,
                               const HistoryTraining& options);

// The things of the snapshot that a binding runs on, by name.
std::vector<std::string> ThingsOf(const inference::ModelBinding& binding,
                                  const things::Snapshot& snapshot);

// The rows of one run, made as the node makes them: quality marked, windows by source time.
using RowVisitor = std::function<void(const std::string& model, telemetry::FeatureRow&& row)>;
Result<std::vector<LabelInterval>> RowsOfRun(std::span<const inference::ModelBinding> bindings,
                                             std::shared_ptr<const things::Snapshot> snapshot,
                                             const History& history, size_t run,
                                             const RowVisitor& visit);

}  // namespace penstock::learning
