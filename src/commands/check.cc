// `penstock check SITE`: reads every file of a site as the node would, and the models installed for
// it, and explains every mistake.
#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "commands/command.h"
#include "inference/binding.h"
#include "inference/scorer.h"
#include "learning/anomaly_scorer.h"
#include "telemetry/feature_engine.h"
#include "things/contract_directory.h"
#include "things/directory.h"
#include "value/kpi_file.h"
#include "value/usecase.h"

namespace penstock::commands {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoThing = "no thing has the model ";

struct Report {
  std::vector<things::Finding> findings;
  size_t files = 0;

  void Mistake(Error error) { findings.push_back({true, std::move(error)}); }
  void Doubt(Error error) { findings.push_back({false, std::move(error)}); }
  size_t Count(bool errors) const {
    return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                             [&](const auto& f) { return f.is_error == errors; }));
  }
};

size_t CountFiles(const fs::path& folder, std::string_view suffix) {
  std::error_code error;
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder, error))
    count += entry.path().string().ends_with(suffix) ? 1 : 0;
  return count;
}

bool Binds(const inference::Bindings& bindings, const std::string& model) {
  return std::ranges::any_of(bindings.good,
                             [&](const auto& binding) { return binding.model == model; });
}

// The files by themselves, and their features against the things they run on.
void CheckModels(const inference::Bindings& bindings, const things::Snapshot& snapshot,
                 Report* report) {
  for (const Error& error : bindings.bad) report->Mistake(error);
  telemetry::FeatureEngine features;
  for (const auto& binding : bindings.good) {
    const auto things = binding.on_things.empty()
                            ? telemetry::ThingsOfModel(snapshot, binding.on_model)
                            : binding.on_things;
    if (auto status = features.AddSchema(binding.model, binding.schema, snapshot, things); !status)
      report->Mistake(std::move(status.error().Where(binding.file)));
    for (size_t i = 0; i < binding.suppress_while.size(); ++i)
      if (!Binds(bindings, binding.suppress_while[i]))
        report->Doubt(
            {Code::kNotFound, fmt::format("no file binds the model {}", binding.suppress_while[i]),
             binding.file, fmt::format("/suppress/while/{}", i), "name a model of models/*.yaml"});
    if (things.empty())
      report->Doubt({Code::kNotFound, kNoThing + binding.on_model, binding.file, "/on", ""});
  }
}

// The trained models that lie in `repository` against the files that bind them: what the node would
// refuse at its start.
void CheckInstalled(const inference::Bindings& bindings, const std::string& repository,
                    Report* report) {
  const inference::ModelRepository models(repository);
  const auto installed = models.List();
  if (!installed) return report->Mistake(installed.error());
  inference::Scorer scorer(models);
  learning::AnomalyScorer anomalies("");
  for (const auto& binding : bindings.good) {
    const bool there =
        binding.detector || std::any_of(installed->begin(), installed->end(), [&](const auto& m) {
          return m.name == binding.model && !m.versions.empty();
        });
    if (!there) {
      report->Doubt({Code::kNotFound,
                     fmt::format("no version of {} is installed in {}", binding.model, repository),
                     binding.file, "/model", "penstock learn train"});
      continue;
    }
    auto bound = binding.detector ? anomalies.Bind(binding) : scorer.Bind(binding);
    if (bound) continue;
    Error& error = bound.error();
    if (error.where != binding.file) {  // Of the repository: which version is meant by /model.
      error.message += fmt::format(" (in {})", repository);
      error.Where(binding.file).At("/model");
    }
    report->Mistake(std::move(error));
  }
}

// Also against the versions that were in force in `data`, where there is one.
void CheckContracts(const std::string& folder, const std::string& data,
                    const things::Snapshot& snapshot, Report* report) {
  auto versions = things::ContractVersionsInMemory();
  std::unique_ptr<storage::Records> records;
  if (fs::exists(data + "/records.db"))
    if (auto opened = storage::Records::OpenReadOnly(data + "/records.db")) {
      records = std::move(*opened);
      versions = things::ContractVersionsOf(*records);
    }
  const SystemClock clock;
  things::ContractDirectory contracts(folder, *versions, clock);
  for (auto& finding : contracts.Reload(snapshot)) report->findings.push_back(std::move(finding));
}

