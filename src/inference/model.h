// A model ready to run: the file's trees in our kernel, or ONNX Runtime for anything else, with its
// card.
//
// Thread rule: immutable once loaded; any thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "inference/model_card.h"
#include "inference/runtime.h"
#include "inference/shap.h"
#include "inference/tree_ensemble.h"

namespace penstock::inference {

struct Explanation {
  double base_value = 0;
  double margin = 0;                  // base_value + sum of contributions, to 1e-9.
  std::vector<double> contributions;  // By the schema's order.
};

class Model {
 public:
  enum class Kind { kTreeEnsemble, kOnnx };

  // Reads, checks and warms up. kFailedPrecondition: the file has no card, or its graph disagrees
  // with the card.
  static Result<std::shared_ptr<const Model>> Load(const std::string& name, uint32_t version,
                                                   ByteView onnx);

  const std::string& name() const { return name_; }
  uint32_t version() const { return version_; }
  const std::string& digest() const { return digest_; }  // sha256 of the file, hex.
  Kind kind() const { return ensemble_ ? Kind::kTreeEnsemble : Kind::kOnnx; }
  std::string_view kind_name() const { return ensemble_ ? "tree_ensemble" : "onnx"; }
  const ModelCard& card() const { return card_; }

  // One row by the card's schema, NaN for missing; probabilities by the card's classes.
  Status Predict(std::span<const float> row, std::span<double> probabilities) const;
  // Of one class. Trees with covers: exact SHAP of the margin. Otherwise permutation Shapley values
  // against the healthy medians (Strumbelj and Kononenko 2014), of the log-odds.
  Result<Explanation> Explain(std::span<const float> row, size_t class_index) const;

 private:
  Model() = default;
  Status SetUp(ByteView onnx);
  Status SetUpTrees(const TreeForest& forest);
  Result<Explanation> ExplainTrees(std::span<const float> row, size_t class_index) const;
  Result<Explanation> ExplainBySampling(std::span<const float> row, size_t class_index) const;
  Result<std::vector<double>> LogOdds(std::span<const float> rows, size_t class_index) const;

  std::string name_, digest_;
  uint32_t version_ = 0;
  ModelCard card_;
  std::optional<TreeEnsemble> ensemble_;
  std::optional<Shap> shap_;
  std::unique_ptr<Runtime> runtime_;  // Only without ensemble_.
  std::vector<float> healthy_;        // The medians.
};

}  // namespace penstock::inference
