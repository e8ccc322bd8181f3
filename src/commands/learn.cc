// `penstock learn train`: fits the fault classifiers and installs them as new versions.
#include <charconv>

#include "commands/command.h"
#include "commands/training.h"

namespace penstock::commands {
namespace {

struct Options {
  std::string model, out, seeds;
  double hours = 10;
};

Result<PlantHistory> ParseSeeds(const std::string& text, double hours) {
  PlantHistory history;
  history.hours = hours;
  const size_t dots = text.find("..");
  uint64_t last = 0;
  const auto number = [](std::string_view part, uint64_t* value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), *value);
    return error == std::errc() && end == part.data() + part.size();
  };
  const std::string_view whole = text;
  if (dots == std::string::npos || !number(whole.substr(0, dots), &history.first_seed) ||
      !number(whole.substr(dots + 2), &last) || last < history.first_seed ||
      last - history.first_seed >= 1000) {
    auto error = InvalidArgument("\"{}\" is no range of at most 1000 seeds", text);
    error.error().Fix("--plant-seeds 1001..1060");
    return error;
  }
  history.runs = static_cast<int>(last - history.first_seed + 1);
  return history;
}

Result<Json> Train(const Common& common, const Options& options) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  const std::string out = options.out.empty() ? settings.data + "/models" : options.out;
  const auto progress = [](const std::string& text) {
    fmt::print(stderr, "{}{}", text, IsTerminal(2) ? "\033[K\r" : "\n");
  };
  if (options.seeds.empty()) return TrainFromSite(settings, out, options.model, progress);
  ASSIGN_OR_RETURN(const PlantHistory history, ParseSeeds(options.seeds, options.hours));
  return TrainFromPlant(settings, out, options.model, history, progress);
}

void PrintReports(const Json& reports) {
  for (const Json& report : reports) {
    const Json held_out = report.value("held_out", Json::object());
    fmt::print("{}@{}  {} rows, {} trees; on held-out runs accuracy {}, log loss {}\n",
               report.value("model", ""), report.value("version", 0), report.value("rows", 0),
               report.value("trees", 0), NumberText(held_out.value("accuracy", Json())),
               NumberText(held_out.value("log_loss", Json())));
    const Json classes = held_out.value("classes", Json::object());
    for (const auto& [name, one] : classes.items())
      fmt::print("  {:<16} {:>6} rows  precision {:<6} recall {:<6} episodes found {} of {}\n",
                 name, one.value("rows", 0), NumberText(one.value("precision", Json())),
                 NumberText(one.value("recall", Json())), one.value("episodes_found", 0),
                 one.value("episodes", 0));
  }
}

}  // namespace

void AddLearn(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  CLI::App* command = app.add_subcommand("learn", "Train models");
  command->require_subcommand(1);
  CLI::App* train = command->add_subcommand(
      "train", "Fit the site's fault classifiers on labelled history and install them");
  train->footer(
      "Examples:\n  penstock learn train                              on the site's history and "
      "verdicts\n"
      "  penstock learn train --plant-seeds 1001..1060     on the simulated plant's");
  AddCommonOptions(*train, common);
  train->add_option("--model", options.model, "Only this one");
  train->add_option("--out", options.out, "Model repository (default: DATA/models)");
  train->add_option("--plant-seeds", options.seeds,
                    "Runs of the simulated plant to learn from, by seed");
  train->add_option("--hours", options.hours, "Plant hours of each run")
      ->check(CLI::Range(1.0, 200.0))
      ->capture_default_str();
  train->callback([&common, exit_code] {
    const auto reports = Train(common, options);
    if (IsTerminal(2)) fmt::print(stderr, "\033[K");
    if (!reports) return void(*exit_code = Fail(common, reports.error()));
    if (common.json)
      PrintJson(*reports);
    else
      PrintReports(*reports);
  });
}

}  // namespace penstock::commands
