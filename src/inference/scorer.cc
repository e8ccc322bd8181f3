// A prediction is made of the row in the model's order, as float32 like in training. The interval
// around its probability is not a property of this row: it is what that probability meant on
// held-out rows (the calibration bin's share of hits with its Wilson interval), stretched to
// contain the probability itself.
#include "inference/scorer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/metrics.h"

namespace penstock::inference {
namespace {

size_t LatencyBin(double us) {
  const double bin = 4 * std::log2(std::max(us * 1000, 1.0));
  return std::min<size_t>(static_cast<size_t>(bin), 127);
}
double BinUpperUs(size_t bin) { return std::exp2(static_cast<double>(bin + 1) / 4) / 1000; }

// Index of the most probable class that is not "normal".
size_t TopOf(const std::vector<std::string>& classes, const std::vector<double>& probabilities) {
  size_t top = classes.size();
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] == "normal") continue;
    if (top == classes.size() || probabilities[i] > probabilities[top]) top = i;
  }
  return top == classes.size() ? 0 : top;
}

std::vector<Contribution> Because(const ModelCard& card, const Explanation& explanation,
                                  const std::vector<float>& row,
                                  const std::vector<std::string>& units) {
  std::vector<Contribution> because(row.size());
  for (size_t i = 0; i < row.size(); ++i) {
    because[i].feature = card.schema.features[i].name();
    because[i].value = row[i];
    because[i].unit = units[i];
    because[i].contribution = explanation.contributions[i];
    because[i].normal_low = card.profile.empty() ? NAN : card.profile[i].p5;
    because[i].normal_high = card.profile.empty() ? NAN : card.profile[i].p95;
  }
  std::stable_sort(because.begin(), because.end(),
                   [](const Contribution& a, const Contribution& b) {
                     return std::abs(a.contribution) > std::abs(b.contribution);
                   });
  return because;
}

}  // namespace

std::string FeatureUnit(const telemetry::FeatureSpec& feature, const std::string& unit) {
  const std::string& kind = feature.statistic;
  if (kind == "count" || kind == "crest" || kind == "kurtosis") return "1";
  if (unit.empty()) return kind == "slope" ? "/h" : "";
  if (kind != "slope") return unit;
  return unit.find('/') == std::string::npos ? unit + "/h" : "(" + unit + ")/h";
}

Result<std::shared_ptr<const Scorer::Bound>> Scorer::Make(
    const ModelBinding& binding, const std::map<std::string, std::string>& units) const {
  ASSIGN_OR_RETURN(const uint32_t version, repository_.Resolve(binding.model, binding.alias));
  auto bound = std::make_shared<Bound>();
  bound->binding = binding;
  bound->units = units;
  ASSIGN_OR_RETURN(bound->model, repository_.Load(binding.model, version));
  const ModelCard& card = bound->model->card();
  const std::string name = fmt::format("{}@{}", binding.model, version);
  if (auto fits = CheckFeatures(binding.schema, card.schema, name); !fits)
    return std::unexpected(std::move(fits).error().Where(binding.file).At("/features"));
  for (size_t i = 0; i < binding.alarms.size(); ++i) {
    const std::string& wanted = binding.alarms[i].cause;
    if (std::find(card.classes.begin(), card.classes.end(), wanted) != card.classes.end()) continue;
    auto error = FailedPrecondition("model {} has no class {}: it knows {}", name, wanted,
                                    fmt::join(card.classes, ", "));
    error.error()
        .Where(binding.file)
        .At(fmt::format("/alarm/{}/when", i))
        .Fix(Nearest(wanted, card.classes));
    return error;
  }
  for (const auto& feature : card.schema.features) {
    const auto found =
        std::find(binding.schema.features.begin(), binding.schema.features.end(), feature);
    bound->order.push_back(static_cast<size_t>(found - binding.schema.features.begin()));
    const auto unit = units.find(feature.property);
    bound->feature_units.push_back(FeatureUnit(feature, unit == units.end() ? "" : unit->second));
  }
  return std::shared_ptr<const Bound>(std::move(bound));
}

Status Scorer::Bind(const ModelBinding& binding, const std::map<std::string, std::string>& units) {
  if (binding.detector)
    return InvalidArgument("{} is a detector, not a trained model", binding.model);
  ASSIGN_OR_RETURN(auto bound, Make(binding, units));
  const std::lock_guard lock(mutex_);
  bound_[binding.model] = std::move(bound);
  return {};
}

