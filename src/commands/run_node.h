// Running a node in this process until it is told to stop: `up`, `edge` and `hub`.
#pragma once

#include <cstdint>
#include <string>

#include "commands/command.h"
#include "commands/stop_signal.h"

namespace penstock::commands {

struct RunOptions {
  enum class Kind { kNode, kEdge, kHub } kind = Kind::kNode;
  bool demo = false, free_ports = false, no_plant = false;
  std::string http, mqtt, models;
  double speed = 120;
  uint64_t seed = 1;
};

Status RunNode(const Common& common, const RunOptions& options, StopSignal& stop);

}  // namespace penstock::commands
