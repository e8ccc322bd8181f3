// `penstock up`: runs a node until Ctrl-C; with --demo beside the simulated plant in time-lapse.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "commands/command.h"
#include "commands/demo_site.h"
#include "commands/run_node.h"
#include "commands/stop_signal.h"
#include "commands/training.h"
#include "node.h"

namespace penstock::commands {
namespace {

using Options = RunOptions;

constexpr auto kSaveClockEvery = std::chrono::seconds(5);

Status ApplyListen(const Options& options, Settings* settings) {
  if (!options.http.empty()) {
    ASSIGN_OR_RETURN(settings->http, ParseEndpoint(options.http));
  }
  if (!options.mqtt.empty()) {
    ASSIGN_OR_RETURN(settings->mqtt, ParseEndpoint(options.mqtt));
  }
  if (!settings->tls_off) return {};
  if (!IsLoopback(settings->http) || !IsLoopback(settings->mqtt)) {
    auto error = InvalidArgument("tls is off and a listener is not on loopback");
    error.error().Fix("listen on 127.0.0.1, or tls: {mode: own-ca} in site.yaml");
    return error;
  }
  return {};
}

void Announce(const Common& common, const Settings& settings, const Node& node, bool demo,
              double speed) {
  const auto token = node.setup_token();
  if (common.json) {
    PrintJson({{"url", node.url()},
               {"mqtt", fmt::format("127.0.0.1:{}", node.mqtt_port())},
               {"setup_token", token ? Json(*token) : Json(nullptr)},
               {"site", settings.site},
               {"data", settings.data}});
    return;
  }
  std::string text = fmt::format("\n  Penstock  {}\n\n  console   {}\n", settings.site, node.url());
  if (token) text += fmt::format("  token     {}   (once, to make the first admin)\n", *token);
  text +=
      fmt::format("  mqtt      127.0.0.1:{}\n  data      {}\n", node.mqtt_port(), settings.data);
  if (demo) text += fmt::format("  plant     simulated, {:g} plant seconds a second\n", speed);
  fmt::print(stderr, "{}\n  Ctrl-C stops it.\n\n", text);
}

Result<Settings> DemoSettings(const Common& common, const Options& options) {
  ASSIGN_OR_RETURN(const Settings example, SettingsOf(common));
  DemoPorts ports;
  if (options.free_ports) {
    ASSIGN_OR_RETURN(ports, FreeDemoPorts());
  } else {
    ports.http = example.http.port;
    ports.mqtt = example.mqtt.port;
  }
  TRY(MakeFolders(example.data));
  return CopyDemoSite(example, ports, example.data, options.free_ports);
}

// The plant's ports as the site's Thing Descriptions have them: the copy keeps the defaults unless
// free ones were chosen.
DemoPorts PortsOf(const Settings& settings, const Node& node, const things::Snapshot& snapshot) {
  DemoPorts ports;
  ports.http = node.http_port();
  ports.mqtt = node.mqtt_port();
  (void)settings;
  for (const auto& thing : snapshot.things)
    for (const auto& property : thing.properties)
      for (const auto& form : property.forms) {
        if (form.protocol == things::Protocol::kModbus) ports.modbus = form.modbus.port;
        if (form.protocol == things::Protocol::kOpcUa) {
          const std::string& endpoint = form.opcua.endpoint;
          ports.opcua =
              static_cast<uint16_t>(std::stoi("0" + endpoint.substr(endpoint.rfind(':') + 1)));
        }
      }
  return ports;
}

// A full disk must not end the node: the log says so itself.
void KeepClock(const Settings& settings, const Clock& clock) {
  if (const auto saved = SaveClock(settings.data, clock, 2 * kSaveClockEvery); !saved)
    LogSometimes(LogLevel::kWarn, "plant time", "plant time: " + saved.error().ToString());
}

// What the word of the command promises, the site must have.
Status CheckKind(const Settings& settings, RunOptions::Kind kind) {
  if (kind == RunOptions::Kind::kHub && settings.tls_off) {
    auto error = FailedPrecondition("a hub needs TLS: edges come in by certificate");
    error.error().Where(settings.folder + "/site.yaml").Fix("tls: {mode: own-ca}");
    return error;
  }
  if (kind == RunOptions::Kind::kEdge && settings.uplink.hub.empty()) {
    auto error = FailedPrecondition("an edge needs a hub");
    error.error().Where(settings.folder + "/site.yaml").Fix("hub: https://HUB:8443");
    return error;
  }
  return {};
}

}  // namespace

Status RunNode(const Common& common, const RunOptions& options, StopSignal& stop) {
  Settings settings;
  if (options.demo) {
    ASSIGN_OR_RETURN(settings, DemoSettings(common, options));
  } else {
    ASSIGN_OR_RETURN(settings, SettingsOf(common));
  }
  TRY(CheckKind(settings, options.kind));
  TRY(ApplyListen(options, &settings));
  const std::string models = options.models.empty() ? settings.data + "/models" : options.models;
  if (options.demo) TRY(EnsureDemoModels(settings, models));

  const SystemClock system_clock;
  const auto plant_clock =
      options.demo ? ResumeClock(settings.data, options.speed, std::nullopt) : nullptr;
  NodeOptions node_options;
  node_options.settings = settings;
  node_options.clock = options.demo ? static_cast<const Clock*>(plant_clock.get()) : &system_clock;
  node_options.models = models;
  ASSIGN_OR_RETURN(const auto node, Node::Start(std::move(node_options)));
  ASSIGN_OR_RETURN(const std::string token, node->MachineToken("cli", trust::Role::kAdmin));
  TRY(WriteNodeAddress(settings, {node->url(), token, getpid(), node->certificate_file()}));
  if (plant_clock) KeepClock(settings, *plant_clock);

  std::unique_ptr<PlantProcess> plant;
  if (options.demo && !options.no_plant) {
    PlantProcess::Options plant_options;
    plant_options.seed = options.seed;
    plant_options.ports = PortsOf(settings, *node, *node->services().directory.snapshot());
    plant_options.node_url = node->url();
    ASSIGN_OR_RETURN(plant_options.token,
                     node->MachineToken("plant-crew", trust::Role::kTechnician));
    plant_options.truth_file = settings.data + "/plant_truth.jsonl";
    ASSIGN_OR_RETURN(plant, PlantProcess::Start(plant_options, *plant_clock));
  }
  Announce(common, settings, *node, options.demo, options.speed);
  while (!stop.Wait(kSaveClockEvery)) {
    if (plant_clock) KeepClock(settings, *plant_clock);
    if (plant && !plant->Running()) {
      LogError("the simulated plant ended; its machines will show as not connected");
      plant.reset();
    }
  }
  if (!common.json) fmt::print(stderr, "stopping: writing what was taken ...\n");
  plant.reset();
  RemoveNodeAddress(settings);
  node->Stop();
  if (plant_clock) TRY(SaveClock(settings.data, *plant_clock));
  return {};
}

void AddUp(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  CLI::App* command =
      app.add_subcommand("up", "Run a node (with --demo: beside a simulated bottling line)");
  command->footer(
      "Examples:\n  penstock up --demo\n  penstock up --site plant/ --http 127.0.0.1:8080");
  AddCommonOptions(*command, common);
  command->add_flag("--demo", options.demo,
                    "With the simulated plant, in time-lapse; the first run trains its models");
  command->add_option("--speed", options.speed, "Plant seconds per second")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Seed of the plant")->capture_default_str();
  command->add_option("--http", options.http, "Listen here, instead of site.yaml's");
  command->add_option("--mqtt", options.mqtt, "Listen here, instead of site.yaml's");
  command->add_option("--models", options.models, "Model repository (default: DATA/models)");
  command->add_flag("--free-ports", options.free_ports, "Demo on ports that are free");
  command->add_flag("--no-plant", options.no_plant, "Demo without starting the plant's process");
  command->callback([&common, exit_code] {
    StopSignal stop;
    if (const auto status = RunNode(common, options, stop); !status)
      *exit_code = Fail(common, status.error());
  });
}

}  // namespace penstock::commands
