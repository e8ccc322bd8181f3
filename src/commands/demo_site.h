// The example plant beside a node: a copy of its site on free ports, its process, and the shared
// time-lapse clock.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/site.h"

namespace penstock::commands {

// The ports of everything on loopback that a demo needs.
struct DemoPorts {
  uint16_t http = 8080, mqtt = 1883, modbus = 15020, opcua = 14840;
};
Result<DemoPorts> FreeDemoPorts();

// Copies the site's files to `folder`/site with the plant's ports in its Thing Descriptions, and
// returns its settings. The copy is made anew only when the folder is not there: people may edit
// it.
Result<Settings> CopyDemoSite(const Settings& example, const DemoPorts& ports,
                              const std::string& folder, bool anew);

// Time goes on where it stopped: <data>/plant_time.json.
std::unique_ptr<ScaledClock> ResumeClock(const std::string& data, double speed,
                                         std::optional<Time> origin);
// `ahead`: real time until it is saved again. What is resumed after a crash is then no earlier than
// what was stored before it.
Status SaveClock(const std::string& data, const Clock& clock, Duration ahead = Duration(0));

// `penstock plant` as a child process; its summary comes on its standard output when it ends.
class PlantProcess {
 public:
  struct Options {
    uint64_t seed = 1;
    DemoPorts ports;
    std::string node_url, token, truth_file;
    bool answers_alarms = false;  // The plant's own operator answers; else a person does.
    double operator_error_rate = 0.03;
  };
  static Result<std::unique_ptr<PlantProcess>> Start(const Options& options,
                                                     const ScaledClock& clock);
  ~PlantProcess();  // Ends it if need be.
  bool Running();
  // Ends it and returns its summary.
  Result<Json> Finish();

 private:
  PlantProcess(pid_t pid, int output) : pid_(pid), output_(output) {}
  pid_t pid_;
  int output_;
};

}  // namespace penstock::commands
