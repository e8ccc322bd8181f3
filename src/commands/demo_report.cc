#include "commands/demo_report.h"

#include <optional>

#include "base/clock.h"

namespace penstock::commands {
namespace {

// A window of features ends up to this long after a repair began with samples from before it.
constexpr Duration kEcho = std::chrono::minutes(5);

std::optional<Time> TimeOf(const Json& object, const char* key) {
  const auto time = ParseTime(StringOr(object, key, ""));
  return time ? std::optional(*time) : std::nullopt;
}

// From onset to the failure or the repair, or to the end of the run.
bool Present(const Json& fault, Time at) {
  const auto onset = TimeOf(fault, "onset");
  if (!onset || at < *onset) return false;
  for (const char* key : {"failed_at", "repair_began", "repaired_at", "ended_at"})
    if (const auto end = TimeOf(fault, key)) return at <= *end + kEcho;
  return true;
}

bool IsSensorCause(const std::string& cause) { return cause.starts_with("sensor"); }

bool IsRight(const Json& alarm, const Json& truth) {
  const std::string thing = StringOr(alarm, "thing", ""), cause = StringOr(alarm, "cause", "");
  const auto raised = TimeOf(alarm, "raised");
  if (!raised) return false;
  for (const Json& fault :
       truth.value(IsSensorCause(cause) ? "sensor_faults" : "faults", Json::array())) {
    if (StringOr(fault, "machine", "") != thing || !Present(fault, *raised)) continue;
    if (IsSensorCause(cause) || cause == StringOr(fault, "kind", "") || cause == "anomaly")
      return true;
  }
  return false;
}

Json WithAlarm(Json fault, const Json& alarms) {
  fault["alarmed_at"] = nullptr;
  std::optional<Time> first;
  for (const Json& alarm : alarms) {
    const auto raised = TimeOf(alarm, "raised");
    if (!raised || StringOr(alarm, "thing", "") != StringOr(fault, "machine", "")) continue;
    if (IsSensorCause(StringOr(alarm, "cause", "")) || !Present(fault, *raised)) continue;
    if (const auto failed = TimeOf(fault, "failed_at"); failed && *raised >= *failed) continue;
    if (first && *first <= *raised) continue;
    first = raised;
    fault["alarmed_at"] = alarm["raised"];
    fault["alarm"] = alarm["id"];
    fault["alarm_cause"] = alarm["cause"];
  }
  return fault;
}

Json Ratio(int of, int all) {
  return all > 0 ? Json(static_cast<double>(of) / all) : Json(nullptr);
}

}  // namespace

Json DemoReport(const Json& truth, const Json& alarms) {
  Json report = {{"faults", Json::array()},
                 {"alarms", Json::array()},
                 {"sensor_faults", truth.value("sensor_faults", Json::array())}};
  int over = 0, warned = 0, named = 0, right = 0;
  for (const Json& fault : truth.value("faults", Json::array())) {
    const Json told = WithAlarm(fault, alarms);
    if (StringOr(told, "outcome", "") != "ongoing") {
      ++over;
      warned += told["alarmed_at"].is_null() ? 0 : 1;
      named += !told["alarmed_at"].is_null() && told["alarm_cause"] == told["kind"] ? 1 : 0;
    }
    report["faults"].push_back(told);
  }
  for (const Json& alarm : alarms) {
    const bool is_right = IsRight(alarm, truth);
    right += is_right ? 1 : 0;
    report["alarms"].push_back({{"id", alarm["id"]},
                                {"thing", alarm["thing"]},
                                {"cause", alarm["cause"]},
                                {"raised", alarm["raised"]},
                                {"confidence", alarm["confidence"]},
                                {"explanation", alarm["because"]},
                                {"verdict", alarm["verdict"]},
                                {"superseded_by", alarm.value("superseded_by", Json(nullptr))},
                                {"trace", alarm["trace"]},
                                {"right", is_right}});
  }
  report["alarmed_before_failure"] = Ratio(warned, over);
  report["faults_over"] = over;
  report["faults_alarmed_with_their_kind"] = named;
  report["precision"] = Ratio(right, static_cast<int>(alarms.size()));
  return report;
}

}  // namespace penstock::commands
