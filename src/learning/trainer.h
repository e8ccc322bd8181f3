// From a dataset to a checked model file: XGBoost's trees, calibrated, with their card, as ONNX.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "learning/dataset.h"

namespace penstock::learning {

struct TrainOptions {
  uint64_t seed = 1;
  int rounds_max = 300;
  int patience = 25;
  int depth_max = 4;
  double learning_rate = 0.1;
  int threads = 1;  // More only on an otherwise idle machine: OpenMP waits by spinning.
  double alarm_probability = 0.8;  // At which precision and found episodes are reported.
  std::function<void(int round, double loss)> progress;
};

// How one class did on held-out groups.
struct ClassReport {
  std::string name;
  uint64_t rows = 0, held_out_rows = 0;
  uint64_t episodes = 0;             // Held-out groups with this class.
  uint64_t episodes_found = 0;       // Of these, with a row at or above the alarm probability.
  double precision = 0, recall = 0;  // Of rows, at the alarm probability; NaN without any.
};

struct TrainReport {
  std::string model;
  uint32_t version = 0;  // After installation.
  std::string digest;
  uint64_t rows = 0, left_out = 0, groups = 0;
  size_t features = 0, trees = 0;
  int rounds = 0;
  double log_loss = 0, accuracy = 0;  // On held-out groups.
  double scale = 1;                   // Of the margins, by calibration.
  double kernel_difference_max = 0;   // |margin of our kernel - of XGBoost|, over all rows.
  double runtime_difference_max =
      0;  // |probability of our kernel - of ONNX Runtime|, over a sample.
  std::vector<ClassReport> classes;
  double seconds = 0;
  Json ToJson() const;
};

struct TrainedModel {
  std::string onnx;
  TrainReport report;
};

// Groups go to training (60 %), early stopping (20 %) and calibration with all reported figures (20
// %), so that each class is in each part where it has three groups. Same dataset and options, same
// bytes (but for `trained_at`). kInternal when kernel, XGBoost or ONNX Runtime disagree by more
// than 1e-5.
Result<TrainedModel> TrainModel(const Dataset& dataset, const TrainOptions& options,
                                Time trained_at);

// The part of each group: 0 training, 1 early stopping, 2 held out. Visible for tests.
std::vector<int> SplitGroups(const Dataset& dataset, uint64_t seed);

}  // namespace penstock::learning
