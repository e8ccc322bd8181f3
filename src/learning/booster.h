// Gradient-boosted trees as XGBoost grows them: the one place that calls libxgboost. It trains a
// softmax classifier and hands its trees over; nothing of it is needed to run them.
//
// Thread rule: one booster, one thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "inference/tree_ensemble.h"

namespace penstock::learning {

// Rows of features, one after the other; NaN is missing.
struct Matrix {
  size_t columns = 0;
  std::vector<float> values;
  size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
  std::span<const float> row(size_t i) const { return {values.data() + i * columns, columns}; }
  void Add(std::span<const float> row) { values.insert(values.end(), row.begin(), row.end()); }
};

struct Examples {
  Matrix features;
  std::vector<float> labels;   // Class indices.
  std::vector<float> weights;  // Of the rows; empty: all 1.
};

struct BoosterOptions {
  int classes = 2;
  int rounds_max = 200;
  int patience = 20;  // Rounds without a better validation loss before it stops; 0: never.
  int depth_max = 4;
  double learning_rate = 0.1;
  double row_share = 0.8, column_share = 0.8;  // Sampled per tree.
  double child_weight_min = 2;
  double lambda = 1;
  uint64_t seed = 1;
  int threads = 1;
};

class Booster {
 public:
  virtual ~Booster() = default;
  // Keeps the rounds up to the best loss on `validation`. `progress` hears each round and its loss.
  static Result<std::unique_ptr<Booster>> Train(
      const Examples& train, const Examples& validation, const BoosterOptions& options,
      const std::function<void(int round, double loss)>& progress = nullptr);

  virtual int rounds() const = 0;
  virtual double validation_loss() const = 0;  // Mean multi-class log loss at the best round.
  // rows x classes
  virtual Result<std::vector<float>> Margins(const Matrix& rows) const = 0;
  // rows x classes x (features + 1), the base value last: XGBoost's own exact SHAP.
  virtual Result<std::vector<float>> Contributions(const Matrix& rows) const = 0;
  // The kept trees with covers; the link is softmax.
  virtual Result<inference::TreeForest> Forest() const = 0;
};

}  // namespace penstock::learning
