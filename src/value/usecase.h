// usecases/*.yaml: why a model is worth having: sponsor, KPI with target and guards, money, needs,
// who decides, and how the effect will be measured. Keys: docs/formats/usecase.md.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "things/directory.h"
#include "value/kpi_file.h"

namespace penstock::value {

// "false_alarms_per_day <= 2"
struct Guard {
  std::string kpi, comparison;  // "<=", ">=", "<", ">"
  double limit = 0;
  std::string text;
  bool Holds(double value) const;
};

struct UseCase {
  std::string name, title, sponsor, file;
  std::string asset;  // The line or machine whose KPIs count.
  std::string primary_kpi, unit;
  double target_change = 0;  // Relative: -0.3 for "-30 %".
  std::vector<Guard> guards;
  std::map<std::string, Price> value;  // KPI -> what a unit of it is worth.
  std::vector<std::string> points;     // Paths.
  uint64_t labels = 0;
  std::vector<std::string> models;
  int criticality = 0, actionability = 0;  // 1..5; 0 = not scored.
  std::string decide_who, decide_action;
  Duration lead_time{0};
  std::string method;                 // "difference-in-differences", "before-after"
  std::vector<std::string> controls;  // Things.
  Duration baseline{0};
  std::string digest;  // sha256 of the file; a signature is for this text.
  Json document;
};

Result<UseCase> UseCaseFromJson(const Json& document, const things::Snapshot* snapshot);
std::vector<UseCase> ReadUseCaseFiles(const std::string& folder, const things::Snapshot* snapshot,
                                      std::vector<Error>& errors);
std::vector<Error> CheckUseCaseFiles(const std::string& folder, const things::Snapshot& snapshot);

class UseCases {
 public:
  // A use case whose file has become bad keeps its old version; the mistakes are returned.
  std::vector<Error> Reload(const std::string& folder, const things::Snapshot& snapshot);
  std::vector<std::shared_ptr<const UseCase>> List() const;  // By name.
  Result<std::shared_ptr<const UseCase>> Get(const std::string& name) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const UseCase>> by_name_;
};

}  // namespace penstock::value
