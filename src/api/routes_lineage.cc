// Lineage: what was made of what, as a graph and as OpenLineage events.
#include "api/routes_lineage.h"

#include "api/routes.h"

namespace penstock::api {
namespace {

Result<Response> Events(telemetry::Lineage& lineage, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 1000, 1, 10'000));
  ASSIGN_OR_RETURN(const auto events,
                   lineage.Events(static_cast<uint64_t>(after), static_cast<size_t>(limit),
                                  request.Query("job")));
  Response response;
  response.content_type = "application/x-ndjson";
  for (const auto& event : events) response.body += event.body.dump() + "\n";
  if (static_cast<int64_t>(events.size()) == limit)
    response.headers.emplace_back("Penstock-Next", std::to_string(events.back().number));
  return response;
}

}  // namespace

void AddLineageRoutes(Router& router, telemetry::Lineage& lineage) {
  using trust::Role;
  router.Add({"GET", "/api/v1/lineage", Role::kViewer,
              "Jobs and data sets with what flows between them, of every job's latest run",
              [&lineage](const Request&) -> Result<Response> {
                ASSIGN_OR_RETURN(const Json graph, lineage.Graph());
                return JsonResponse(graph);
              }});
  router.Add({"GET",
              "/api/v1/lineage/events",
              Role::kViewer,
              "OpenLineage run events, one per line, oldest first",
              [&lineage](const Request& r) { return Events(lineage, r); },
              nullptr,
              {"after: cursor (the header Penstock-Next of the page before)", "job: only of this",
               "limit: 1 to 10000"}});
}

}  // namespace penstock::api
