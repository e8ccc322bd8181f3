// The audit log with its proofs; users and machines' tokens.
#include "api/routes.h"

namespace penstock::api {
namespace {

Json EntryJson(const trust::AuditEntry& entry) {
  return {{"leaf", entry.leaf},     {"at", FormatTime(entry.at)}, {"actor", entry.actor},
          {"action", entry.action}, {"subject", entry.subject},   {"trace", entry.trace},
          {"detail", entry.detail}};
}

Result<Response> ListAudit(const Services& services, const Request& request) {
  // Newest first for people; the cursor is the leaf below which the next page begins.
  const auto size = static_cast<int64_t>(services.audit.size());
  ASSIGN_OR_RETURN(const int64_t before, request.QueryInteger("after", size, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  const int64_t end = std::min(before, size), begin = std::max<int64_t>(0, end - limit);
  ASSIGN_OR_RETURN(const auto entries, services.audit.List(static_cast<uint64_t>(begin),
                                                           static_cast<size_t>(end - begin)));
  Json items = Json::array();
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) items.push_back(EntryJson(*it));
  return ListResponse(std::move(items), begin > 0 ? std::to_string(begin) : "");
}

Result<Response> Proof(const Services& services, const Request& request) {
  Request leaf_of_path;
  leaf_of_path.query["leaf"] = request.At("leaf");
  ASSIGN_OR_RETURN(const int64_t leaf, leaf_of_path.QueryInteger("leaf", -1, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const auto proof, services.audit.ProofOf(static_cast<uint64_t>(leaf)));
  ASSIGN_OR_RETURN(const bool ok, services.audit.Verify(static_cast<uint64_t>(leaf)));
  Json hashes = Json::array();
  for (const Sha256& hash : proof.path) hashes.push_back(ToHex(hash));
  return JsonResponse({{"leaf", leaf},
                       {"size", proof.size},
                       {"root", ToHex(proof.root)},
                       {"leaf_hash", ToHex(proof.leaf_hash)},
                       {"path", hashes},
                       {"proof_ok", ok}});
}

Json NamedSchema(const char* extra) {
  return {{"type", "object"},
          {"required", {"name", "role"}},
          {"properties",
           {{"name", {{"type", "string"}}},
            {"role", {{"enum", {"viewer", "technician", "engineer", "admin"}}}},
            {extra, {{"type", "string"}}}}}};
}

Result<Response> AddUser(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"name", "role", "password"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const std::string role_name, GetString(body, "role"));
  ASSIGN_OR_RETURN(const std::string password, GetString(body, "password"));
  ASSIGN_OR_RETURN(const trust::Role role, trust::ParseRole(role_name));
  TRY(services.users.AddUser(request.principal.name, name, role, password));
  return JsonResponse({{"name", name}, {"role", role_name}}, 201);
}

Result<Response> ListUsers(const Services& services) {
  ASSIGN_OR_RETURN(Json users, services.users.UsersJson());
  for (Json& user : users) {
    ASSIGN_OR_RETURN(user["titles"], services.titles.Of(user.value("name", "")));
  }
  return ListResponse(std::move(users));
}

// Role and titles; what is not named stays. All of it or nothing.
Result<Response> ChangeUser(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"role", "titles"}));
  const std::string& name = request.At("name");
  const std::string& actor = request.principal.name;
  TRY(services.records.Transaction([&]() -> Status {
    if (body.contains("role")) {
      ASSIGN_OR_RETURN(const std::string role_name, GetString(body, "role"));
      ASSIGN_OR_RETURN(const trust::Role role, trust::ParseRole(role_name));
      TRY(services.users.SetRole(actor, name, role));
    }
    if (!body.contains("titles")) return {};
    std::vector<std::string> titles;
    for (const Json& title : body["titles"].is_array() ? body["titles"] : Json::array({nullptr})) {
      if (!title.is_string()) {
        auto error = InvalidArgument("titles are a list of texts");
        error.error().At("/titles").Fix(R"({"titles": ["plant-manager"]})");
        return error;
      }
      titles.push_back(title.get<std::string>());
    }
    return services.titles.Set(actor, name, std::move(titles));
  }));
  ASSIGN_OR_RETURN(const Json users, services.users.UsersJson());
  for (Json user : users)
    if (user["name"] == name) {
      ASSIGN_OR_RETURN(user["titles"], services.titles.Of(name));
      return JsonResponse(user);
    }
  return NotFound("user unknown: {}", name.substr(0, 64));
}

