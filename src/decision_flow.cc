// The flow of one row: skip it when the machine stood still in its window, ask the model (or the
// detector), hand the prediction to each alarm rule. Only when an alarm comes of it is the evidence
// put into words and stored.
#include "decision_flow.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/metrics.h"
#include "decision_text.h"
#include "learning/training.h"

namespace penstock {
namespace {

// Statistics in the unit of their point; the others have none or one of their own.
std::string UnitOf(const std::string& statistic, const std::string& unit) {
  if (statistic == "slope") return unit.empty() ? "/h" : unit + "/h";
  if (statistic == "count" || statistic == "crest" || statistic == "kurtosis") return "";
  return unit;
}

double ProbabilityOf(const inference::Prediction& prediction, const std::string& name) {
  for (size_t i = 0; i < prediction.classes.size(); ++i)
    if (prediction.classes[i] == name) return prediction.probabilities[i];
  return std::nan("");
}

}  // namespace

std::vector<Error> DecisionFlow::Bind(const std::string& models_folder_of_site) {
  inference::Bindings bindings = inference::ReadBindings(models_folder_of_site);
  UnbindAllBut(bindings);
  std::vector<Error> problems = std::move(bindings.bad);
  const auto snapshot = parts_.directory.snapshot();
  for (inference::ModelBinding& binding : bindings.good)
    if (auto status = BindOne(std::move(binding), *snapshot); !status)
      problems.push_back(std::move(status.error()));
  for (const Error& problem : problems) LogWarn("model not used: {}", problem.ToString());
  return problems;
}

void DecisionFlow::UnbindAllBut(const inference::Bindings& bindings) {
  const auto stays = [&](const Bound& bound) {
    return std::ranges::any_of(
               bindings.good,
               [&](const auto& binding) { return binding.model == bound.binding.model; }) ||
           std::ranges::any_of(
               bindings.bad, [&](const Error& error) { return error.where == bound.binding.file; });
  };
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, bound] : bound_)
      if (!stays(*bound)) gone.push_back(name);
    for (const std::string& name : gone) bound_.erase(name);
  }
  for (const std::string& name : gone) {
    parts_.features.RemoveSchema(name);
    parts_.scorer.Unbind(name);
    parts_.anomalies.Unbind(name);
    parts_.alarms.Retire(name);
    LogInfo("model no longer used: no file binds {}", name);
  }
}

Status DecisionFlow::BindOne(inference::ModelBinding&& binding, const things::Snapshot& snapshot) {
  auto bound = std::make_shared<Bound>();
  bound->things = learning::ThingsOf(binding, snapshot);
  if (binding.detector) {
    TRY(parts_.anomalies.Bind(binding));
  } else {
    TRY(parts_.scorer.Bind(binding));
  }
  if (auto status =
          parts_.features.AddSchema(binding.model, binding.schema, snapshot, bound->things);
      !status)
    return std::unexpected(std::move(status.error().Where(binding.file)));
  bound->binding = std::move(binding);
  const std::lock_guard lock(mutex_);
  auto& place = bound_[bound->binding.model];
  if (place != nullptr) bound->predictions = place->predictions.load();
  place = std::move(bound);
  return {};
}

void DecisionFlow::Observe(const telemetry::Batch& batch) {
  const std::lock_guard lock(mutex_);
  running_.Observe(batch, *parts_.directory.snapshot());
}

void DecisionFlow::FillUnits(inference::Prediction& prediction) const {
  const auto snapshot = parts_.directory.snapshot();
  for (auto& c : prediction.because) {
    const things::Point* point =
        snapshot->FindPoint(prediction.thing + "/" + PropertyOf(c.feature));
    const std::string statistic =
        c.feature.substr(std::min(c.feature.size(), PropertyOf(c.feature).size() + 1));
    if (point != nullptr && c.unit.empty()) c.unit = UnitOf(statistic, point->unit);
  }
}

Result<std::optional<inference::Prediction>> DecisionFlow::Predict(
    const Bound& bound, const telemetry::FeatureRow& row) {
  if (bound.binding.detector)
    return parts_.anomalies.Score(bound.binding.model, row, !parts_.alarms.AnyOpen(row.thing));
  ASSIGN_OR_RETURN(inference::Prediction prediction, parts_.scorer.Score(bound.binding.model, row));
  return prediction;
}

void DecisionFlow::OnRow(const std::string& schema, telemetry::FeatureRow&& row) {
  std::shared_ptr<Bound> bound;
  {
    const std::lock_guard lock(mutex_);
    const auto found = bound_.find(schema);
    if (found == bound_.end() || !running_.RanThrough(row.thing, row.at, row.window)) return;
    bound = found->second;
  }
  auto prediction = Predict(*bound, row);
  if (!prediction) {
    if (prediction.error().code != Code::kFailedPrecondition)
      LogSometimes(LogLevel::kWarn, "score " + schema,
                   "not scored: " + prediction.error().ToString());
    return;
  }
  if (!*prediction) return;
  ++bound->predictions;
  FillUnits(**prediction);
  Judge(*bound, **prediction, row);
}

