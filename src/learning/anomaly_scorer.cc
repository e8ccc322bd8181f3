// A row after a pause (more than two rows missing) is fresh: what was smoothed before it says
// nothing about it. A state on disk that does not fit the binding any more is left aside with a
// warning, and the detector warms up again.
#include "learning/anomaly_scorer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "inference/scorer.h"

namespace penstock::learning {
namespace {

constexpr size_t kStateBytesMax = 16 << 20;

double RowsIn(Duration time, const telemetry::FeatureSchema& schema) {
  return ToSeconds(time) / std::max(ToSeconds(schema.every), 1e-6);
}

Json FeatureNames(const telemetry::FeatureSchema& schema) {
  Json names = Json::array();
  for (const auto& feature : schema.features) names.push_back(feature.name());
  return names;
}

bool Follows(const telemetry::FeatureSchema& schema, const std::optional<Time>& last, Time at) {
  return last && at > *last && at - *last <= 3 * schema.every;
}

bool MostlyThere(const telemetry::FeatureRow& row) {
  const auto there = std::count_if(row.values.begin(), row.values.end(),
                                   [](double x) { return std::isfinite(x); });
  return 2 * static_cast<size_t>(there) >= row.values.size();
}

}  // namespace

Status AnomalyScorer::Bind(const inference::ModelBinding& binding,
                           const std::map<std::string, std::string>& units) {
  if (!binding.detector) return InvalidArgument("{} has no detector", binding.model);
  auto kind = FindDetectorKind(binding.detector->kind);
  if (!kind)
    return std::unexpected(std::move(kind).error().Where(binding.file).At("/detector/kind"));
  for (size_t i = 0; i < binding.alarms.size(); ++i) {
    if (binding.alarms[i].cause == "anomaly") continue;
    auto error = FailedPrecondition("a detector knows no class {}", binding.alarms[i].cause);
    error.error().Where(binding.file).At(fmt::format("/alarm/{}/when", i)).Fix("p(anomaly) > 0.5");
    return error;
  }
  const std::lock_guard lock(mutex_);
  Bound& bound = bound_[binding.model];
  if (!(bound.binding.schema == binding.schema)) bound.things.clear();
  bound.binding = binding;
  bound.kind = *kind;
  bound.units.clear();
  for (const auto& feature : binding.schema.features) {
    const auto unit = units.find(feature.property);
    bound.units.push_back(inference::FeatureUnit(feature, unit == units.end() ? "" : unit->second));
  }
  return {};
}

void AnomalyScorer::Unbind(const std::string& model) {
  if (const Status saved = Save(); !saved) LogWarn("detectors: {}", saved.error().ToString());
  const std::lock_guard lock(mutex_);
  bound_.erase(model);
}

std::string AnomalyScorer::FileOf(const std::string& model, const std::string& thing) const {
  return fmt::format("{}/{}/detector-{}.json", folder_, model, thing);
}

void AnomalyScorer::Restore(const Bound& bound, const std::string& thing, Watched& watched) const {
  const std::string file = FileOf(bound.binding.model, thing);
  const auto text = ReadFile(file, kStateBytesMax);
  if (!text) return;
  const auto state = ParseJson(*text);
  if (!state || !state->is_object() || !state->contains("detector")) {
    LogWarn("{} is no detector's state, it warms up again", file);
    return;
  }
  if (StringOr(*state, "kind", "") != bound.kind->name ||
      state->value("features", Json()) != FeatureNames(bound.binding.schema)) {
    LogWarn("{} is of another kind or of other features, it warms up again", file);
    return;
  }
  if (auto restored = watched.detector->Restore((*state)["detector"]); !restored) {
    LogWarn("{}: {}", file, restored.error().message);
    return;
  }
  watched.version = static_cast<uint32_t>(NumberOr(*state, "version", 1));
}

Result<AnomalyScorer::Watched*> AnomalyScorer::WatchedOf(Bound& bound, const std::string& thing) {
  const auto [entry, fresh] = bound.things.try_emplace(thing);
  Watched& watched = entry->second;
  if (!fresh) return &watched;
  const inference::DetectorSpec& spec = *bound.binding.detector;
  auto made = bound.kind->create(
      {.features = bound.binding.schema.features.size(),
       .warm_up = spec.warm_up,
       .memory = std::max(10.0, RowsIn(spec.memory, bound.binding.schema)),
       .false_alarm_rows = std::max(1.0, RowsIn(spec.false_alarm_every, bound.binding.schema))});
  if (!made) {
    bound.things.erase(entry);
    return std::unexpected(made.error());
  }
  watched.detector = std::move(*made);
  if (!folder_.empty()) Restore(bound, thing, watched);
  return &watched;
}

Result<std::optional<inference::Prediction>> AnomalyScorer::Score(const std::string& model,
                                                                  const telemetry::FeatureRow& row,
                                                                  bool may_learn) {
  const std::lock_guard lock(mutex_);
  const auto found = bound_.find(model);
  if (found == bound_.end()) return NotFound("no detector {} is bound", model);
  Bound& bound = found->second;
  const auto& features = bound.binding.schema.features;
  if (row.values.size() != features.size())
    return InvalidArgument("a row of {} values for {} features of {}", row.values.size(),
                           features.size(), model);
  if (!MostlyThere(row)) return std::nullopt;
  ASSIGN_OR_RETURN(Watched * watched, WatchedOf(bound, row.thing));
  const auto start = std::chrono::steady_clock::now();
  const telemetry::FeatureSchema& schema = bound.binding.schema;
  if (!Follows(schema, watched->last, row.at)) watched->settled = row.at + schema.window;
  watched->last = row.at;
  if (row.at < watched->settled) return std::nullopt;
  const bool fresh = row.at < watched->settled + schema.every;
  const DetectorVerdict verdict = watched->detector->Observe(row.values, may_learn, fresh);
  if (!verdict.ready) return std::nullopt;

  inference::Prediction prediction;
  prediction.trace = row.trace;
  prediction.thing = row.thing;
  prediction.asset = row.asset;
  prediction.at = row.at;
  prediction.model = model;
  prediction.version = watched->version;
  prediction.classes = {"normal", "anomaly"};
  prediction.probabilities = {1 - verdict.p, verdict.p};
  prediction.top = 1;
  prediction.margin = verdict.score;
  prediction.confidence_low = 0;
  prediction.confidence_high = 1;
  for (size_t f = 0; f < features.size(); ++f) {
    inference::Contribution part;
    part.feature = features[f].name();
    part.value = row.values[f];
    part.normal_low = verdict.low[f];
    part.normal_high = verdict.high[f];
    part.contribution = verdict.contributions[f];
    part.unit = bound.units[f];
    prediction.because.push_back(std::move(part));
  }
  std::stable_sort(prediction.because.begin(), prediction.because.end(),
                   [](const auto& a, const auto& b) {
                     return std::abs(a.contribution) > std::abs(b.contribution);
                   });
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  prediction.latency_us = took.count();
  return prediction;
}

Status AnomalyScorer::Fit(const std::string& model, const std::string& thing,
                          const std::vector<telemetry::FeatureRow>& rows) {
  const std::lock_guard lock(mutex_);
  const auto found = bound_.find(model);
  if (found == bound_.end()) return NotFound("no detector {} is bound", model);
  ASSIGN_OR_RETURN(Watched * watched, WatchedOf(found->second, thing));
  std::vector<std::vector<double>> values;
  std::vector<bool> fresh;
  const telemetry::FeatureSchema& schema = found->second.binding.schema;
  std::optional<Time> last;
  Time settled{};
  for (const auto& row : rows) {
    if (row.values.size() != schema.features.size() || !MostlyThere(row)) continue;
    if (!Follows(schema, last, row.at)) settled = row.at + schema.window;
    last = row.at;
    if (row.at < settled) continue;
    values.push_back(row.values);
    fresh.push_back(row.at < settled + schema.every);
  }
  TRY(watched->detector->Fit(values, fresh));
  ++watched->version;
  return {};
}

Status AnomalyScorer::Save() const {
  if (folder_.empty()) return {};
  const std::lock_guard lock(mutex_);
  for (const auto& [model, bound] : bound_) {
    for (const auto& [thing, watched] : bound.things) {
      const Json state = watched.detector->Save();
      if (!BoolOr(state, "ready", false)) continue;
      TRY(MakeFolders(folder_ + "/" + model));
      const Json document = {{"kind", bound.kind->name},
                             {"version", watched.version},
                             {"features", FeatureNames(bound.binding.schema)},
                             {"detector", state}};
      TRY(WriteFileAtomically(FileOf(model, thing), document.dump()));
    }
  }
  return {};
}

}  // namespace penstock::learning
