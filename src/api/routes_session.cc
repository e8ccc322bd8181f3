// Who is here: set-up of the first admin, log-in, log-out.
#include "api/routes.h"

#include "base/version.h"

namespace penstock::api {
namespace {

Json UserJson(const Services& services, const trust::Principal& principal) {
  const auto titles = services.titles.Of(principal.name);
  return {{"name", principal.name},
          {"role", trust::RoleName(principal.role)},
          {"titles", titles ? Json(*titles) : Json::array()}};
}

Result<Response> WithCookie(const Services& services, const App& app,
                            const trust::Principal& principal, const std::string& name,
                            const std::string& password, const std::string& remote) {
  ASSIGN_OR_RETURN(const std::string session, services.users.Login(name, password, remote));
  Response response = JsonResponse({{"user", UserJson(services, principal)}}, 201);
  response.headers.emplace_back("Set-Cookie", app.SetCookie(session));
  return response;
}

Result<Response> Setup(const Services& services, const App& app, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"token", "name", "password"}));
  ASSIGN_OR_RETURN(const std::string token, GetString(body, "token"));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const std::string password, GetString(body, "password"));
  ASSIGN_OR_RETURN(const trust::Principal principal, services.users.Setup(token, name, password));
  return WithCookie(services, app, principal, name, password, request.remote);
}

Result<Response> Login(const Services& services, const App& app, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"name", "password"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const std::string password, GetString(body, "password"));
  ASSIGN_OR_RETURN(const std::string session, services.users.Login(name, password, request.remote));
  ASSIGN_OR_RETURN(const trust::Principal principal, services.users.BySession(session));
  Response response = JsonResponse({{"user", UserJson(services, principal)}}, 201);
  response.headers.emplace_back("Set-Cookie", app.SetCookie(session));
  return response;
}

Result<Response> Session(const Services& services, const App& app, const Request& request) {
  Json user = nullptr;
  if (const auto principal = services.users.BySession(request.Cookie(app.CookieName())))
    user = UserJson(services, *principal);
  return JsonResponse({{"setup_needed", services.users.setup_needed()},
                       {"user", user},
                       {"time", FormatTime(services.clock.Now())},
                       {"speed", services.clock.Speed()},
                       {"site", services.settings.site},
                       {"node", services.node_name},
                       {"version", kVersion}});
}

Result<Response> Logout(const Services& services, const App& app, const Request& request) {
  if (const std::string session = request.Cookie(app.CookieName()); !session.empty())
    services.users.Logout(session);
  Response response = EmptyResponse();
  response.headers.emplace_back("Set-Cookie", app.SetCookie(""));
  return response;
}

Json StringsSchema(std::initializer_list<const char*> names) {
  Json properties = Json::object(), required = Json::array();
  for (const char* name : names) {
    properties[name] = {{"type", "string"}};
    required.push_back(name);
  }
  return {{"type", "object"}, {"required", required}, {"properties", properties}};
}

}  // namespace

void AddSessionRoutes(Router& router, const Services& s, const App& app) {
  using trust::Role;
  router.Add({"GET", "/api/v1/session", Role::kNone, "Who am I, and is set-up still to be done",
              [&s, &app](const Request& r) { return Session(s, app, r); }});
  router.Add({"POST", "/api/v1/session/setup", Role::kNone,
              "Make the first admin with the set-up token",
              [&s, &app](const Request& r) { return Setup(s, app, r); },
              StringsSchema({"token", "name", "password"})});
  router.Add({"POST", "/api/v1/session", Role::kNone, "Log in",
              [&s, &app](const Request& r) { return Login(s, app, r); },
              StringsSchema({"name", "password"})});
  router.Add({"DELETE", "/api/v1/session", Role::kNone, "Log out",
              [&s, &app](const Request& r) { return Logout(s, app, r); }});
}

}  // namespace penstock::api
