// From labelled history to installed models. Each run of the plant is one connected stretch: its readings become batches, the feature
// engine (the very one of the live node, without a clock) makes rows, the plant's maintenance record makes the labels.
//
// A fault can be recognised from kDetectable of its damage on; repairs, breakdowns and the window after them are left out.
#include "commands/training.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "inference/binding.h"
#include "inference/model_repository.h"
#include "learning/labels.h"
#include "learning/trainer.h"
#include "plant/history.h"
#include "running_time.h"
#include "telemetry/feature_engine.h"
#include "telemetry/history_feed.h"
#include "things/directory.h"

namespace penstock::commands {
namespace {

constexpr double kDetectable = 0.4;           // Of the damage, 0..1.
constexpr Duration kGapBetweenRuns = std::chrono::hours(24);
constexpr const char* kFirstRun = "2025-01-06T06:00:00Z";

using learning::DatasetBuilder;
using learning::LabelInterval;
using telemetry::FeatureRow;

// A model to train: its binding, where it runs, and the rows so far.
struct Job {
  inference::ModelBinding binding;
  std::vector<std::string> things;
  std::unique_ptr<DatasetBuilder> builder;
  std::vector<FeatureRow> rows;  // Of the present run.
};

struct Jobs {
  std::unique_ptr<things::PointIds> ids = things::PointIdsInMemory();
  std::unique_ptr<things::Directory> directory;
  std::shared_ptr<const things::Snapshot> snapshot;
  std::map<std::string, Job> by_model;
};

Result<Jobs> ReadJobs(const Settings& settings, const std::string& only) {
  Jobs jobs;
  jobs.directory = std::make_unique<things::Directory>(settings.folder, *jobs.ids);
  for (const auto& finding : jobs.directory->Reload())
    if (finding.is_error) return std::unexpected(finding.error);
  jobs.snapshot = jobs.directory->snapshot();
  auto bindings = inference::ReadBindings(settings.folder + "/models");
  if (!bindings.bad.empty()) return std::unexpected(bindings.bad.front());
  for (auto& binding : bindings.good) {
    if (binding.detector || (!only.empty() && binding.model != only)) continue;
    Job job;
    std::vector<std::string> faults;
    for (const auto& alarm : binding.alarms) faults.push_back(alarm.class_name);
    job.things = binding.on_things.empty() ? telemetry::ThingsOfModel(*jobs.snapshot, binding.on_model) : binding.on_things;
    job.builder = std::make_unique<DatasetBuilder>(binding.schema, faults);
    job.binding = std::move(binding);
    const std::string name = job.binding.model;
    jobs.by_model.emplace(name, std::move(job));
  }
  if (!jobs.by_model.empty()) return jobs;
  auto error = NotFound("no model to train{}", only.empty() ? "" : " named " + only);
  error.error().Where(settings.folder + "/models");
  return error;
}

Status AddSchemas(Jobs& jobs, telemetry::FeatureEngine& engine) {
  for (const auto& [name, job] : jobs.by_model) TRY(engine.AddSchema(name, job.binding.schema, *jobs.snapshot, job.things));
  engine.OnRow([&jobs](const std::string& schema, FeatureRow&& row) { jobs.by_model.at(schema).rows.push_back(std::move(row)); });
  return {};
}

// Rows of a machine that stands are left out: the live node does not score those either.
void KeepRowsOfRunning(Jobs& jobs, const RunningTime& running) {
  for (auto& [name, job] : jobs.by_model)
    std::erase_if(job.rows, [&](const FeatureRow& row) { return !running.RanThrough(row.thing, row.at, row.window); });
}

void TakeLabels(Jobs& jobs, const std::string& run, const std::vector<LabelInterval>& labels) {
  for (auto& [name, job] : jobs.by_model) {
    std::vector<LabelInterval> own;
    for (const LabelInterval& label : labels)
      if (std::find(job.things.begin(), job.things.end(), label.thing) != job.things.end()) own.push_back(label);
    job.builder->BeginRun(run, std::move(own));
    for (const FeatureRow& row : job.rows) job.builder->Add(row);
    job.rows.clear();
  }
}

void AddFaults(const std::vector<plant::FaultEvent>& faults, std::vector<LabelInterval>* labels) {
  for (const auto& fault : faults) {
    const Time end = fault.repair_began.value_or(fault.failed_at.value_or(fault.would_fail_at));
    LabelInterval label{fault.machine, fault.onset, end, fault.kind, "maintenance", {}};
    Time detectable = fault.onset;
    while (detectable < end && fault.DamageAt(detectable) < kDetectable) detectable += std::chrono::minutes(1);
    label.detectable_from = detectable;
    labels->push_back(std::move(label));
  }
}

void AddReading(const plant::Reading& reading, PointId id, telemetry::Batch* batch) {
  const telemetry::Quality quality = reading.bad ? telemetry::kBadSensorFailure : telemetry::kGood;
  if (reading.waveform.empty()) return batch->Add(id, reading.time, reading.time, reading.value, quality);
  for (size_t i = 0; i < reading.waveform.size(); ++i)
    batch->Add(id, reading.time + FromSeconds(static_cast<double>(i) / reading.sample_rate_hz), reading.time, reading.waveform[i], quality);
}

Status RunOnce(Jobs& jobs, uint64_t seed, Time start, double hours) {
  telemetry::FeatureEngine engine;
  TRY(AddSchemas(jobs, engine));
  RunningTime running;
  telemetry::Batch batch;
  std::vector<plant::FaultEvent> faults;
  plant::HistoryRun run;
  run.seed = seed;
  run.start = start;
  run.hours = hours;
  plant::RunHistory(
      run,
      [&](const plant::Reading& reading) {
        const things::Point* point = jobs.snapshot->FindPoint(reading.path);
        if (point == nullptr) return;
        batch.Clear();
        AddReading(reading, point->id, &batch);
        running.Observe(batch, *jobs.snapshot);
        engine.Observe(batch);
      },
      &faults);
  engine.Finish();
  KeepRowsOfRunning(jobs, running);
  std::vector<LabelInterval> labels;
  AddFaults(faults, &labels);
  TakeLabels(jobs, fmt::format("seed-{}", seed), labels);
  return {};
}

Result<Json> TrainAll(Jobs& jobs, const std::string& models_folder, const std::function<void(const std::string&)>& progress) {
  inference::ModelRepository repository(models_folder);
  Json reports = Json::array();
  for (auto& [name, job] : jobs.by_model) {
    progress(fmt::format("training {} on {} rows", name, job.builder->rows()));
    ASSIGN_OR_RETURN(const learning::Dataset dataset, job.builder->Build());
    ASSIGN_OR_RETURN(learning::TrainedModel trained, learning::TrainModel(dataset, {}, SystemClock().Now()));
    ASSIGN_OR_RETURN(trained.report.version, repository.Install(name, AsBytes(trained.onnx)));
    TRY(repository.Activate(name, trained.report.version));
    trained.report.model = name;
    reports.push_back(trained.report.ToJson());
  }
  return reports;
}

}  // namespace

Result<Json> TrainFromPlant(const Settings& settings, const std::string& models_folder, const std::string& model,
                            const PlantHistory& history, const std::function<void(const std::string&)>& progress) {
  ASSIGN_OR_RETURN(Jobs jobs, ReadJobs(settings, model));
  ASSIGN_OR_RETURN(Time start, ParseTime(kFirstRun));
  for (int i = 0; i < history.runs; ++i) {
    progress(fmt::format("plant history {} of {}", i + 1, history.runs));
    TRY(RunOnce(jobs, history.first_seed + static_cast<uint64_t>(i), start, history.hours));
    start += FromSeconds(history.hours * 3600) + kGapBetweenRuns;
  }
  return TrainAll(jobs, models_folder, progress);
}

Result<Json> TrainFromSite(const Settings& settings, const std::string& models_folder, const std::string& model,
                           const std::function<void(const std::string&)>& progress) {
  ASSIGN_OR_RETURN(Jobs jobs, ReadJobs(settings, model));
  ASSIGN_OR_RETURN(const auto records, storage::Records::OpenReadOnly(settings.data + "/records.db"));
  ASSIGN_OR_RETURN(const auto stored, learning::Labels::Open(*records));
  ASSIGN_OR_RETURN(const auto newest, stored->Between({}, Time{}, Time::max()));
  if (newest.empty()) {
    auto error = FailedPrecondition("no labels yet: nobody has answered an alarm");
    error.error().Fix("answer alarms in the console, or train on the plant: --plant-seeds 1001..1060");
    return error;
  }
  std::vector<LabelInterval> labels;
  Time from = Time::max(), to = Time::min();
  for (const auto& label : newest) {
    from = std::min(from, label.from);
    to = std::max(to, label.to);
    if (label.class_name != learning::kNormal)
      labels.push_back({label.thing, label.from, label.to, label.class_name, label.source, label.from});
  }
  ASSIGN_OR_RETURN(const auto past, storage::History::OpenReadOnly(settings.data + "/history"));
  telemetry::FeatureEngine engine;
  TRY(AddSchemas(jobs, engine));
  RunningTime running;
  progress(fmt::format("history from {} to {}, {} labels", FormatTime(from), FormatTime(to), newest.size()));
  std::vector<PointId> points;
  for (const auto& [path, id] : jobs.snapshot->by_path) points.push_back(id);
  ASSIGN_OR_RETURN(const uint64_t fed, telemetry::FeedFromHistory(*past, *jobs.snapshot, points, from - std::chrono::hours(12), to,
                                                                  [&](const telemetry::Batch& batch) {
                                                                    running.Observe(batch, *jobs.snapshot);
                                                                    engine.Observe(batch);
                                                                  }));
  engine.Finish();
  progress(fmt::format("{} samples", fed));
  KeepRowsOfRunning(jobs, running);
  TakeLabels(jobs, "site", labels);
  return TrainAll(jobs, models_folder, progress);
}

Status EnsureDemoModels(const Settings& settings, const std::string& models_folder) {
  ASSIGN_OR_RETURN(const Jobs jobs, ReadJobs(settings, ""));
  const inference::ModelRepository repository(models_folder);
  if (std::all_of(jobs.by_model.begin(), jobs.by_model.end(),
                  [&](const auto& entry) { return repository.Champion(entry.first).has_value(); }))
    return {};
  fmt::print(stderr, "no models yet: training them on the plant's labelled history (once)\n");
  // In a process of its own: training takes memory that the node does not need.
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot start the training");
  if (pid == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execl("/proc/self/exe", "penstock", "learn", "train", "--plant-seeds", "1001..1060", "--site", settings.folder.c_str(), "--out",
          models_folder.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Internal("the training failed; run it by hand: penstock learn train --plant-seeds 1001..1060 --site {} --out {}",
                  settings.folder, models_folder);
}

}  // namespace penstock::commands
