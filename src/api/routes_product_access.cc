// Requests for access to data products, and what owners and administrators decide about them.
#include "api/routes.h"
#include "api/routes_products.h"

namespace penstock::api {
namespace {

using things::AccessRequest;
using things::DataProduct;

struct AccessParts {
  const Services& node;
  const ProductServices& products;
};

Result<Response> AskAccess(const AccessParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const DataProduct product, parts.products.products.Find(request.At("name")));
  ASSIGN_OR_RETURN(const Json body, BodyObject(request, {"purpose", "personal"}));
  ASSIGN_OR_RETURN(const std::string purpose, GetString(body, "purpose"));
  const bool personal = BoolOr(body, "personal", false);
  AccessRequest asked;
  TRY(parts.node.records.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(asked, parts.products.products.parts().access.Ask(
                                product.name, request.principal.name, purpose, personal,
                                parts.node.clock.Now()));
    return Audit(parts.node, request, "product.ask", product.name, "",
                 {{"request", asked.id}, {"purpose", purpose}, {"personal", personal}});
  }));
  parts.node.events.Publish("access", {{"product", product.name}});
  return JsonResponse(asked.ToJson(parts.node.clock.Now()), 201);
}

// A product that is gone can still be decided about, by an administrator.
Status MayDecide(const AccessParts& parts, const Request& request, const std::string& name) {
  if (request.principal.Has(trust::Role::kAdmin)) return {};
  const auto product = parts.products.products.Find(name);
  if (product && parts.products.products.IsOwner(request.principal, *product)) return {};
  return PermissionDenied("{} does not own the data product {}", request.principal.name, name);
}

Result<int64_t> RequestId(const Request& request) {
  Request number;
  number.query["id"] = request.At("id");
  return number.QueryInteger("id", 0, 1, INT64_MAX);
}

Result<Response> Decide(const AccessParts& parts, const Request& request, bool grant) {
  ASSIGN_OR_RETURN(const int64_t id, RequestId(request));
  const Time now = parts.node.clock.Now();
  auto& store = parts.products.products.parts().access;
  ASSIGN_OR_RETURN(const AccessRequest asked, store.Get(id));
  TRY(MayDecide(parts, request, asked.product));
  Json body;
  if (grant) {
    ASSIGN_OR_RETURN(body, BodyObject(request, {"note", "for", "personal"}));
  } else {
    ASSIGN_OR_RETURN(body, BodyObject(request, {"note"}));
  }
  const std::string note = StringOr(body, "note", "");
  if (note.size() > 4 * things::kPurposeMax) {
    auto error = InvalidArgument("a note has at most {} characters", things::kPurposeMax);
    error.error().At("/note");
    return error;
  }
  Duration time = things::kGrantDefault;
  if (const std::string text = StringOr(body, "for", ""); !text.empty()) {
    auto parsed = ParseDuration(text);
    if (!parsed) return std::unexpected(parsed.error().At("/for"));
    time = *parsed;
  }
  AccessRequest decided;
  TRY(parts.node.records.Transaction([&]() -> Status {
    auto changed = grant ? store.Grant(id, request.principal.name, note, time,
                                       BoolOr(body, "personal", asked.personal), now)
                         : store.Deny(id, request.principal.name, note, now);
    if (!changed) return std::unexpected(changed.error());
    decided = std::move(*changed);
    return Audit(parts.node, request, std::string("product.") + (grant ? "grant" : "deny"),
                 decided.product, "",
                 {{"request", id},
                  {"principal", decided.principal},
                  {"state", things::RequestStateName(decided.state)},
                  {"personal", decided.personal},
                  {"expires", decided.expires ? Json(FormatTime(*decided.expires)) : Json(nullptr)},
                  {"note", note}});
  }));
  parts.node.events.Publish("access", {{"product", decided.product}});
  return JsonResponse(decided.ToJson(now));
}

// Owners and administrators see what concerns their products, others their own.
Result<Response> ListRequests(const AccessParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  const std::string product = request.Query("product");
  const bool admin = request.principal.Has(trust::Role::kAdmin);
  std::vector<std::string> owned;
  const auto list = parts.products.products.List();
  for (const DataProduct& known : *list)
    if (!admin && parts.products.products.IsOwner(request.principal, known))
      owned.push_back(known.name);
  const bool whole = admin || !owned.empty();
  ASSIGN_OR_RETURN(const auto requests, parts.products.products.parts().access.List(
                                            product, whole ? "" : request.principal.name, after,
                                            static_cast<size_t>(limit)));
  Json items = Json::array();
  for (const AccessRequest& entry : requests) {
    const bool owns = std::find(owned.begin(), owned.end(), entry.product) != owned.end();
    if (!admin && !owns && entry.principal != request.principal.name) continue;
    Json item = entry.ToJson(parts.node.clock.Now());
    item["may_decide"] = admin || owns;
    items.push_back(std::move(item));
  }
  return ListResponse(std::move(items), static_cast<int64_t>(requests.size()) == limit
                                            ? std::to_string(requests.back().id)
                                            : "");
}

}  // namespace

void AddProductAccessRoutes(Router& router, const Services& services,
                            const ProductServices& products) {
  using trust::Role;
  const AccessParts p{services, products};
  const Json text = {{"type", "string"}}, flag = {{"type", "boolean"}};
  router.Add({"POST",
              "/api/v1/products/{name}/access-requests",
              Role::kViewer,
              "Ask to read a data product, with the purpose",
              [p](const Request& r) { return AskAccess(p, r); },
              {{"type", "object"},
               {"required", {"purpose"}},
               {"properties", {{"purpose", text}, {"personal", flag}}}}});
  router.Add({"GET",
              "/api/v1/access-requests",
              Role::kViewer,
              "Requests for access: your own, and those for what you own",
              [p](const Request& r) { return ListRequests(p, r); },
              nullptr,
              {"product: only of this one", "after: cursor", "limit: 1 to 1000"}});
  router.Add(
      {"POST",
       "/api/v1/access-requests/{id}/grant",
       Role::kViewer,
       "Grant a request, for a time (owner or administrator)",
       [p](const Request& r) { return Decide(p, r, true); },
       {{"type", "object"}, {"properties", {{"note", text}, {"for", text}, {"personal", flag}}}}});
  router.Add({"POST",
              "/api/v1/access-requests/{id}/deny",
              Role::kViewer,
              "Deny a request, or revoke what was granted (owner or administrator)",
              [p](const Request& r) { return Decide(p, r, false); },
              {{"type", "object"}, {"properties", {{"note", text}}}}});
}

}  // namespace penstock::api
