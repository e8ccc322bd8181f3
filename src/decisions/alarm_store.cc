#include "decisions/alarm_store.h"

#include <charconv>

namespace penstock::decisions {
namespace {

Result<Time> TimeAt(const Json& body, const char* key) {
  ASSIGN_OR_RETURN(const std::string text, GetString(body, key));
  return ParseTime(text);
}

std::optional<Time> TimeOrNothing(const Json& body, const char* key) {
  auto time = TimeAt(body, key);
  return time ? std::optional(*time) : std::nullopt;
}

AlarmState StateNamed(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(AlarmState::kOutOfService); ++i)
    if (AlarmStateName(static_cast<AlarmState>(i)) == name) return static_cast<AlarmState>(i);
  return AlarmState::kNormal;
}

inference::Contribution ContributionFromJson(const Json& body) {
  inference::Contribution c;
  c.feature = StringOr(body, "feature", "");
  c.value = NumberOr(body, "value", std::nan(""));
  c.unit = StringOr(body, "unit", "");
  c.normal_low = NumberOr(body, "normal_low", std::nan(""));
  c.normal_high = NumberOr(body, "normal_high", std::nan(""));
  c.contribution = NumberOr(body, "contribution", 0);
  return c;
}

std::vector<inference::Contribution> ReasonsFromJson(const Json& body) {
  std::vector<inference::Contribution> reasons;
  if (const auto found = body.find("because"); found != body.end() && found->is_array())
    for (const Json& reason : *found) reasons.push_back(ContributionFromJson(reason));
  return reasons;
}

}  // namespace

Status MigrateAlarms(storage::Records& records) {
  return records.Migrate(
      "decisions",
      {{1,
        "CREATE TABLE alarms(number INTEGER PRIMARY KEY, thing TEXT NOT NULL, cause TEXT NOT NULL,"
        " model TEXT NOT NULL, state TEXT NOT NULL, raised INTEGER NOT NULL, trace TEXT NOT NULL,"
        " verdict TEXT, verdict_code TEXT, verdict_at INTEGER, body TEXT NOT NULL);"
        "CREATE INDEX alarms_by_state ON alarms(state);"
        "CREATE INDEX alarms_by_trace ON alarms(trace);"
        "CREATE INDEX alarms_by_raised ON alarms(raised);"
        "CREATE TABLE decisions(trace TEXT PRIMARY KEY, alarm TEXT NOT NULL, at INTEGER NOT NULL,"
        " body TEXT NOT NULL);"},
       {2, "ALTER TABLE alarms ADD COLUMN superseded_by TEXT NOT NULL DEFAULT '';"}});
}

int64_t AlarmNumber(const std::string& id) {
  if (!id.starts_with("A-")) return 0;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data() + 2, id.data() + id.size(), number);
  return error == std::errc() && end == id.data() + id.size() ? number : 0;
}

Result<Alarm> AlarmFromJson(const Json& body) {
  Alarm alarm;
  ASSIGN_OR_RETURN(alarm.id, GetString(body, "id"));
  ASSIGN_OR_RETURN(const std::string trace, GetString(body, "trace"));
  ASSIGN_OR_RETURN(alarm.trace, TraceId::Parse(trace));
  ASSIGN_OR_RETURN(alarm.raised, TimeAt(body, "raised"));
  ASSIGN_OR_RETURN(alarm.last_change, TimeAt(body, "last_change"));
  alarm.thing = StringOr(body, "thing", "");
  alarm.asset = StringOr(body, "asset", "");
  alarm.cause = StringOr(body, "cause", "");
  alarm.title = StringOr(body, "title", "");
  alarm.consequence = StringOr(body, "consequence", "");
  alarm.response = StringOr(body, "response", "");
  alarm.respond_within = FromSeconds(NumberOr(body, "respond_within_s", 0));
  alarm.priority = static_cast<Priority>(static_cast<int>(NumberOr(body, "priority", 2)));
  alarm.state = StateNamed(StringOr(body, "state", "normal"));
  alarm.acknowledged_at = TimeOrNothing(body, "acknowledged_at");
  alarm.cleared_at = TimeOrNothing(body, "cleared_at");
  alarm.shelved_until = TimeOrNothing(body, "shelved_until");
  alarm.seen_at = TimeOrNothing(body, "seen_at");
  alarm.acknowledged_by = StringOr(body, "acknowledged_by", "");
  alarm.confidence = NumberOr(body, "confidence", 0);
  alarm.confidence_low = NumberOr(body, "confidence_low", 0);
  alarm.confidence_high = NumberOr(body, "confidence_high", 1);
  alarm.model = StringOr(body, "model", "");
  alarm.because = ReasonsFromJson(body);
  for (const Json& model : body.value("suppressed_while", Json::array()))
    if (model.is_string()) alarm.suppressed_while.push_back(model.get<std::string>());
  alarm.superseded_by = StringOr(body, "superseded_by", "");
  if (const auto found = body.find("verdict"); found != body.end() && found->is_object()) {
    Verdict verdict;
    ASSIGN_OR_RETURN(verdict.kind, ParseVerdictKind(StringOr(*found, "kind", "")));
    ASSIGN_OR_RETURN(verdict.at, TimeAt(*found, "at"));
    verdict.code = StringOr(*found, "code", "");
    verdict.note = StringOr(*found, "note", "");
    verdict.actor = StringOr(*found, "actor", "");
    alarm.verdict = verdict;
  }
  return alarm;
}

Json PredictionToJson(const inference::Prediction& p) {
  Json reasons = Json::array();
  for (const auto& c : p.because) reasons.push_back(ToJson(c));
  return {{"trace", p.trace.ToString()},
          {"thing", p.thing},
          {"asset", p.asset},
          {"at", FormatTime(p.at)},
          {"model", p.model},
          {"version", p.version},
          {"digest", p.digest},
          {"classes", p.classes},
          {"probabilities", p.probabilities},
          {"top", p.top},
          {"base_value", p.base_value},
          {"margin", p.margin},
          {"because", std::move(reasons)},
          {"latency_us", p.latency_us}};
}

Result<inference::Prediction> PredictionFromJson(const Json& body) {
  inference::Prediction p;
  ASSIGN_OR_RETURN(const std::string trace, GetString(body, "trace"));
  ASSIGN_OR_RETURN(p.trace, TraceId::Parse(trace));
  ASSIGN_OR_RETURN(p.at, TimeAt(body, "at"));
  p.thing = StringOr(body, "thing", "");
  p.asset = StringOr(body, "asset", "");
  p.model = StringOr(body, "model", "");
  p.version = static_cast<uint32_t>(NumberOr(body, "version", 0));
  p.digest = StringOr(body, "digest", "");
  for (const Json& name : body.value("classes", Json::array()))
    p.classes.push_back(name.is_string() ? name.get<std::string>() : "");
  for (const Json& value : body.value("probabilities", Json::array()))
    p.probabilities.push_back(value.is_number() ? value.get<double>() : std::nan(""));
  p.top = static_cast<size_t>(NumberOr(body, "top", 0));
  p.base_value = NumberOr(body, "base_value", 0);
  p.margin = NumberOr(body, "margin", 0);
  p.because = ReasonsFromJson(body);
  p.latency_us = NumberOr(body, "latency_us", 0);
  return p;
}

}  // namespace penstock::decisions
