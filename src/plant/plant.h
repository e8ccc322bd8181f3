// A factory for newcomers: the simulated bottling line behind real protocols on loopback sockets.
//
// Thread rule: Start and Stop from one thread, Summary from any.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "plant/fault.h"
#include "plant/operator.h"

namespace penstock::plant {

struct PlantOptions {
  uint64_t seed = 1;
  // Plant time: `origin` was at the real time `anchor`; it runs `speed` (1 to 3600) times as fast.
  // The node has the same three.
  Time origin{}, anchor{};
  double speed = 120;
  uint16_t modbus_port = 15020, opcua_port = 14840;  // 0: the system chooses.
  std::string mqtt_host = "127.0.0.1";
  uint16_t mqtt_port = 1883;
  // The node's REST for the crew; "": no crew, whatever the mode.
  std::string node_url, token;
  CrewMode crew = CrewMode::kFollow;
  double crew_error_rate = 0.03;
  std::string truth_path;  // JSON lines; "": in memory alone.
  FaultRates rates;
};

// How often sensors report, in plant time: once a real second, but never less often than every two
// minutes.
Duration ReportInterval(double speed);

class Plant {
 public:
  // Fails when a port is taken. The line starts at `origin`, or, when that is more than ten real
  // seconds ago (a restart), at the present minute with fresh machines.
  static Result<std::unique_ptr<Plant>> Start(const PlantOptions& options);
  virtual ~Plant() = default;  // Stops.
  virtual void Stop() = 0;
  virtual uint16_t modbus_port() const = 0;
  virtual uint16_t opcua_port() const = 0;
  // {"seed", "from", "to", "faults": [{machine, kind, onset, would_fail_at, failed_at,
  // repair_began, repaired_at, outcome}],
  //  "sensor_faults": [...], "stops": [...], "production": {...}, "crew": {"mode", "answers":
  //  [...]}}; times are plant time.
  virtual Json Summary() const = 0;
};

// `penstock plant`: starts, says the ports on stderr, runs until SIGINT or SIGTERM, prints the
// summary on stdout when asked. Returns the exit code: 0, or 1 when it could not start.
int RunPlantCommand(const PlantOptions& options, bool print_summary);

}  // namespace penstock::plant
