// Loading proves the model once: a row of medians is run through it, so that a file which cannot
// answer is refused when it is installed and not at the first alarm. Models that are no trees are
// explained by walking from the healthy medians to the row feature by feature in several orders and
// back: each walk's steps add up to the whole difference, so their mean does too.
#include "inference/model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/random.h"
#include "inference/onnx_file.h"

namespace penstock::inference {
namespace {

constexpr size_t kWalks = 8;  // Each forth and back (antithetic): 16 orders.

double Clamped(double p) { return std::clamp(p, 1e-9, 1 - 1e-9); }

}  // namespace

Result<std::shared_ptr<const Model>> Model::Load(const std::string& name, uint32_t version,
                                                 ByteView onnx) {
  std::shared_ptr<Model> model(new Model);
  model->name_ = name;
  model->version_ = version;
  model->digest_ = ToHex(Sha256Of(onnx));
  TRY(model->SetUp(onnx));
  return std::shared_ptr<const Model>(std::move(model));
}

Status Model::SetUp(ByteView onnx) {
  ASSIGN_OR_RETURN(OnnxFile file, ReadOnnx(onnx));
  ASSIGN_OR_RETURN(card_, ModelCard::FromMetadata(file.metadata));
  if (card_.classes.empty()) card_.classes = file.classes;
  if (card_.classes.size() < 2)
    return FailedPrecondition("model {} names {} classes, at least 2 are needed", name_,
                              card_.classes.size());
  const size_t features = card_.schema.features.size();
  size_t takes = 0;
  if (file.trees) {
    TRY(SetUpTrees(*file.trees));
    takes = ensemble_->features();
    if (ensemble_->classes() != card_.classes.size())
      return FailedPrecondition("model {} gives {} values for {} classes", name_,
                                ensemble_->classes(), card_.classes.size());
  } else {
    ASSIGN_OR_RETURN(runtime_, Runtime::Open(onnx));
    takes = runtime_->features();
  }
  if (takes != 0 && takes != features)
    return FailedPrecondition("model {} takes {} features, its card names {}", name_, takes,
                              features);
  for (const FeatureProfile& p : card_.profile) healthy_.push_back(static_cast<float>(p.p50));
  if (healthy_.empty()) healthy_.assign(features, std::numeric_limits<float>::quiet_NaN());
  std::vector<double> probabilities(card_.classes.size());
  return Predict(healthy_, probabilities);
}

Status Model::SetUpTrees(const TreeForest& forest) {
  ASSIGN_OR_RETURN(ensemble_, TreeEnsemble::Make(forest));
  if (forest.has_cover) {
    ASSIGN_OR_RETURN(shap_, Shap::Make(forest));
  }
  return {};
}

Status Model::Predict(std::span<const float> row, std::span<double> probabilities) const {
  if (row.size() != card_.schema.features.size() || probabilities.size() != card_.classes.size())
    return InvalidArgument("model {} takes {} features and gives {} classes, not {} and {}", name_,
                           card_.schema.features.size(), card_.classes.size(), row.size(),
                           probabilities.size());
  if (ensemble_) {
    double small[64];
    std::vector<double> large;
    std::span<double> margins(small, std::min<size_t>(ensemble_->outputs(), std::size(small)));
    if (ensemble_->outputs() > std::size(small)) {
      large.resize(ensemble_->outputs());
      margins = large;
    }
    ensemble_->Predict(row, margins);
    ensemble_->Probabilities(margins, probabilities);
    return {};
  }
  ASSIGN_OR_RETURN(const auto values, runtime_->Run(row, row.size()));
  if (values.size() != probabilities.size())
    return FailedPrecondition("model {} gave {} values for {} classes", name_, values.size(),
                              probabilities.size());
  std::copy(values.begin(), values.end(), probabilities.begin());
  return {};
}

Result<Explanation> Model::Explain(std::span<const float> row, size_t class_index) const {
  if (row.size() != card_.schema.features.size() || class_index >= card_.classes.size())
    return InvalidArgument("model {}: no class {} for a row of {}", name_, class_index, row.size());
  return shap_ ? ExplainTrees(row, class_index) : ExplainBySampling(row, class_index);
}

Result<Explanation> Model::ExplainTrees(std::span<const float> row, size_t class_index) const {
  // With one margin for two classes the first class sees it from the other side.
  const bool single = ensemble_->outputs() == 1 && card_.classes.size() == 2;
  const size_t output = single ? 0 : class_index;
  Explanation explanation;
  explanation.contributions.resize(row.size());
  shap_->Explain(row, output, explanation.contributions);
  explanation.base_value = shap_->base_value(output);
  std::vector<double> margins(ensemble_->outputs());
  ensemble_->Predict(row, margins);
  explanation.margin = margins[output];
  if (single && class_index == 0) {
    explanation.base_value = -explanation.base_value;
    explanation.margin = -explanation.margin;
    for (double& part : explanation.contributions) part = -part;
  }
  return explanation;
}

Result<std::vector<double>> Model::LogOdds(std::span<const float> rows, size_t class_index) const {
  const size_t features = card_.schema.features.size(), classes = card_.classes.size();
  std::vector<double> odds;
  const auto add = [&](double p) { odds.push_back(std::log(Clamped(p) / (1 - Clamped(p)))); };
  if (ensemble_) {
    std::vector<double> probabilities(classes);
    for (size_t i = 0; i < rows.size(); i += features) {
      TRY(Predict(rows.subspan(i, features), probabilities));
      add(probabilities[class_index]);
    }
    return odds;
  }
  ASSIGN_OR_RETURN(const auto values, runtime_->Run(rows, features));
  if (values.size() * features != rows.size() * classes)
    return FailedPrecondition("model {} gave {} values for {} rows", name_, values.size(),
                              rows.size() / features);
  for (size_t i = class_index; i < values.size(); i += classes) add(values[i]);
  return odds;
}

Result<Explanation> Model::ExplainBySampling(std::span<const float> row, size_t class_index) const {
  const size_t n = row.size();
  Random random(0x5EED);
  std::vector<std::vector<size_t>> orders;
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (size_t walk = 0; walk < kWalks; ++walk) {
    for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
    orders.push_back(order);
    orders.emplace_back(order.rbegin(), order.rend());
  }
  std::vector<float> rows;
  for (const auto& steps : orders) {
    std::vector<float> at = healthy_;
    rows.insert(rows.end(), at.begin(), at.end());
    for (const size_t feature : steps) {
      at[feature] = row[feature];
      rows.insert(rows.end(), at.begin(), at.end());
    }
  }
  ASSIGN_OR_RETURN(const auto odds, LogOdds(rows, class_index));
  Explanation explanation;
  explanation.contributions.assign(n, 0.0);
  for (size_t o = 0; o < orders.size(); ++o) {
    const double* walk = odds.data() + o * (n + 1);
    for (size_t i = 0; i < n; ++i)
      explanation.contributions[orders[o][i]] +=
          (walk[i + 1] - walk[i]) / static_cast<double>(orders.size());
  }
  explanation.base_value = odds.front();
  explanation.margin = odds[n];
  return explanation;
}

}  // namespace penstock::inference
