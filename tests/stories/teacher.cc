// The history is drawn from the means and deviations of NAME.history.yaml with a fixed seed: the
// first half of each run is normal, the second has one of the other classes. It goes the way of all
// training: quality marks, feature windows, labels, XGBoost, calibration, ONNX.
#include "tests/stories/teacher.h"

#include <filesystem>
#include <map>
#include <random>

#include "base/file.h"
#include "commands/training.h"
#include "inference/model_repository.h"
#include "learning/training.h"
#include "storage/temporary_folder.h"

namespace penstock::stories {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSeed = 7;
constexpr int kPlantRuns = 16;

std::string ModelsFolder() { return std::string(PENSTOCK_SOURCE_DIR) + "/tests/stories/models/"; }

// Draws one run of the history.
class Lecture {
 public:
  Lecture(const Json& history, const things::Snapshot& snapshot, std::string thing, size_t run)
      : history_(history), snapshot_(snapshot), thing_(std::move(thing)), random_(kSeed + run) {
    now_ =
        ParseTime("2026-01-05T06:00:00Z").value() + std::chrono::hours(24) * static_cast<int>(run);
    for (const auto& [name, points] : history["classes"].items())
      if (name != learning::kNormal) faults_.push_back(name);
    fault_ = faults_.at(run % faults_.size());
  }

  Result<std::vector<learning::LabelInterval>> Play(
      const std::function<void(telemetry::Batch)>& sink) {
    TRY(Class(std::string(learning::kNormal), sink));
    const Time onset = now_;
    TRY(Class(fault_, sink));
    return std::vector{learning::LabelInterval{thing_, onset, now_, fault_, "maintenance", onset}};
  }

 private:
  Status Class(const std::string& name, const std::function<void(telemetry::Batch)>& sink) {
    ASSIGN_OR_RETURN(const Duration length, ParseDuration(StringOr(history_, "each", "")));
    ASSIGN_OR_RETURN(const Duration every, ParseDuration(StringOr(history_, "every", "")));
    for (const Time end = now_ + length; now_ < end; now_ += every) {
      telemetry::Batch batch;
      for (const auto& [property, numbers] : history_["classes"][name].items()) {
        const things::Point* point = snapshot_.FindPoint(thing_ + "/" + property);
        if (point == nullptr) return NotFound("no point {}/{}", thing_, property);
        std::normal_distribution<double> value(numbers.at(0),
                                               std::max(1e-9, numbers.at(1).get<double>()));
        batch.Add(point->id, now_, now_, value(random_));
      }
      sink(std::move(batch));
    }
    return {};
  }

  const Json& history_;
  const things::Snapshot& snapshot_;
  const std::string thing_;
  std::mt19937_64 random_;
  std::vector<std::string> faults_;
  std::string fault_;
  Time now_;
};

Result<std::string> Train(const std::string& name, const std::string& site,
                          const std::string& thing) {
  ASSIGN_OR_RETURN(const std::string binding_text, BindingText(name, thing));
  ASSIGN_OR_RETURN(const Json binding_document, ParseYaml(binding_text));
  ASSIGN_OR_RETURN(const inference::ModelBinding binding,
                   inference::BindingFromJson(binding_document));
  ASSIGN_OR_RETURN(const Json history, ReadDocument(ModelsFolder() + name + ".history.yaml"));
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(site, *ids);
  directory.Reload();
  const auto snapshot = directory.snapshot();
  const storage::TemporaryFolder folder;
  inference::ModelRepository repository(folder.path());
  learning::History lectures;
  lectures.runs = history.value("runs", size_t{0});
  lectures.replay = [&](size_t run, const std::function<void(telemetry::Batch)>& sink) {
    return Lecture(history, *snapshot, thing, run).Play(sink);
  };
  learning::HistoryTraining options;
  options.trained_at = ParseTime("2026-03-01T12:00:00Z").value();
  TRY(learning::TrainFromHistory(std::span(&binding, 1), snapshot, lectures, repository, options));
  return ReadFile(fmt::format("{}/{}/1/model.onnx", folder.path(), name));
}

}  // namespace

Result<std::string> BindingText(const std::string& name, const std::string& thing) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(ModelsFolder() + name + ".yaml"));
  const std::string placeholder = "[THING]";
  const size_t at = text.find(placeholder);
  if (at == std::string::npos) return InvalidArgument("{}.yaml runs on no {}", name, placeholder);
  return text.replace(at, placeholder.size(), "[" + thing + "]");
}

Result<std::string> TrainedModel(const std::string& name, const std::string& site,
                                 const std::string& thing) {
  static std::map<std::string, std::string> trained;
  if (const auto found = trained.find(name); found != trained.end()) return found->second;
  ASSIGN_OR_RETURN(std::string onnx, Train(name, site, thing));
  return trained[name] = std::move(onnx);
}

Status CopyPlantModels(const std::string& site, const std::string& models) {
  static const storage::TemporaryFolder trained;
  if (fs::is_empty(trained.path())) {
    ASSIGN_OR_RETURN(const Settings settings, ReadSite(site));
    commands::PlantHistory history;
    history.runs = kPlantRuns;
    TRY(commands::TrainFromPlant(settings, trained.path(), "", history, [](const std::string&) {}));
  }
  std::error_code error;
  fs::create_directories(models, error);
  fs::copy(trained.path(), models, fs::copy_options::recursive, error);
  if (error) return FromErrno(error.value(), "cannot copy the models");
  return {};
}

}  // namespace penstock::stories