// Names of the things whose own file has a mistake, by the file's name.
std::vector<std::string> BrokenThings(const Report& report) {
  constexpr std::string_view kSuffix = ".td.json";
  std::vector<std::string> names;
  for (const auto& [is_error, error] : report.findings) {
    const std::string file = fs::path(error.where).filename().string();
    if (is_error && file.ends_with(kSuffix))
      names.push_back(file.substr(0, file.size() - kSuffix.size()));
  }
  return names;
}

// A thing that cannot be read is told once, not again by every file that speaks of it.
bool FollowsFrom(const things::Finding& finding, const std::vector<std::string>& broken) {
  const std::string& message = finding.error.message;
  if (message.starts_with(kNoThing) || message.starts_with("no thing has the contract ") ||
      message.starts_with("no thing of this contract "))
    return !broken.empty();
  return std::any_of(broken.begin(), broken.end(), [&](const std::string& name) {
    return message.ends_with("unknown: " + name) ||
           message.find("unknown: " + name + "/") != message.npos;
  });
}

// `repository`: of installed models; "": the site's own, where it has one already.
Report CheckSite(std::string folder, std::string repository) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  Report report;
  report.files = 1;
  const auto settings = ReadSite(folder);
  if (!settings) report.Mistake(settings.error());
  if (repository.empty() && settings && fs::is_directory(settings->data + "/models"))
    repository = settings->data + "/models";
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(folder, *ids);
  for (auto& finding : directory.Reload()) report.findings.push_back(std::move(finding));
  report.files += CountFiles(fs::path(folder) / "things", ".json");
  const auto snapshot = directory.snapshot();
  const auto broken = BrokenThings(report);
  CheckContracts(folder, settings ? settings->data : "", *snapshot, &report);
  const auto bindings = inference::ReadBindings(folder + "/models");
  CheckModels(bindings, *snapshot, &report);
  if (!repository.empty()) CheckInstalled(bindings, repository, &report);
  for (auto& error : value::CheckKpiFiles(folder, *snapshot)) report.Mistake(std::move(error));
  for (auto& error : value::CheckUseCaseFiles(folder, *snapshot)) report.Mistake(std::move(error));
  std::erase_if(report.findings, [&](const auto& finding) { return FollowsFrom(finding, broken); });
  for (const char* sub : {"contracts", "models", "kpis", "usecases"})
    report.files += CountFiles(fs::path(folder) / sub, ".yaml");
  return report;
}

Json ToJson(const Report& report) {
  Json items = Json::array();
  for (const auto& [is_error, error] : report.findings)
    items.push_back({{"severity", is_error ? "error" : "warning"},
                     {"file", error.where},
                     {"pointer", error.pointer},
                     {"message", error.message},
                     {"fix", error.fix}});
  return {{"errors", report.Count(true)},
          {"warnings", report.Count(false)},
          {"files", report.files},
          {"findings", items}};
}

}  // namespace

void AddCheck(CLI::App& app, Common& common, int* exit_code) {
  static std::string folder, models;
  CLI::App* command =
      app.add_subcommand("check", "Explain every mistake in a site's files: file, place, fix");
  command->footer("Example: penstock check plant/");
  command->add_option("site", folder, "Site folder")->required();
  command
      ->add_option("--models", models,
                   "Repository of installed models (default: the site's, if there)")
      ->check(CLI::ExistingDirectory);
  command->add_flag("--json", common.json, "One JSON document on stdout");
  command->callback([&common, exit_code] {
    if (!fs::is_directory(folder)) {
      *exit_code = Fail(common, {Code::kNotFound, "no such folder: " + folder, "", "",
                                 "give the folder that holds site.yaml"});
      return;
    }
    // The findings are the output; what the rooms log on the way says the same in other words.
    if (!common.verbose) SetLogLevel(LogLevel::kError);
    const Report report = CheckSite(folder, models);
    if (common.json) {
      PrintJson(ToJson(report));
    } else {
      for (const auto& finding : report.findings)
        fmt::print("{}\n", things::FormatFinding(finding));
      fmt::print("{} error{}, {} warning{} in {} files\n", report.Count(true),
                 report.Count(true) == 1 ? "" : "s", report.Count(false),
                 report.Count(false) == 1 ? "" : "s", report.files);
    }
    *exit_code = report.Count(true) > 0 ? kNo : kDone;
  });
}

}  // namespace penstock::commands
