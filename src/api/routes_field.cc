// Devices and twins: what is out there, what is wrong with it, and what it shall be.
#include "api/routes.h"
#include "fleet/diagnostics.h"

namespace penstock::api {
namespace {

Result<Response> OneDevice(const Services& services, const std::string& name) {
  TRY(services.devices.Get(name));
  TRY(services.devices.Flush());  // The changes of the last moments, too.
  const auto snapshot = services.directory.snapshot();
  Json all = fleet::Diagnose(services.devices, *snapshot, services.clock.Now());
  Json body = Json::object();
  for (Json& item : all["items"])
    if (item.value("name", "") == name) body = std::move(item);
  body["findings"] = Json::array();
  for (Json& finding : all["findings"])
    if (finding.value("device", "") == name) body["findings"].push_back(std::move(finding));
  ASSIGN_OR_RETURN(body["changes"], services.devices.Changes(name));
  return JsonResponse(body);
}

Status CheckThing(const Services& services, const std::string& name) {
  if (services.directory.snapshot()->FindThing(name) == nullptr)
    return NotFound("thing unknown: {}", name.substr(0, 100));
  return {};
}

Result<Response> ListTwins(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  ASSIGN_OR_RETURN(const auto twins,
                   services.twins.List(request.Query("after"), static_cast<size_t>(limit)));
  Json items = Json::array();
  for (const auto& twin : twins) items.push_back(twin.ToJson());
  return ListResponse(std::move(items),
                      static_cast<int64_t>(twins.size()) == limit ? twins.back().thing : "");
}

Result<Response> OneTwin(const Services& services, const std::string& thing) {
  TRY(CheckThing(services, thing));
  ASSIGN_OR_RETURN(const fleet::Twin twin, services.twins.Get(thing));
  return JsonResponse(twin.ToJson());
}

Result<Response> PatchTwin(const Services& services, const Request& request) {
  const std::string& thing = request.At("thing");
  TRY(CheckThing(services, thing));
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"desired", "reported", "if_version"}));
  const bool desired = body.contains("desired");
  if (desired == body.contains("reported")) {
    auto error = InvalidArgument("give a merge patch for one of desired and reported");
    error.error().Fix(R"({"desired": {"speed": 1200}})");
    return error;
  }
  std::optional<int64_t> version;
  if (body.contains("if_version")) {
    if (!body["if_version"].is_number_integer()) {
      auto error = InvalidArgument("if_version is not a whole number");
      error.error().At("/if_version");
      return error;
    }
    version = body["if_version"].get<int64_t>();
  }
  const Json& patch = body[desired ? "desired" : "reported"];
  fleet::Twin twin;
  TRY(services.records.Transaction([&]() -> Status {
    TRY(Audit(services, request, desired ? "twin.desire" : "twin.report", thing, "", patch));
    ASSIGN_OR_RETURN(twin, desired ? services.twins.PatchDesired(thing, patch, version)
                                   : services.twins.PatchReported(thing, patch, version));
    return {};
  }));
  return JsonResponse(twin.ToJson());
}

}  // namespace

void AddFieldRoutes(Router& router, const Services& s) {
  using trust::Role;
  router.Add({"GET", "/api/v1/devices", Role::kViewer,
              "Connection, errors and counts of every device",
              [&s](const Request&) { return Result<Response>(ListResponse(s.devices.ToJson())); }});
  router.Add({"GET", "/api/v1/devices/{name}", Role::kViewer,
              "One device with its changes of state and what is wrong with it",
              [&s](const Request& r) { return OneDevice(s, r.At("name")); }});
  router.Add({"GET", "/api/v1/diagnostics", Role::kViewer,
              "What is wrong in the field now, and what to do", [&s](const Request&) {
                return Result<Response>(JsonResponse(
                    fleet::Diagnose(s.devices, *s.directory.snapshot(), s.clock.Now())));
              }});
  router.Add({"GET",
              "/api/v1/twins",
              Role::kViewer,
              "Twins that were ever set, by thing",
              [&s](const Request& r) { return ListTwins(s, r); },
              nullptr,
              {"after: cursor", "limit: 1 to 1000"}});
  router.Add({"GET", "/api/v1/twins/{thing}", Role::kViewer,
              "What a thing shall be, what it says it is, and the difference",
              [&s](const Request& r) { return OneTwin(s, r.At("thing")); }});
  router.Add({"PATCH",
              "/api/v1/twins/{thing}",
              Role::kEngineer,
              "Change desired or reported by a merge patch (RFC 7396)",
              [&s](const Request& r) { return PatchTwin(s, r); },
              {{"type", "object"},
               {"properties",
                {{"desired", {{"type", "object"}}},
                 {"reported", {{"type", "object"}}},
                 {"if_version", {{"type", "integer"}}}}}}});
}

}  // namespace penstock::api
