// Alarms, the decisions behind them and what people said.
#include "api/routes.h"

#include <cmath>

#include "decisions/alarm_store.h"

namespace penstock::api {
namespace {

using decisions::Alarm;

Response AlarmResponse(const Services& services, const Alarm& alarm) {
  return JsonResponse(AlarmJson(services, alarm));
}

Result<Response> ListAlarms(const Services& services, const Request& request) {
  decisions::AlarmFilter filter;
  const std::string state = request.Query("state", "all");
  if (state != "open" && state != "all")
    return InvalidArgument("?state={} is not open or all", state.substr(0, 40));
  filter.open_only = state == "open";
  filter.thing = request.Query("thing");
  ASSIGN_OR_RETURN(filter.before, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  filter.limit = static_cast<size_t>(limit);
  ASSIGN_OR_RETURN(const auto alarms, services.alarms.List(filter));
  Json items = Json::array();
  for (const Alarm& alarm : alarms) items.push_back(AlarmJson(services, alarm));
  const bool more = alarms.size() == filter.limit;
  return ListResponse(std::move(items),
                      more ? std::to_string(decisions::AlarmNumber(alarms.back().id)) : "");
}

Result<Response> Acknowledge(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Alarm alarm,
                   services.alarms.Acknowledge(request.At("id"), request.principal.name));
  return AlarmResponse(services, alarm);
}

Result<Response> Shelve(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"for", "reason"}));
  ASSIGN_OR_RETURN(const std::string text, GetString(body, "for"));
  auto time = ParseDuration(text);
  if (!time) return std::unexpected(time.error().At("/for"));
  ASSIGN_OR_RETURN(const Alarm alarm,
                   services.alarms.Shelve(request.At("id"), *time, StringOr(body, "reason", ""),
                                          request.principal.name));
  return AlarmResponse(services, alarm);
}

Result<Response> Unshelve(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Alarm alarm,
                   services.alarms.Unshelve(request.At("id"), request.principal.name));
  return AlarmResponse(services, alarm);
}

Result<Response> Answer(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"kind", "code", "note"}));
  ASSIGN_OR_RETURN(const std::string kind, GetString(body, "kind"));
  decisions::Verdict verdict;
  ASSIGN_OR_RETURN(verdict.kind, decisions::ParseVerdictKind(kind));
  verdict.code = StringOr(body, "code", "");
  verdict.note = StringOr(body, "note", "");
  verdict.actor = request.principal.name;
  verdict.at = services.clock.Now();
  ASSIGN_OR_RETURN(const Alarm before, services.alarms.Get(request.At("id")));
  if (verdict.kind == decisions::VerdictKind::kTrueFault && verdict.code.empty())
    verdict.code = before.cause;
  ASSIGN_OR_RETURN(const Alarm alarm, services.alarms.Answer(before.id, verdict));
  return AlarmResponse(services, alarm);
}

Result<Response> ListVerdicts(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  ASSIGN_OR_RETURN(
      const auto rows,
      services.records.Query(
          "SELECT body FROM alarms WHERE verdict IS NOT NULL AND (?1 = 0 OR number < ?1)"
          " ORDER BY number DESC LIMIT ?2",
          {after, limit}));
  Json items = Json::array();
  std::string next;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(const Json alarm, ParseJson(row.Text(0)));
    Json item = alarm.value("verdict", Json::object());
    for (const char* key : {"trace", "thing"}) item[key] = alarm.value(key, "");
    item["alarm"] = alarm.value("id", "");
    next = std::to_string(decisions::AlarmNumber(alarm.value("id", "")));
    items.push_back(std::move(item));
  }
  return ListResponse(std::move(items), static_cast<int64_t>(rows.size()) == limit ? next : "");
}

Result<Response> ListDecisions(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 50, 1, 500));
  ASSIGN_OR_RETURN(const auto rows, services.records.Query(
                                        "SELECT rowid, trace, alarm, at, body FROM decisions WHERE"
                                        " (?1 = 0 OR rowid < ?1) ORDER BY rowid DESC LIMIT ?2",
                                        {after, limit}));
  Json items = Json::array();
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(Json body, ParseJson(row.Text(4)));
    body["trace"] = row.Text(1);
    body["alarm"] = row.Text(2);
    body["at"] = FormatTime(FromMicros(row.Integer(3)));
    items.push_back(std::move(body));
  }
  const bool more = static_cast<int64_t>(rows.size()) == limit;
  return ListResponse(std::move(items), more ? std::to_string(rows.back().Integer(0)) : "");
}

}  // namespace

Status Audit(const Services& services, const Request& request, const std::string& action,
             const std::string& subject, const std::string& trace, const Json& detail) {
  TRY(services.audit.Append(request.principal.name, action, subject, trace, detail));
  return {};
}

Json AlarmJson(const Services& services, const Alarm& alarm) {
  Json body = alarm.ToJson();
  const auto snapshot = services.directory.snapshot();
  const things::Thing* thing = snapshot->FindThing(alarm.thing);
  body["asset_title"] = thing != nullptr ? thing->title : alarm.thing;
  const auto record = services.alarms.TrackRecordOf(alarm.model, alarm.cause);
  body["track_record"] = {{"right", record.right}, {"of", record.of}};
  return body;
}

