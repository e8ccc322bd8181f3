// History goes through the same quality rules and the same feature windows as live samples, with
// one pass per run for all models; what a row is labelled is known only when the run has ended, so
// its rows wait until then. Rows of a fault that a model has no alarm for are left out of it: they
// are not normal, and it has no word for them.
#include "learning/training.h"

#include <algorithm>
#include <map>

#include "telemetry/feature_engine.h"
#include "telemetry/quality.h"
#include "telemetry/running_time.h"

namespace penstock::learning {
namespace {

class NoQuarantine final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry) override {}
};

std::vector<std::string> FaultsOf(const inference::ModelBinding& binding) {
  std::vector<std::string> faults;
  for (const auto& alarm : binding.alarms) faults.push_back(alarm.cause);
  return faults;
}

Result<TrainReport> TrainOne(const inference::ModelBinding& binding, DatasetBuilder& builder,
                             inference::ModelRepository& repository,
                             const HistoryTraining& options) {
  const auto say = [&](const std::string& line) {
    if (options.progress) options.progress(binding.model + ": " + line);
  };
  auto dataset = builder.Build();
  if (!dataset) {
    Error error = std::move(dataset).error();
    error.message = binding.model + ": " + error.message;
    return std::unexpected(std::move(error.Where(binding.file)));
  }
  say(fmt::format("{} rows in {} groups, {} left out", dataset->labels.size(),
                  dataset->group_names.size(), dataset->left_out));
  ASSIGN_OR_RETURN(TrainedModel made, TrainModel(*dataset, options.train, options.trained_at));
  made.report.model = binding.model;
  ASSIGN_OR_RETURN(made.report.version, repository.Install(binding.model, AsBytes(made.onnx)));
  if (options.activate) TRY(repository.Activate(binding.model, made.report.version));
  say(fmt::format("version {}: {} trees, held-out log loss {:.3f}, accuracy {:.3f}",
                  made.report.version, made.report.trees, made.report.log_loss,
                  made.report.accuracy));
  for (const ClassReport& c : made.report.classes) {
    if (c.name == kNormal) continue;
    say(fmt::format("  {}: {} of {} held-out faults found, precision {:.2f}", c.name,
                    c.episodes_found, c.episodes, c.precision));
  }
  return std::move(made.report);
}

}  // namespace

std::vector<std::string> ThingsOf(const inference::ModelBinding& binding,
                                  const things::Snapshot& snapshot) {
  if (!binding.on_model.empty()) return telemetry::ThingsOfModel(snapshot, binding.on_model);
  std::vector<std::string> names;
  for (const std::string& name : binding.on_things) {
    if (snapshot.FindThing(name) != nullptr) names.push_back(name);
  }
  return names;
}

Result<std::vector<LabelInterval>> RowsOfRun(std::span<const inference::ModelBinding> bindings,
                                             std::shared_ptr<const things::Snapshot> snapshot,
                                             const History& history, size_t run,
                                             const RowVisitor& visit) {
  telemetry::FeatureEngine engine;
  for (const auto& binding : bindings) {
    auto added =
        engine.AddSchema(binding.model, binding.schema, *snapshot, ThingsOf(binding, *snapshot));
    if (!added) return std::unexpected(std::move(added).error().Where(binding.file));
  }
  telemetry::RunningTime running;  // The node does not ask about a machine that stands either.
  engine.OnRow([&](const std::string& model, telemetry::FeatureRow&& row) {
    if (running.RanThrough(row.thing, row.at, row.window)) visit(model, std::move(row));
  });
  NoQuarantine quarantine;
  telemetry::QualityMarker marker(quarantine);
  marker.SetSnapshot(snapshot);
  auto labels = history.replay(run, [&](telemetry::Batch batch) {
    marker.Mark(batch);
    running.Observe(batch, *snapshot);
    engine.Observe(batch);
  });
  engine.Finish();
  return labels;
}

