// `penstock demo --headless`: the main job without a person. The plant's own operator answers; at
// the end one document says what was wrong in truth, what the node said of it, and what it cost to
// run.
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "commands/command.h"
#include "commands/demo_report.h"
#include "commands/demo_site.h"
#include "commands/stop_signal.h"
#include "commands/training.h"
#include "node.h"

namespace penstock::commands {
namespace {

namespace fs = std::filesystem;

struct Options {
  bool headless = false;
  std::string time = "120s", models;
  uint64_t seed = 1;
  double speed = 120, operator_error_rate = 0.03;
};

// The plant's day begins with the early shift, so that equal seeds see equal shifts.
constexpr const char* kOrigin = "2026-03-02T06:00:00Z";

double PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

class Watch {  // Real seconds since it was made.
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void Progress(const Common& common, const Node& node, double seconds, double total) {
  if (!IsTerminal(STDERR_FILENO) && !common.verbose) return;
  const auto& s = node.services();
  const auto alarms = s.alarms.List({});
  fmt::print(stderr, "\r{:3.0f} of {:.0f} s  {:8} samples  {:2} alarms ", seconds, total,
             s.pipeline.ledger().stored, alarms ? alarms->size() : 0);
}

// Runs until the time is over; notes when the first alarm with an explanation was there.
std::optional<double> RunUntilStopped(const Common& common, const Node& node, StopSignal& stop,
                                      const Watch& watch, double total) {
  std::optional<double> first;
  while (watch.Seconds() < total && !stop.Wait(std::chrono::milliseconds(250))) {
    if (!first) {
      const auto alarms = node.services().alarms.List({});
      if (alarms && std::any_of(alarms->begin(), alarms->end(),
                                [](const auto& a) { return !a.because.empty(); }))
        first = watch.Seconds();
    }
    Progress(common, node, watch.Seconds(), total);
  }
  return first;
}

Result<Json> CollectReport(const NodeAddress& address) {
  Json result;
  ASSIGN_OR_RETURN(const Json alarms, Ask(address, "GET", "/api/v1/alarms?limit=1000"));
  ASSIGN_OR_RETURN(const Json kpis, Ask(address, "GET", "/api/v1/kpis"));
  ASSIGN_OR_RETURN(const Json usecases, Ask(address, "GET", "/api/v1/usecases"));
  ASSIGN_OR_RETURN(result["ledger"], Ask(address, "GET", "/api/v1/ledger"));
  ASSIGN_OR_RETURN(const Json labels, Ask(address, "GET", "/api/v1/labels"));
  result["alarms"] = alarms["items"];
  result["kpis"] = kpis["items"];
  result["labels"] = labels["items"].size();
  result["gate"] = nullptr;
  if (!usecases["items"].empty()) {
    const std::string name = usecases["items"][0].value("name", "");
    ASSIGN_OR_RETURN(result["gate"], Ask(address, "GET", "/api/v1/usecases/" + name + "/gates/G1"));
  }
  return result;
}

Result<Json> RunDemo(const Common& common, const Options& options, StopSignal& stop) {
  ASSIGN_OR_RETURN(const Duration time, ParseDuration(options.time));
  ASSIGN_OR_RETURN(Settings example, SettingsOf(common));
  const std::string models = options.models.empty() ? example.data + "/models" : options.models;
  TRY(EnsureDemoModels(example, models));
  // Every run starts from nothing, on ports of its own.
  const std::string folder =
      common.data.empty() ? fmt::format("{}/demo-{}", example.data, getpid()) : example.data;
  std::error_code ignored;
  if (common.data.empty()) fs::remove_all(folder, ignored);
  TRY(MakeFolders(folder));
  ASSIGN_OR_RETURN(const DemoPorts ports, FreeDemoPorts());
  ASSIGN_OR_RETURN(const Settings settings, CopyDemoSite(example, ports, folder, true));
  ASSIGN_OR_RETURN(const Time origin, ParseTime(kOrigin));

  const double cpu_before = CpuSeconds();
  const ScaledClock clock(origin, options.speed);
  const Watch watch;
  NodeOptions node_options{settings, &clock, models};
  ASSIGN_OR_RETURN(auto node, Node::Start(std::move(node_options)));
  ASSIGN_OR_RETURN(const std::string token, node->MachineToken("cli", trust::Role::kAdmin));
  const NodeAddress address{node->url(), token, getpid()};
  PlantProcess::Options plant_options{options.seed,
                                      ports,
                                      node->url(),
                                      "",
                                      folder + "/plant_truth.jsonl",
                                      true,
                                      options.operator_error_rate};
  ASSIGN_OR_RETURN(plant_options.token, node->MachineToken("plant-crew", trust::Role::kTechnician));
  ASSIGN_OR_RETURN(auto plant, PlantProcess::Start(plant_options, clock));

  const auto first = RunUntilStopped(common, *node, stop, watch, ToSeconds(time));
  const double ran = watch.Seconds();
  ASSIGN_OR_RETURN(Json truth, plant->Finish());
  ASSIGN_OR_RETURN(Json said, CollectReport(address));
  Json report = DemoReport(truth, said["alarms"]);
  report["first_explained_alarm_s"] = first ? Json(*first) : Json(nullptr);
  report["samples"] = said["ledger"]["stored"];
  for (const char* key : {"kpis", "gate", "ledger", "labels"}) report[key] = said[key];
  report["seed"] = options.seed;
  report["speed"] = options.speed;
  report["ran_s"] = ran;
  report["production"] = truth.value("production", Json(nullptr));
  plant.reset();
  node.reset();  // It writes its last into the folder.
  report["rss_mb_max"] = PeakMegabytes();
  report["cpu_s"] = CpuSeconds() - cpu_before;
  if (common.data.empty()) fs::remove_all(folder, ignored);
  return report;
}

void PrintReport(const Json& report) {
  fmt::print("{} samples in {:.0f} s, {:.1f} CPU-s, {:.0f} MB; first explained alarm after {} s\n",
             report["samples"].get<uint64_t>(), report["ran_s"].get<double>(),
             report["cpu_s"].get<double>(), report["rss_mb_max"].get<double>(),
             NumberText(report["first_explained_alarm_s"]));
  for (const Json& fault : report["faults"])
    fmt::print("  fault  {:<10} {:<15} onset {}  alarmed {}  {}\n", fault.value("machine", ""),
               fault.value("kind", ""), ClockText(fault.value("onset", "")),
               fault["alarmed_at"].is_string() ? ClockText(fault.value("alarmed_at", "")) : "never",
               fault.value("outcome", ""));
  for (const Json& alarm : report["alarms"])
    fmt::print("  alarm  {:<10} {:<15} {}  {}  {}\n", alarm.value("thing", ""),
               alarm.value("cause", ""), ClockText(alarm.value("raised", "")),
               alarm["right"] == true ? "right" : "wrong",
               alarm["verdict"].is_object() ? alarm["verdict"].value("kind", "") : "no verdict");
  fmt::print("alarmed before failure {}, precision {}, gap in the ledger {}\n",
             NumberText(report["alarmed_before_failure"]), NumberText(report["precision"]),
             report["ledger"].value("gap", 0));
}

}  // namespace

void AddDemo(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  CLI::App* command = app.add_subcommand(
      "demo", "The main job without a person: plant, alarms, answers, KPIs, one report");
  command->footer("Example: penstock demo --headless --for 120s --seed 7 --json");
  AddCommonOptions(*command, common);
  command->add_flag("--headless", options.headless, "The plant's operator answers the alarms")
      ->required();
  command->add_option("--for", options.time, "Real time to run")->capture_default_str();
  command->add_option("--seed", options.seed, "Seed of the plant")->capture_default_str();
  command->add_option("--speed", options.speed, "Plant seconds per second")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_option("--operator-error", options.operator_error_rate, "Share of wrong answers")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--models", options.models,
                      "Model repository (default: the site's, trained when missing)");
  command->callback([&common, exit_code] {
    StopSignal stop;
    const auto report = RunDemo(common, options, stop);
    if (!report) return void(*exit_code = Fail(common, report.error()));
    if (IsTerminal(STDERR_FILENO)) fmt::print(stderr, "\n");
    if (common.json)
      PrintJson(*report);
    else
      PrintReport(*report);
  });
}

}  // namespace penstock::commands