Result<Json> ExplainJson(const Services& services, const Alarm& alarm) {
  const std::string trace = alarm.trace.ToString();
  ASSIGN_OR_RETURN(const auto steps, services.provenance.Of(alarm.trace));
  ASSIGN_OR_RETURN(const auto entries, services.audit.OfTrace(trace));
  Json audit = nullptr;
  if (!entries.empty()) {
    ASSIGN_OR_RETURN(const bool ok, services.audit.Verify(entries.back().leaf));
    audit = {{"leaf", entries.back().leaf}, {"proof_ok", ok}, {"entries", entries.size()}};
  }
  return Json{
      {"id", alarm.id},
      {"trace", trace},
      {"title", alarm.title},
      {"priority", static_cast<int>(alarm.priority)},
      {"state", decisions::AlarmStateName(alarm.state)},
      {"superseded_by", alarm.superseded_by.empty() ? Json(nullptr) : Json(alarm.superseded_by)},
      {"verdict", alarm.verdict ? decisions::ToJson(*alarm.verdict) : Json(nullptr)},
      {"steps", decisions::Provenance::ToJson(steps)},
      {"audit", audit}};
}

void AddAlarmRoutes(Router& router, const Services& s) {
  using trust::Role;
  const Json verdict_schema = {{"type", "object"},
                               {"required", {"kind"}},
                               {"properties",
                                {{"kind",
                                  {{"enum",
                                    {"true_fault", "known_or_planned", "sensor_fault",
                                     "false_alarm", "mode_change", "unsure"}}}},
                                 {"code", {{"type", "string"}}},
                                 {"note", {{"type", "string"}, {"maxLength", 2000}}}}}};
  const Json shelve_schema = {
      {"type", "object"},
      {"required", {"for"}},
      {"properties",
       {{"for", {{"type", "string"}, {"examples", {"4h"}}}}, {"reason", {{"type", "string"}}}}}};
  router.Add(
      {"GET",
       "/api/v1/alarms",
       Role::kViewer,
       "Alarms, newest first",
       [&s](const Request& r) { return ListAlarms(s, r); },
       nullptr,
       {"state: open or all", "thing: only of this thing", "after: cursor", "limit: 1 to 1000"}});
  router.Add({"GET", "/api/v1/alarms/{id}", Role::kViewer, "One alarm; the first look is noted",
              [&s](const Request& r) -> Result<Response> {
                ASSIGN_OR_RETURN(const Alarm alarm, r.principal.Has(Role::kTechnician)
                                                        ? s.alarms.MarkSeen(r.At("id"))
                                                        : s.alarms.Get(r.At("id")));
                return AlarmResponse(s, alarm);
              }});
  router.Add({"POST", "/api/v1/alarms/{id}/acknowledge", Role::kTechnician,
              "Acknowledge an active alarm", [&s](const Request& r) { return Acknowledge(s, r); }});
  router.Add({"POST", "/api/v1/alarms/{id}/shelve", Role::kTechnician,
              "Put an alarm aside, at most 24 h", [&s](const Request& r) { return Shelve(s, r); },
              shelve_schema});
  router.Add({"POST", "/api/v1/alarms/{id}/unshelve", Role::kTechnician,
              "Bring a shelved alarm back", [&s](const Request& r) { return Unshelve(s, r); }});
  router.Add({"POST", "/api/v1/alarms/{id}/verdict", Role::kTechnician, "Say what it really was",
              [&s](const Request& r) { return Answer(s, r); }, verdict_schema});
  router.Add({"GET", "/api/v1/alarms/{id}/explain", Role::kViewer,
              "The chain from the samples to the verdict",
              [&s](const Request& r) -> Result<Response> {
                ASSIGN_OR_RETURN(const Alarm alarm, s.alarms.Get(r.At("id")));
                ASSIGN_OR_RETURN(const Json chain, ExplainJson(s, alarm));
                return JsonResponse(chain);
              }});
  router.Add({"GET", "/api/v1/traces/{trace}", Role::kViewer, "The same chain, by trace id",
              [&s](const Request& r) -> Result<Response> {
                ASSIGN_OR_RETURN(const TraceId trace, TraceId::Parse(r.At("trace")));
                ASSIGN_OR_RETURN(const Alarm alarm, s.alarms.OfTrace(trace));
                ASSIGN_OR_RETURN(const Json chain, ExplainJson(s, alarm));
                return JsonResponse(chain);
              }});
  router.Add({"GET",
              "/api/v1/verdicts",
              Role::kViewer,
              "What people said, newest first",
              [&s](const Request& r) { return ListVerdicts(s, r); },
              nullptr,
              {"after: cursor", "limit: 1 to 1000"}});
  router.Add({"GET",
              "/api/v1/decisions",
              Role::kViewer,
              "Decision records, newest first",
              [&s](const Request& r) { return ListDecisions(s, r); },
              nullptr,
              {"after: cursor", "limit: 1 to 500"}});
}

}  // namespace penstock::api
