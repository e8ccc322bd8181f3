// kpis/*.yaml: what a line is, when its machines count as running, down or planned, what its
// counters are and what an hour costs. One file per line. Keys: docs/formats/kpi.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "things/directory.h"

namespace penstock::value {

// A window that repeats every week, in UTC: no production is planned in it.
struct PlannedWindow {
  uint8_t days = 0x7F;      // Bit 0 = Monday ... bit 6 = Sunday.
  Duration from{0}, to{0};  // Of the day; to > from, at most 24 h.
  std::string reason;
};

struct StateRules {
  std::string running = "running";  // Property that is 1 while the machine runs.
  Duration minor_stop =
      std::chrono::minutes(3);  // Shorter stops are idle, whatever the alarms say.
  Duration shortest_repair = std::chrono::minutes(5);  // A shorter stop is no repair.
  Duration unexplained_down_after =
      std::chrono::minutes(25);  // A longer stop that nothing explains is a failure.
  Duration repair_within =
      std::chrono::hours(4);  // A stop this long after a verdict is its repair.
  Duration unknown_after = std::chrono::minutes(10);  // Without a sample: not known.
};

struct Price {
  double amount = 0;
  std::string currency, per;  // "EUR", "h"
  std::string text() const;   // "4200 EUR/h"
};
Result<Price> ParsePrice(std::string_view text);

struct KpiFile {
  std::string name;  // "line-1"
  std::string title, asset, file;
  std::vector<std::string> machines;  // Things.
  std::string producer;               // The thing whose state is the line's; one of `machines`.
  StateRules states;
  std::string good, reject, energy;  // Paths of counters ("filler-1/good_count"); "" = none.
  std::string product;  // Path of the point that selects the ideal rate; "" = one rate for all.
  std::map<int64_t, double>
      ideal_per_s;  // Product code -> pieces per second; key 0 when there is no `product`.
  std::vector<PlannedWindow> planned;
  Duration period = std::chrono::hours(24);  // What a KPI covers when nobody says otherwise.
  std::map<std::string, Price> prices;       // "unplanned_downtime" -> 4200 EUR/h
};

// `snapshot` may be null: then points and things are not looked up.
Result<KpiFile> KpiFileFromJson(const Json& document, const things::Snapshot* snapshot);
// All of FOLDER/kpis/*.yaml that are right; mistakes (file, pointer, fix) are added to `errors`.
std::vector<KpiFile> ReadKpiFiles(const std::string& folder, const things::Snapshot* snapshot,
                                  std::vector<Error>& errors);
// For `penstock check`.
std::vector<Error> CheckKpiFiles(const std::string& folder, const things::Snapshot& snapshot);

}  // namespace penstock::value