void DecisionFlow::Judge(const Bound& bound, const inference::Prediction& prediction,
                         const telemetry::FeatureRow& row) {
  for (const decisions::AlarmRule& rule : bound.binding.alarms)
    parts_.alarms.Observe(prediction, rule, [&] { return BasisOf(bound, prediction, row); });
}

decisions::Basis DecisionFlow::BasisOf(const Bound& bound, const inference::Prediction& prediction,
                                       const telemetry::FeatureRow& row) const {
  const auto snapshot = parts_.directory.snapshot();
  const things::Thing* thing = snapshot->FindThing(row.thing);
  decisions::Basis basis;
  basis.thing_title = thing != nullptr ? thing->title : row.thing;
  basis.features = FeaturesJson(row, bound.binding.schema);
  basis.samples = SamplesJson(row, bound.binding.schema, prediction, *snapshot);
  for (Json& entry : basis.samples)
    if (const things::Point* point = snapshot->FindPoint(entry.value("path", ""));
        point != nullptr && parts_.contract_of)
      entry["contract"] = parts_.contract_of(*point);
  basis.confidence_low = prediction.confidence_low;
  basis.confidence_high = prediction.confidence_high;
  const std::string cause =
      prediction.top < prediction.classes.size() ? prediction.classes[prediction.top] : "";
  const auto most = static_cast<size_t>(std::max(1, bound.binding.explain));
  const auto add = [&](const char* stage, Time at, std::string text, Json detail) {
    if (auto status = parts_.provenance.Add(prediction.trace,
                                            {at, stage, std::move(text), std::move(detail)});
        !status)
      LogSometimes(LogLevel::kError, "provenance", "step not stored: " + status.error().ToString());
  };
  add("samples", row.at, SamplesText(basis.samples), basis.samples);
  add("features", row.at, FeaturesText(prediction, most), basis.features);
  add("model", parts_.clock.Now(),
      ModelText(prediction, cause, ProbabilityOf(prediction, cause), most),
      {{"model", prediction.model},
       {"version", prediction.version},
       {"digest", prediction.digest},
       {"latency_us", prediction.latency_us}});
  return basis;
}

std::optional<std::pair<double, double>> DecisionFlow::NormalBand(
    const things::Point& point) const {
  const std::string statistic = point.type == things::ValueType::kWaveform ? "rms" : "mean";
  const std::string feature = point.property + "." + statistic;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, bound] : bound_) {
    if (std::find(bound->things.begin(), bound->things.end(), point.thing) == bound->things.end())
      continue;
    const auto model = parts_.scorer.ModelOf(name);
    if (model == nullptr) continue;
    for (const auto& profile : model->card().profile)
      if (profile.feature == feature) return std::pair(profile.p5, profile.p95);
  }
  return std::nullopt;
}

Json DecisionFlow::ModelsJson(const inference::ModelRepository& repository) const {
  const std::lock_guard lock(mutex_);
  Json items = Json::array();
  for (const auto& [name, bound] : bound_) {
    Json features = Json::array();
    for (const auto& feature : bound->binding.schema.features) features.push_back(feature.name());
    Json item = {{"name", name},
                 {"on", bound->things},
                 {"features", features},
                 {"version", nullptr},
                 {"digest", nullptr},
                 {"trained_at", nullptr},
                 {"rows", nullptr},
                 {"metrics", Json::object()},
                 {"latency_us_p50", nullptr},
                 {"latency_us_p99", nullptr},
                 {"predictions", bound->predictions.load()},
                 {"versions", Json::array()}};
    if (const auto model = parts_.scorer.ModelOf(name)) {
      const auto stats = parts_.scorer.StatsOf(name);
      item["kind"] = model->kind_name();
      item["version"] = model->version();
      item["digest"] = model->digest();
      item["classes"] = model->card().classes;
      item["trained_at"] = FormatTime(model->card().trained_at);
      item["rows"] = model->card().rows;
      item["metrics"] = model->card().metrics;
      item["latency_us_p50"] = stats.latency_us_p50;
      item["latency_us_p99"] = stats.latency_us_p99;
      if (const auto entries = repository.List())
        for (const auto& entry : *entries)
          if (entry.name == name) item["versions"] = entry.versions;
    } else {
      item["kind"] = "detector";
      item["classes"] = Json::array({"normal", "anomaly"});
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace penstock
