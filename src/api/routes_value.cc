// KPIs, machine states, use cases and their gates.
#include "api/routes.h"

#include <algorithm>

namespace penstock::api {
namespace {

Result<std::optional<Time>> OptionalTime(const Request& request, const char* name) {
  const std::string text = request.Query(name);
  if (text.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const Time time, ParseTime(text));
  return time;
}

Result<Response> ListKpis(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const auto from, OptionalTime(request, "from"));
  ASSIGN_OR_RETURN(const auto to, OptionalTime(request, "to"));
  ASSIGN_OR_RETURN(const auto kpis, services.kpis.Compute(request.Query("asset"), from, to));
  Json items = Json::array();
  for (const auto& kpi : kpis) items.push_back(kpi.ToJson());
  return ListResponse(std::move(items));
}

Result<Response> KpiEvents(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const auto from, OptionalTime(request, "from"));
  ASSIGN_OR_RETURN(const auto to, OptionalTime(request, "to"));
  ASSIGN_OR_RETURN(const Json events,
                   services.kpis.Events(request.At("name"), request.Query("asset"), from, to));
  return JsonResponse(events);
}

Result<Response> ListStates(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, services.clock.Now(), std::chrono::hours(24)));
  ASSIGN_OR_RETURN(const auto spans,
                   services.states.List(request.Query("asset"), range.from, range.to));
  Json items = Json::array();
  for (const auto& span : spans)
    items.push_back({{"from", FormatTime(span.from)},
                     {"to", FormatTime(span.to)},
                     {"state", value::MachineStateName(span.state)},
                     {"reason", span.reason},
                     {"alarm", span.alarm.empty() ? Json(nullptr) : Json(span.alarm)}});
  return ListResponse(std::move(items));
}

Result<Response> ListUseCases(const Services& services) {
  Json items = Json::array();
  for (const auto& usecase : services.usecases.List()) {
    ASSIGN_OR_RETURN(Json summary, services.gates.Summary(*usecase));
    items.push_back(std::move(summary));
  }
  return ListResponse(std::move(items));
}

Result<Response> OneUseCase(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const auto usecase, services.usecases.Get(request.At("name")));
  ASSIGN_OR_RETURN(Json summary, services.gates.Summary(*usecase));
  summary["document"] = usecase->document;
  return JsonResponse(summary);
}

Result<Response> EvaluateGate(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const auto gate,
                   services.gates.Evaluate(request.At("name"), request.At("gate")));
  return JsonResponse(gate.ToJson());
}

// The sponsor of a use case is a title. Who holds it signs, whatever their access role; as long as
// nobody does, an admin stands in, or an engineer whose access role is the sponsor's.
// True: by title.
Result<bool> MaySign(const Services& services, const trust::Principal& principal,
                     const std::string& as, const std::string& sponsor) {
  ASSIGN_OR_RETURN(const auto holders, services.titles.Holders(sponsor));
  if (!holders.empty()) {
    if (as == sponsor && std::ranges::find(holders, principal.name) != holders.end()) return true;
    auto error = PermissionDenied("{} does not hold the title {}", principal.name, sponsor);
    error.error().Fix(fmt::format("{} signs as {}", fmt::join(holders, " or "), sponsor));
    return error;
  }
  if (principal.Has(trust::Role::kAdmin)) return false;
  if (principal.Has(trust::Role::kEngineer) && as == trust::RoleName(principal.role)) return false;
  auto error = PermissionDenied("{} is {} and cannot sign as {}", principal.name,
                                trust::RoleName(principal.role), as.substr(0, 40));
  error.error().Fix(
      fmt::format("an admin signs, or gives somebody the title {} who then does", sponsor));
  return error;
}

Result<Response> SignGate(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(Json body, BodyObject(request, {"as", "note"}));
  ASSIGN_OR_RETURN(const std::string role, GetString(body, "as"));
  value::Signature signature;
  // What the gate refuses leaves no entry that says it was signed.
  TRY(services.records.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(const auto usecase, services.usecases.Get(request.At("name")));
    ASSIGN_OR_RETURN(body["holds_title"],
                     MaySign(services, request.principal, role, usecase->sponsor));
    TRY(Audit(services, request, "gate.sign", request.At("name") + "/" + request.At("gate"), "",
              body));
    ASSIGN_OR_RETURN(signature,
                     services.gates.Sign(request.At("name"), request.At("gate"), role,
                                         request.principal.name, StringOr(body, "note", "")));
    return {};
  }));
  services.events.Publish("gate", {{"usecase", signature.usecase}});
  return JsonResponse({{"usecase", signature.usecase},
                       {"gate", signature.gate},
                       {"as", signature.role},
                       {"by", signature.actor},
                       {"at", FormatTime(signature.at)}},
                      201);
}

}  // namespace

void AddValueRoutes(Router& router, const Services& s) {
  using trust::Role;
  const std::vector<std::string> range = {"asset: ISA-95 path", "from: RFC 3339 time",
                                          "to: RFC 3339 time"};
  router.Add({"GET", "/api/v1/kpis", Role::kViewer, "KPIs with numerator, denominator and interval",
              [&s](const Request& r) { return ListKpis(s, r); }, nullptr, range});
  router.Add({"GET", "/api/v1/kpis/{name}/events", Role::kViewer, "What a KPI was computed from",
              [&s](const Request& r) { return KpiEvents(s, r); }, nullptr, range});
  router.Add({"GET", "/api/v1/states", Role::kViewer, "What a machine or a line was doing",
              [&s](const Request& r) { return ListStates(s, r); }, nullptr, range});
  router.Add({"GET", "/api/v1/usecases", Role::kViewer, "Use cases and how their gates stand",
              [&s](const Request&) { return ListUseCases(s); }});
  router.Add({"GET", "/api/v1/usecases/{name}", Role::kViewer, "One use case with its file",
              [&s](const Request& r) { return OneUseCase(s, r); }});
  router.Add({"GET", "/api/v1/usecases/{name}/gates/{gate}", Role::kViewer,
              "The gate's checks, evaluated now",
              [&s](const Request& r) { return EvaluateGate(s, r); }});
  router.Add({"POST",
              "/api/v1/usecases/{name}/gates/{gate}/sign",
              Role::kViewer,
              "Sign as the sponsor: whoever holds that title; an admin while nobody does",
              [&s](const Request& r) { return SignGate(s, r); },
              {{"type", "object"},
               {"required", {"as"}},
               {"properties", {{"as", {{"type", "string"}}}, {"note", {{"type", "string"}}}}}}});
}

}  // namespace penstock::api
