// Models and the labels that their successors are trained on.
#include "api/routes.h"

namespace penstock::api {
namespace {

Result<Response> ListLabels(const Services& services, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  std::string next;
  ASSIGN_OR_RETURN(Json items, services.labels.ListJson(after, static_cast<size_t>(limit), &next));
  return ListResponse(std::move(items), next);
}

}  // namespace

void AddModelRoutes(Router& router, const Services& s) {
  using trust::Role;
  router.Add({"GET", "/api/v1/models", Role::kViewer, "Models, what they run on and how they fare",
              [&s](const Request&) -> Result<Response> { return ListResponse(s.models()); }});
  router.Add({"GET",
              "/api/v1/labels",
              Role::kViewer,
              "Labels from verdicts, newest first",
              [&s](const Request& r) { return ListLabels(s, r); },
              nullptr,
              {"after: cursor", "limit: 1 to 1000"}});
}

}  // namespace penstock::api
