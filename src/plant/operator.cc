// An alarm is answered once. Where a verdict was given (by the crew or by people), the reaction is
// the same: a true fault sends somebody after a few minutes, who mends the machine (20 to 60
// minutes) or, finding nothing, has looked in vain (an inspection of ten minutes); a sensor fault
// sends somebody to the sensors.
//
// An alarm that was open and is no longer may have got its verdict between two rounds, so it is
// asked for once more by its id.
//
// How the crew judges, from what the floor tells: a fault that was on between the alarm and now
// makes it a true fault, with the real kind even when the alarm named another cause; else a lying
// sensor of the machine; else a machine that was just being worked on makes it known or planned;
// else it was a false alarm. With the error rate the crew says the opposite.
#include "plant/operator.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace penstock::plant {
namespace {
constexpr size_t kWatchedMax = 5000;
}

Result<CrewMode> ParseCrewMode(std::string_view text) {
  if (text == "none") return CrewMode::kNone;
  if (text == "follow") return CrewMode::kFollow;
  if (text == "auto") return CrewMode::kAuto;
  auto error = InvalidArgument("crew \"{}\" unknown", text);
  error.error().Fix("none, follow or auto");
  return error;
}

Crew::Crew(CrewMode mode, double error_rate, const Random& seed, Floor& floor, NodeClient& node)
    : mode_(mode),
      error_rate_(error_rate),
      random_(seed.Fork("crew")),
      floor_(floor),
      node_(node) {}

Duration Crew::Minutes(double low, double high) {
  return FromSeconds(random_.Uniform(low, high) * 60);
}

void Crew::Round() {
  if (mode_ == CrewMode::kNone) return;
  const Time now = floor_.Now();
  VisitWhatIsDue(now);
  const auto page = node_.Get("/api/v1/alarms?state=open&limit=200");
  if (!page || !page->contains("items") || !(*page)["items"].is_array()) {
    LogSometimes(
        LogLevel::kInfo, "plant crew",
        page ? "plant: the node's list of alarms has no items" : "plant: " + page.error().message);
    return;
  }
  for (auto& [id, watched] : alarms_) watched.open = false;
  for (const Json& alarm : (*page)["items"])
    if (const std::string id = StringOr(alarm, "id", ""); !id.empty()) Notice(id, alarm, now);
  LookForVanished();
  if (mode_ == CrewMode::kAuto) AnswerWhatIsDue(now);
  Forget();
}

void Crew::Notice(const std::string& id, const Json& alarm, Time now) {
  const auto [found, is_new] = alarms_.try_emplace(id);
  Watched& watched = found->second;
  watched.open = true;
  if (is_new) {
    watched.machine = StringOr(alarm, "thing", "");
    watched.cause = StringOr(alarm, "cause", "");
    watched.raised = ParseTime(StringOr(alarm, "raised", "")).value_or(now);
    if (!floor_.Inspect(watched.machine, watched.raised).known) watched.done = true;
  }
  if (watched.done) return;
  if (alarm.contains("verdict") && alarm["verdict"].is_object()) {
    watched.done = true;
    HandleVerdict(watched.machine, StringOr(alarm["verdict"], "kind", ""));
  } else if (!watched.answer_at) {
    watched.answer_at = now + Minutes(3, 10);
  }
}

void Crew::LookForVanished() {
  for (auto& [id, watched] : alarms_) {
    if (watched.open || watched.done) continue;
    const auto alarm = node_.Get("/api/v1/alarms/" + id);
    if (!alarm && alarm.error().code == Code::kUnavailable) return;  // Later.
    watched.done = true;
    if (alarm && alarm->contains("verdict") && (*alarm)["verdict"].is_object())
      HandleVerdict(watched.machine, StringOr((*alarm)["verdict"], "kind", ""));
  }
}

void Crew::AnswerWhatIsDue(Time now) {
  for (auto& [id, watched] : alarms_) {
    if (watched.done || !watched.answer_at || now < *watched.answer_at) continue;
    CrewAnswer answer{id, watched.machine, "", "", false, now};
    const Json body = Judge(id, watched, answer);
    const auto posted = node_.Post("/api/v1/alarms/" + id + "/verdict", body, "crew-" + id);
    if (!posted) {
      LogSometimes(LogLevel::kWarn, "plant crew verdict", "plant: " + posted.error().message);
      watched.answer_at = now + Minutes(1, 3);
      continue;
    }
    watched.done = true;
    floor_.WriteTruth("verdict", {{"alarm", id},
                                  {"machine", answer.machine},
                                  {"kind", answer.kind},
                                  {"code", answer.code},
                                  {"wrong", answer.wrong}});
    HandleVerdict(answer.machine, answer.kind);
    answers_.push_back(std::move(answer));
  }
}

Json Crew::Judge(const std::string&, const Watched& watched, CrewAnswer& answer) {
  const Inspection found = floor_.Inspect(watched.machine, watched.raised);
  std::string note;
  if (!found.fault.empty()) {
    answer.kind = "true_fault";
    answer.code = found.fault;
    note = watched.cause == found.fault
               ? "found as said"
               : fmt::format("it was {}, not {}", found.fault, watched.cause);
  } else if (!found.sensor_fault.empty()) {
    answer.kind = "sensor_fault";
    answer.code = found.sensor_fault;
    note = fmt::format("sensor: {}", found.sensor_fault);
  } else if (found.stopped) {
    answer.kind = "known_or_planned";
    note = "the machine was being worked on";
  } else {
    answer.kind = "false_alarm";
    note = "nothing found";
  }
  if (random_.Chance(error_rate_)) {
    answer.wrong = true;
    const bool was_true = answer.kind == "true_fault";
    answer.kind = was_true ? "false_alarm" : "true_fault";
    answer.code = was_true ? "" : watched.cause;
    note = was_true ? "nothing found" : "looks like it";
  }
  return {{"kind", answer.kind}, {"code", answer.code}, {"note", note}};
}

void Crew::HandleVerdict(const std::string& machine, const std::string& kind) {
  if (kind != "true_fault" && kind != "sensor_fault") return;
  const Time at = floor_.Now() + Minutes(2, 6);
  const auto [visit, is_new] = visits_.try_emplace(machine, Visit{at, kind == "sensor_fault"});
  if (!is_new && kind == "true_fault") visit->second.sensors = false;  // The machine comes first.
}

void Crew::VisitWhatIsDue(Time now) {
  for (auto visit = visits_.begin(); visit != visits_.end();) {
    if (now < visit->second.at) {
      ++visit;
      continue;
    }
    const std::string& machine = visit->first;
    const Inspection found = floor_.Inspect(machine, now);
    floor_.RepairSensors(machine);
    if (!visit->second.sensors && found.fault_now)
      floor_.BeginRepair(machine, Minutes(20, 60), "repair");
    else if (!visit->second.sensors && !found.stopped)
      floor_.BeginRepair(machine, std::chrono::minutes(10), "inspection");
    visit = visits_.erase(visit);
  }
}

void Crew::Forget() {
  for (auto watched = alarms_.begin(); alarms_.size() > kWatchedMax && watched != alarms_.end();)
    watched =
        watched->second.done && !watched->second.open ? alarms_.erase(watched) : std::next(watched);
}

}  // namespace penstock::plant