Result<std::vector<TrainReport>> TrainFromHistory(std::span<const inference::ModelBinding> bindings,
                                                  std::shared_ptr<const things::Snapshot> snapshot,
                                                  const History& history,
                                                  inference::ModelRepository& repository,
                                                  const HistoryTraining& options) {
  std::vector<inference::ModelBinding> wanted;
  std::map<std::string, DatasetBuilder> builders;
  for (const auto& binding : bindings) {
    if (binding.detector || binding.alarms.empty()) continue;
    if (ThingsOf(binding, *snapshot).empty()) {
      auto error = NotFound("no thing for model {} to run on", binding.model);
      error.error()
          .Where(binding.file)
          .At("/on")
          .Fix("name a Thing Model or things that are there");
      return error;
    }
    wanted.push_back(binding);
    builders.emplace(binding.model,
                     DatasetBuilder(binding.schema, FaultsOf(binding), options.dataset));
  }
  for (size_t run = 0; run < history.runs; ++run) {
    std::map<std::string, std::vector<telemetry::FeatureRow>> rows;
    ASSIGN_OR_RETURN(const auto labels,
                     RowsOfRun(wanted, snapshot, history, run,
                               [&](const std::string& model, telemetry::FeatureRow&& row) {
                                 rows[model].push_back(std::move(row));
                               }));
    size_t count = 0;
    for (auto& [model, builder] : builders) {
      builder.BeginRun(fmt::format("run-{}", run), labels);
      for (const auto& row : rows[model]) builder.Add(row);
      count += rows[model].size();
    }
    if (options.progress)
      options.progress(fmt::format("history {} of {}: {} rows, {} labels", run + 1, history.runs,
                                   count, labels.size()));
  }
  std::vector<TrainReport> reports;
  for (const auto& binding : wanted) {
    ASSIGN_OR_RETURN(auto report,
                     TrainOne(binding, builders.at(binding.model), repository, options));
    reports.push_back(std::move(report));
  }
  return reports;
}

Status FitDetectorsFromHistory(std::span<const inference::ModelBinding> bindings,
                               std::shared_ptr<const things::Snapshot> snapshot,
                               const History& history, AnomalyScorer& detectors,
                               const HistoryTraining& options) {
  std::vector<inference::ModelBinding> wanted;
  for (const auto& binding : bindings) {
    if (binding.detector) wanted.push_back(binding);
  }
  if (wanted.empty()) return {};
  std::map<std::pair<std::string, std::string>, std::vector<telemetry::FeatureRow>> normal;
  for (size_t run = 0; run < history.runs; ++run) {
    std::vector<std::pair<std::string, telemetry::FeatureRow>> rows;
    const auto keep = [&](const std::string& model, telemetry::FeatureRow&& row) {
      rows.emplace_back(model, std::move(row));
    };
    ASSIGN_OR_RETURN(const auto labels, RowsOfRun(wanted, snapshot, history, run, keep));
    const auto touched = [&](const telemetry::FeatureRow& row) {
      return std::any_of(labels.begin(), labels.end(), [&](const LabelInterval& label) {
        return label.thing == row.thing && label.class_name != kNormal && row.at > label.from &&
               row.at - row.window < label.to;
      });
    };
    for (auto& [model, row] : rows) {
      if (touched(row)) continue;
      auto& list = normal[{model, row.thing}];
      if (list.size() < options.dataset.rows_max) list.push_back(std::move(row));
    }
  }
  for (const auto& [key, rows] : normal) {
    if (auto fitted = detectors.Fit(key.first, key.second, rows); !fitted) {
      Error error = std::move(fitted).error();
      error.message = fmt::format("{} on {}: {}", key.first, key.second, error.message);
      return std::unexpected(std::move(error));
    }
    if (options.progress)
      options.progress(
          fmt::format("{}: knows {} from {} normal rows", key.first, key.second, rows.size()));
  }
  return detectors.Save();
}

}  // namespace penstock::learning