Result<Response> AddToken(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"name", "role"}));
  ASSIGN_OR_RETURN(const std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const std::string role_name, GetString(body, "role"));
  ASSIGN_OR_RETURN(const trust::Role role, trust::ParseRole(role_name));
  ASSIGN_OR_RETURN(const std::string secret,
                   services.users.CreateToken(request.principal.name, name, role));
  return JsonResponse({{"name", name}, {"role", role_name}, {"secret", secret}}, 201);
}

}  // namespace

void AddTrustRoutes(Router& router, const Services& s) {
  using trust::Role;
  router.Add({"GET",
              "/api/v1/audit",
              Role::kViewer,
              "Who did what, newest first",
              [&s](const Request& r) { return ListAudit(s, r); },
              nullptr,
              {"after: cursor", "limit: 1 to 1000"}});
  router.Add({"GET", "/api/v1/audit/root", Role::kViewer,
              "Size and root of the Merkle tree (RFC 6962)",
              [&s](const Request&) -> Result<Response> {
                return JsonResponse({{"size", s.audit.size()}, {"root", ToHex(s.audit.Root())}});
              }});
  router.Add({"GET", "/api/v1/audit/{leaf}/proof", Role::kViewer, "Inclusion proof of one entry",
              [&s](const Request& r) { return Proof(s, r); }});
  router.Add({"GET", "/api/v1/users", Role::kAdmin, "Users, their roles and titles",
              [&s](const Request&) { return ListUsers(s); }});
  router.Add({"POST", "/api/v1/users", Role::kAdmin, "Add a user",
              [&s](const Request& r) { return AddUser(s, r); }, NamedSchema("password")});
  router.Add({"PATCH",
              "/api/v1/users/{name}",
              Role::kAdmin,
              "Change a user's role or titles",
              [&s](const Request& r) { return ChangeUser(s, r); },
              {{"type", "object"},
               {"properties",
                {{"role", {{"enum", {"viewer", "technician", "engineer", "admin"}}}},
                 {"titles",
                  {{"type", "array"},
                   {"items", {{"type", "string"}, {"pattern", "^[a-z0-9-]{1,64}$"}}},
                   {"maxItems", trust::kTitlesMax}}}}}}});
  router.Add({"DELETE", "/api/v1/users/{name}", Role::kAdmin, "Remove a user; the last admin stays",
              [&s](const Request& r) -> Result<Response> {
                TRY(s.users.RemoveUser(r.principal.name, r.At("name")));
                return EmptyResponse();
              }});
  router.Add({"GET", "/api/v1/tokens", Role::kAdmin, "Machines' tokens, without their secrets",
              [&s](const Request&) -> Result<Response> {
                ASSIGN_OR_RETURN(Json tokens, s.users.TokensJson());
                return ListResponse(std::move(tokens));
              }});
  router.Add({"POST", "/api/v1/tokens", Role::kAdmin,
              "Make a machine's token; its secret is shown once",
              [&s](const Request& r) { return AddToken(s, r); }, NamedSchema("note")});
  router.Add({"DELETE", "/api/v1/tokens/{name}", Role::kAdmin, "Revoke a token",
              [&s](const Request& r) -> Result<Response> {
                TRY(s.users.RevokeToken(r.principal.name, r.At("name")));
                return EmptyResponse();
              }});
}

}  // namespace penstock::api
