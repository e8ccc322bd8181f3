// What is measured how. Freshness: the age of the newest sample now, by the node's clock.
// Completeness: minutes with a good sample of all minutes of the range, clipped to the time since
// the contract's first version was applied. Null and missing values: the minutes without one, as
// rows or percent. Invalid values: samples held in the quarantine of all that came. Duplicates: the
// pipeline drops them, so none is stored. Row counts: stored samples.
#include <algorithm>
#include <cmath>
#include <map>

#include "api/routes.h"
#include "api/routes_contracts.h"

namespace penstock::api {
namespace {

using Metric = things::ContractRule::Metric;
using Kind = things::ContractSla::Kind;

constexpr size_t kPointsMax = 2000;
constexpr Duration kMinute = std::chrono::minutes(1);

struct Measured {
  uint64_t stored = 0, held = 0;
  double minutes = 0, minutes_present = 0;
  double completeness() const {
    return minutes > 0 ? std::min(100.0, 100 * minutes_present / minutes) : NAN;
  }
};

class Compliance {
 public:
  Compliance(const Services& services, const ContractServices& contracts,
             const things::DataContract& contract, Time from, Time to)
      : services_(services), contracts_(contracts), contract_(contract), from_(from), to_(to) {}

  Result<Json> Measure() {
    snapshot_ = services_.directory.snapshot();
    FindPoints();
    TRY(ReadHistory());
    ASSIGN_OR_RETURN(const Json violations, ReadHeld());
    for (const auto& object : contract_.objects) {
      for (const auto& field : object.fields) Field(field);
      for (const auto& rule : object.rules) Rule(rule, "", Sum());
    }
    return Json{{"contract", contract_.reference()},
                {"from", FormatTime(from_)},
                {"to", FormatTime(to_)},
                {"points", points_.size()},
                {"kept", kept_},
                {"promises", promises_},
                {"violations", violations}};
  }

 private:
  void FindPoints() {
    const auto contracts = contracts_.directory.set();
    for (const auto* property : snapshot_->by_id) {
      if (property == nullptr || points_.size() >= kPointsMax) continue;
      const auto governing = contracts->Of(property->point);
      if (governing == nullptr || governing->id != contract_.id) continue;
      if (contract_.FindField(property->point.property) == nullptr) continue;
      points_.push_back(&property->point);
    }
  }

  Status ReadHistory() {
    std::vector<std::string> paths;
    for (const things::Point* point : points_) paths.push_back(point->path());
    if (paths.empty()) return {};
    Time since = from_;
    if (const auto periods = contracts_.periods.Of(contract_.id); !periods.empty())
      since = std::max(since, periods.front().since);
    const double minutes = std::floor(ToSeconds(std::max(to_ - since, Duration(0))) / 60);
    ASSIGN_OR_RETURN(const auto coverage, services_.history.CoverageOf(paths, from_, to_));
    for (const std::string& path : paths) measured_[path].minutes = minutes;
    for (const auto& each : coverage) {
      Measured& one = measured_[each.path];
      one.stored = each.count;
      one.minutes_present = static_cast<double>(each.minutes_present);
    }
    return {};
  }

  Result<Json> ReadHeld() {
    ASSIGN_OR_RETURN(const auto counts, services_.quarantine.HeldBetween(contract_.id, from_, to_));
    Json list = Json::array();
    for (const auto& count : counts) {
      measured_[count.point].held += count.rows;
      list.push_back({{"contract", count.contract},
                      {"point", count.point},
                      {"rule", count.rule},
                      {"samples", count.rows},
                      {"last", FormatTime(count.last)}});
    }
    return list;
  }

  Measured Sum() const {
    Measured sum;
    for (const auto& [path, one] : measured_) {
      sum.stored += one.stored;
      sum.held += one.held;
      sum.minutes += one.minutes;
      sum.minutes_present += one.minutes_present;
    }
    return sum;
  }

  void Field(const things::ContractField& field) {
    for (const things::Point* point : points_) {
      if (point->property != field.name) continue;
      const Measured& measured = measured_[point->path()];
      Add("schema", "type, range and unit", point->path(), "no sample outside",
          static_cast<double>(measured.held), "samples in quarantine", measured.held == 0, false,
          field.pointer);
      for (const auto& rule : field.rules) Rule(rule, point->path(), measured);
      if (const auto fresh = contract_.SlaOf(Kind::kFreshness, field.name)) Fresh(*point, *fresh);
      if (const auto complete = contract_.SlaOf(Kind::kCompleteness, field.name))
        Add("sla", "completeness", point->path(), fmt::format("{} percent", complete->percent),
            measured.completeness(), "percent", measured.completeness() >= complete->percent, false,
            complete->pointer);
    }
  }

  void Fresh(const things::Point& point, const things::ContractSla& promise) {
    const auto live = services_.live.Get(point.id);
    const double age = live && live->samples > 0
                           ? std::max(0.0, ToSeconds(services_.clock.Now() - live->time))
                           : NAN;
    Add("sla", "freshness", point.path(), FormatDuration(promise.limit), age, "s",
        age <= ToSeconds(promise.limit), false, promise.pointer);
  }

  void Rule(const things::ContractRule& rule, const std::string& path, const Measured& measured) {
    const double came = static_cast<double>(measured.stored + measured.held);
    double rows = NAN, of = came;
    switch (rule.metric) {
      case Metric::kRowCount:
        rows = static_cast<double>(measured.stored);
        break;
      case Metric::kNull:
      case Metric::kMissing:
        rows = std::max(0.0, measured.minutes - measured.minutes_present);
        of = measured.minutes;
        if (rule.PerSample()) rows = static_cast<double>(measured.held), of = came;
        break;
      case Metric::kInvalid:
        rows = static_cast<double>(measured.held);
        break;
      case Metric::kDuplicate:
        rows = 0;
        break;
      default:
        break;
    }
    const double value = rule.percent ? (of > 0 ? 100 * rows / of : NAN) : rows;
    Add("quality", rule.name.empty() ? std::string(things::MetricName(rule.metric)) : rule.name,
        path, OperatorText(rule), value, rule.percent ? "percent" : "rows", rule.Holds(value),
        rule.warning_only, rule.pointer);
  }

  void Add(const char* kind, const std::string& name, const std::string& point,
           const std::string& promised, double measured, const char* unit, bool kept, bool warning,
           const std::string& pointer) {
    const bool known = std::isfinite(measured);
    if (known && !kept && !warning) kept_ = false;
    promises_.push_back({{"kind", kind},
                         {"name", name},
                         {"point", point.empty() ? Json(nullptr) : Json(point)},
                         {"promised", promised},
                         {"measured", NumberOrNull(measured)},
                         {"unit", unit},
                         {"state", !known ? "not_measured"
                                   : kept ? "kept"
                                          : "broken"},
                         {"severity", warning ? "warning" : "error"},
                         {"pointer", pointer}});
  }

  const Services& services_;
  const ContractServices& contracts_;
  const things::DataContract& contract_;
  const Time from_, to_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::vector<const things::Point*> points_;
  std::map<std::string, Measured> measured_;
  Json promises_ = Json::array();
  bool kept_ = true;
};

}  // namespace

Result<Json> ComplianceJson(const Services& services, const ContractServices& contracts,
                            const things::DataContract& contract, Time from, Time to) {
  return Compliance(services, contracts, contract, from, to).Measure();
}

}  // namespace penstock::api