void Scorer::Unbind(const std::string& model) {
  const std::lock_guard lock(mutex_);
  bound_.erase(model);
}

Result<std::vector<std::string>> Scorer::Reload() {
  std::vector<std::shared_ptr<const Bound>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, bound] : bound_) all.push_back(bound);
  }
  std::vector<std::string> changed;
  for (const auto& bound : all) {
    ASSIGN_OR_RETURN(const uint32_t version,
                     repository_.Resolve(bound->binding.model, bound->binding.alias));
    if (version == bound->model->version()) continue;
    TRY(Bind(bound->binding, bound->units));
    changed.push_back(bound->binding.model);
  }
  return changed;
}

Result<Prediction> Scorer::Score(const std::string& model, const telemetry::FeatureRow& row) {
  std::shared_ptr<const Bound> bound;
  {
    const std::lock_guard lock(mutex_);
    const auto found = bound_.find(model);
    if (found == bound_.end()) return NotFound("no model {} is bound", model);
    bound = found->second;
  }
  const ModelCard& card = bound->model->card();
  if (row.values.size() != bound->binding.schema.features.size())
    return InvalidArgument("a row of {} values for {} features of {}", row.values.size(),
                           bound->binding.schema.features.size(), model);
  const auto start = std::chrono::steady_clock::now();
  std::vector<float> values;
  size_t present = 0;
  for (const size_t at : bound->order) {
    const auto value = static_cast<float>(row.values[at]);
    values.push_back(std::isfinite(value) ? value : std::numeric_limits<float>::quiet_NaN());
    if (std::isfinite(value)) ++present;
  }
  if (static_cast<double>(present) < kPresentMin * static_cast<double>(values.size())) {
    Count(model, true, 0);
    return FailedPrecondition("{} of {} features of {} are missing at {}", values.size() - present,
                              values.size(), row.thing, FormatTime(row.at));
  }

  Prediction prediction;
  prediction.trace = row.trace;
  prediction.thing = row.thing;
  prediction.asset = row.asset;
  prediction.at = row.at;
  prediction.model = model;
  prediction.version = bound->model->version();
  prediction.digest = bound->model->digest();
  prediction.classes = card.classes;
  prediction.probabilities.resize(card.classes.size());
  TRY(bound->model->Predict(values, prediction.probabilities));
  prediction.top = TopOf(prediction.classes, prediction.probabilities);
  ASSIGN_OR_RETURN(const Explanation explanation, bound->model->Explain(values, prediction.top));
  prediction.base_value = explanation.base_value;
  prediction.margin = explanation.margin;
  prediction.because = Because(card, explanation, values, bound->feature_units);
  const double p = prediction.probabilities[prediction.top];
  const Interval interval = card.ConfidenceOf(prediction.classes[prediction.top], p);
  prediction.confidence_low = std::min(interval.low, p);
  prediction.confidence_high = std::max(interval.high, p);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  prediction.latency_us = took.count();
  Count(model, false, prediction.latency_us);
  return prediction;
}

void Scorer::Count(const std::string& model, bool refused, double latency_us) {
  static Metric& made = Counter("penstock_predictions_total", "Predictions made");
  static Metric& not_made =
      Counter("penstock_predictions_refused_total", "Rows with too few features to predict");
  (refused ? not_made : made).Add();
  const std::lock_guard lock(mutex_);
  Tally& tally = tallies_[model];
  ++(refused ? tally.refused : tally.predictions);
  if (!refused) ++tally.latency[LatencyBin(latency_us)];
}

std::shared_ptr<const Model> Scorer::ModelOf(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto found = bound_.find(model);
  return found == bound_.end() ? nullptr : found->second->model;
}

ScorerStats Scorer::StatsOf(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(model);
  if (found == tallies_.end()) return {};
  const Tally& tally = found->second;
  const auto quantile = [&](double share) {
    const double wanted = share * static_cast<double>(tally.predictions);
    uint64_t seen = 0;
    for (size_t bin = 0; bin < tally.latency.size(); ++bin) {
      seen += tally.latency[bin];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return BinUpperUs(bin);
    }
    return 0.0;
  };
  return {tally.predictions, tally.refused, quantile(0.5), quantile(0.99)};
}

}  // namespace penstock::inference
