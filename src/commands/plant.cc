// `penstock plant`: the simulated bottling line alone, behind Modbus TCP, OPC UA and MQTT on
// loopback.
#include <cstdlib>

#include "commands/command.h"
#include "plant/plant.h"

namespace penstock::commands {
namespace {

struct Options {
  plant::PlantOptions plant;
  std::string origin, anchor, mqtt = "127.0.0.1:1883", crew = "follow";
  bool summary = false;
};

Status Complete(Options* options) {
  plant::PlantOptions& plant = options->plant;
  plant.anchor = SystemClock().Now();
  plant.origin = plant.anchor;
  if (!options->origin.empty()) {
    ASSIGN_OR_RETURN(plant.origin, ParseTime(options->origin));
  }
  if (!options->anchor.empty()) {
    ASSIGN_OR_RETURN(plant.anchor, ParseTime(options->anchor));
  }
  ASSIGN_OR_RETURN(const Endpoint mqtt, ParseEndpoint(options->mqtt));
  plant.mqtt_host = mqtt.host;
  plant.mqtt_port = mqtt.port;
  plant.crew = options->crew == "auto" ? plant::CrewMode::kAuto : plant::CrewMode::kFollow;
  if (const char* token = std::getenv("PENSTOCK_TOKEN")) plant.token = token;
  return {};
}

}  // namespace

void AddPlant(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  plant::PlantOptions& plant = options.plant;
  CLI::App* command = app.add_subcommand(
      "plant", "The simulated bottling line alone: Modbus TCP, OPC UA, MQTT on loopback");
  command->footer(
      "Example: penstock plant --seed 7 --speed 120 --modbus-port 15020 --mqtt 127.0.0.1:1883");
  command->add_option("--seed", plant.seed, "Everything random comes from it")
      ->capture_default_str();
  command->add_option("--speed", plant.speed, "Plant seconds per second")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_option("--origin", options.origin,
                      "Plant time at --anchor (RFC 3339; default: now)");
  command->add_option("--anchor", options.anchor,
                      "Real time at which plant time was --origin (default: now)");
  command->add_option("--modbus-port", plant.modbus_port, "0: the system chooses")
      ->capture_default_str();
  command->add_option("--opcua-port", plant.opcua_port, "0: the system chooses")
      ->capture_default_str();
  command->add_option("--mqtt", options.mqtt, "The broker to publish to")->capture_default_str();
  command->add_option("--node", plant.node_url,
                      "The node whose alarms the crew answers; its token in PENSTOCK_TOKEN");
  command
      ->add_option("--operator", options.crew,
                   "auto: answers alarms; follow: repairs what people confirmed")
      ->check(CLI::IsMember({"auto", "follow"}))
      ->capture_default_str();
  command->add_option("--operator-error", plant.crew_error_rate, "Share of wrong answers")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--truth", plant.truth_path, "JSON lines of what was really wrong");
  command->add_flag("--summary", options.summary, "Print the summary as JSON at the end");
  command->callback([&common, exit_code] {
    if (const auto status = Complete(&options); !status)
      return void(*exit_code = Fail(common, status.error()));
    *exit_code = plant::RunPlantCommand(options.plant, options.summary) == 0 ? kDone : kFailed;
  });
}

}  // namespace penstock::commands
