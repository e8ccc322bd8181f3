// Where labelled history comes from: runs of the simulated plant with its maintenance record, or
// the site's own history with the labels that verdicts made. What is done with it is
// learning::TrainFromHistory.
//
// A fault of the plant can be recognised from kDetectable of its damage on. Repairs, breakdowns and
// inspections are left out.
#include "commands/training.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "inference/binding.h"
#include "inference/model_repository.h"
#include "learning/labels.h"
#include "learning/training.h"
#include "plant/history.h"
#include "telemetry/history_feed.h"
#include "things/directory.h"

namespace penstock::commands {
namespace {

constexpr double kDetectable = 0.4;  // Of the damage, 0..1.
constexpr Duration kGapBetweenRuns = std::chrono::hours(24);
constexpr Duration kBeforeFirstLabel = std::chrono::hours(12);
constexpr const char* kFirstRun = "2025-01-06T06:00:00Z";
constexpr const char* kDemoSeeds = "1001..1060";

using learning::LabelInterval;
using Labelled = Result<std::vector<LabelInterval>>;
using Sink = std::function<void(telemetry::Batch batch)>;
using Progress = std::function<void(const std::string&)>;

// What there is to train, and the points to train it from.
struct Task {
  std::unique_ptr<things::PointIds> ids = things::PointIdsInMemory();
  std::unique_ptr<things::Directory> directory;
  std::shared_ptr<const things::Snapshot> snapshot;
  std::vector<inference::ModelBinding> bindings;
};

Result<Task> ReadTask(const Settings& settings, const std::string& only) {
  Task task;
  task.directory = std::make_unique<things::Directory>(settings.folder, *task.ids);
  for (const auto& finding : task.directory->Reload())
    if (finding.is_error) return std::unexpected(finding.error);
  task.snapshot = task.directory->snapshot();
  auto bindings = inference::ReadBindings(settings.folder + "/models");
  if (!bindings.bad.empty()) return std::unexpected(bindings.bad.front());
  for (auto& binding : bindings.good)
    if (only.empty() || binding.model == only) task.bindings.push_back(std::move(binding));
  if (!task.bindings.empty()) return task;
  auto error = NotFound("no model to train{}", only.empty() ? "" : " named " + only);
  error.error().Where(settings.folder + "/models");
  return error;
}

telemetry::Batch BatchOf(const plant::Reading& reading, PointId id) {
  telemetry::Batch batch;
  const telemetry::Quality quality = reading.bad ? telemetry::kBadSensorFailure : telemetry::kGood;
  if (reading.waveform.empty()) batch.Add(id, reading.time, reading.time, reading.value, quality);
  batch.Reserve(reading.waveform.size());
  for (size_t i = 0; i < reading.waveform.size(); ++i) {
    const Duration after = FromSeconds(static_cast<double>(i) / reading.sample_rate_hz);
    batch.Add(id, reading.time + after, reading.time + after, reading.waveform[i], quality);
  }
  return batch;
}

LabelInterval LabelOf(const plant::FaultEvent& fault) {
  const Time end = fault.repair_began.value_or(fault.failed_at.value_or(fault.would_fail_at));
  Time detectable = fault.onset;
  while (detectable < end && fault.DamageAt(detectable) < kDetectable)
    detectable += std::chrono::minutes(1);
  return {fault.machine, fault.onset, end, fault.kind, "maintenance", detectable};
}

std::vector<LabelInterval> RunPlant(const things::Snapshot& snapshot, const plant::HistoryRun& run,
                                    const Sink& sink) {
  std::vector<plant::FaultEvent> faults;
  std::vector<plant::StopEvent> stops;
  plant::RunHistory(
      run,
      [&](const plant::Reading& reading) {
        if (const things::Point* point = snapshot.FindPoint(reading.path))
          sink(BatchOf(reading, point->id));
      },
      &faults, nullptr, &stops);
  std::vector<LabelInterval> labels;
  for (const auto& fault : faults) labels.push_back(LabelOf(fault));
  for (const auto& stop : stops)
    labels.push_back({stop.machine,
                      stop.began,
                      stop.ends_at,
                      std::string(learning::kExcluded),
                      stop.reason,
                      {}});
  return labels;
}

Result<Json> TrainAll(const Task& task, const std::string& models_folder,
                      const learning::History& history, const Progress& progress) {
  inference::ModelRepository repository(models_folder);
  learning::HistoryTraining options;
  options.trained_at = SystemClock().Now();
  options.progress = progress;
  ASSIGN_OR_RETURN(const auto reports, learning::TrainFromHistory(task.bindings, task.snapshot,
                                                                  history, repository, options));
  learning::AnomalyScorer detectors(models_folder);
  for (const auto& binding : task.bindings)
    if (binding.detector) TRY(detectors.Bind(binding));
  TRY(learning::FitDetectorsFromHistory(task.bindings, task.snapshot, history, detectors, options));
  Json list = Json::array();
  for (const auto& report : reports) list.push_back(report.ToJson());
  return list;
}

// What people said, as intervals; "normal" is what no interval touches.
Result<std::vector<LabelInterval>> LabelsOf(storage::Records& records, Time* from, Time* to) {
  ASSIGN_OR_RETURN(const auto stored, learning::Labels::Open(records));
  ASSIGN_OR_RETURN(const auto newest, stored->Between({}, Time{}, Time::max()));
  if (newest.empty()) {
    auto error = FailedPrecondition("no labels yet: nobody has answered an alarm");
    error.error().Fix(
        std::string("answer alarms in the console, or train on the plant: --plant-seeds ") +
        kDemoSeeds);
    return error;
  }
  std::vector<LabelInterval> labels;
  *from = Time::max();
  *to = Time::min();
  for (const auto& label : newest) {
    *from = std::min(*from, label.from);
    *to = std::max(*to, label.to);
    if (label.class_name != learning::kNormal)
      labels.push_back(
          {label.thing, label.from, label.to, label.class_name, label.source, label.from});
  }
  return labels;
}

}  // namespace

Result<Json> TrainFromPlant(const Settings& settings, const std::string& models_folder,
                            const std::string& model, const PlantHistory& history,
                            const Progress& progress) {
  ASSIGN_OR_RETURN(const Task task, ReadTask(settings, model));
  ASSIGN_OR_RETURN(const Time first, ParseTime(kFirstRun));
  learning::History runs;
  runs.runs = static_cast<size_t>(history.runs);
  runs.replay = [&](size_t run, const Sink& sink) -> Labelled {
    progress(fmt::format("plant history {} of {}", run + 1, history.runs));
    plant::HistoryRun plant_run;
    plant_run.seed = history.first_seed + run;
    plant_run.start =
        first + static_cast<int64_t>(run) * (FromSeconds(history.hours * 3600) + kGapBetweenRuns);
    plant_run.hours = history.hours;
    return RunPlant(*task.snapshot, plant_run, sink);
  };
  return TrainAll(task, models_folder, runs, progress);
}

Result<Json> TrainFromSite(const Settings& settings, const std::string& models_folder,
                           const std::string& model, const Progress& progress) {
  ASSIGN_OR_RETURN(const Task task, ReadTask(settings, model));
  ASSIGN_OR_RETURN(const auto records, storage::Records::OpenReadOnly(RecordsAddress(settings)));
  Time from, to;
  ASSIGN_OR_RETURN(const auto labels, LabelsOf(*records, &from, &to));
  ASSIGN_OR_RETURN(const auto past, storage::History::OpenReadOnly(settings.data + "/history"));
  std::vector<PointId> points;
  for (const auto& [path, id] : task.snapshot->by_path) points.push_back(id);
  learning::History one;
  one.runs = 1;
  one.replay = [&](size_t, const Sink& sink) -> Labelled {
    progress(fmt::format("history from {} to {}, {} fault labels", FormatTime(from), FormatTime(to),
                         labels.size()));
    ASSIGN_OR_RETURN(const uint64_t fed,
                     telemetry::FeedFromHistory(*past, *task.snapshot, points,
                                                from - kBeforeFirstLabel, to, sink));
    progress(fmt::format("{} samples", fed));
    return labels;
  };
  return TrainAll(task, models_folder, one, progress);
}

Status EnsureDemoModels(const Settings& settings, const std::string& models_folder) {
  ASSIGN_OR_RETURN(const Task task, ReadTask(settings, ""));
  const inference::ModelRepository repository(models_folder);
  const bool all =
      std::all_of(task.bindings.begin(), task.bindings.end(), [&](const auto& binding) {
        return binding.detector || repository.Champion(binding.model).has_value();
      });
  if (all) return {};
  fmt::print(stderr, "no models yet: training them on the plant's labelled history (once)\n");
  // In a process of its own: training takes memory that the node does not need.
  const pid_t pid = fork();
  if (pid < 0) return FromErrno(errno, "cannot start the training");
  if (pid == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execl("/proc/self/exe", "penstock", "learn", "train", "--plant-seeds", kDemoSeeds, "--site",
          settings.folder.c_str(), "--out", models_folder.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Internal(
      "the training failed; run it by hand: penstock learn train --plant-seeds {} --site {} --out "
      "{}",
      kDemoSeeds, settings.folder, models_folder);
}

}  // namespace penstock::commands
