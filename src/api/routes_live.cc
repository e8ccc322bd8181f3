// Live updates, health, metrics and the description of the API.
#include "api/routes.h"

#include <charconv>

#include "base/metrics.h"
#include "base/version.h"

namespace penstock::api {
namespace {

Result<Response> Subscribe(const Services& services, const Request& request) {
  std::set<std::string> types;
  const std::string wanted = request.Query("types");
  for (size_t at = 0; at < wanted.size();) {
    size_t end = wanted.find(',', at);
    if (end == std::string::npos) end = wanted.size();
    types.insert(wanted.substr(at, end - at));
    at = end + 1;
  }
  const std::string last = request.Header("last-event-id");
  uint64_t after = 0;
  std::from_chars(last.data(), last.data() + last.size(), after);
  ASSIGN_OR_RETURN(auto client, services.events.Subscribe(std::move(types), after));
  Response response;
  response.events = std::move(client);
  return response;
}

Response PlainText(std::string text, std::string_view type) {
  Response response;
  response.content_type = type;
  response.body = std::move(text);
  return response;
}

}  // namespace

Json OverviewJson(const Services& s) {
  int to_act = 0, shelved = 0;
  if (const auto alarms = s.alarms.List({true, "", 0, 1000}))
    for (const auto& alarm : *alarms) {
      shelved += alarm.state == decisions::AlarmState::kShelved ? 1 : 0;
      to_act += alarm.state == decisions::AlarmState::kUnacknowledged ||
                        alarm.state == decisions::AlarmState::kReturnedUnacknowledged
                    ? 1
                    : 0;
    }
  const telemetry::Ledger ledger = s.pipeline.ledger();
  const Time now = s.clock.Now();
  return {{"time", FormatTime(now)},
          {"speed", s.clock.Speed()},
          {"site", s.settings.site},
          {"to_act", to_act},
          {"shelved", shelved},
          {"alarms_per_hour", s.alarms.RaisedSince(now - std::chrono::hours(1))},
          {"alarms_per_hour_limit", 6},
          {"samples_per_s", NumberOrNull(s.live.samples_per_s())},
          {"lost", ledger.gap},
          {"quarantined", ledger.quarantined},
          {"log_durable_ms", NumberOrNull(s.pipeline.log_durable_ms())},
          {"log_failing", s.pipeline.log_failing()},
          {"hub", "none"},
          {"node", s.node_name}};
}

void AddLiveRoutes(Router& router, const Services& s) {
  using trust::Role;
  router.Add({"GET",
              "/api/v1/live",
              Role::kViewer,
              "Server-sent events: alarm, values, overview, kpi, gate, device",
              [&s](const Request& r) { return Subscribe(s, r); },
              nullptr,
              {"types: event names, by comma"}});
  router.Add({"GET", "/api/v1/overview", Role::kViewer, "Is anything wrong, and is the node well",
              [&s](const Request&) -> Result<Response> { return JsonResponse(OverviewJson(s)); }});
  router.Add({"GET", "/metrics", Role::kViewer, "The node's own health in Prometheus text format",
              [](const Request&) -> Result<Response> {
                return PlainText(PrometheusText(), "text/plain; version=0.0.4; charset=utf-8");
              }});
  router.Add({"GET", "/healthz", Role::kNone, "200 while samples can become durable",
              [&s](const Request&) -> Result<Response> {
                if (s.pipeline.log_failing())
                  return Unavailable("the durable log cannot be written");
                return JsonResponse({{"status", "ok"}});
              }});
  // Made at each call: routes may be added after these.
  router.Add({"GET", "/api/openapi.json", Role::kNone, "This description",
              [&router](const Request&) -> Result<Response> {
                return JsonResponse(router.OpenApi(kVersion));
              }});
}

}  // namespace penstock::api
