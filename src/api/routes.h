// The resources of the node, one function per group; each adds its rows to the router.
#pragma once

#include "api/app.h"
#include "api/router.h"
#include "api/services.h"

namespace penstock::api {

void AddSessionRoutes(Router& router, const Services& services, const App& app);
void AddPlantRoutes(Router& router, const Services& services);
void AddFieldRoutes(Router& router, const Services& services);
void AddPointRoutes(Router& router, const Services& services);  // And those of the ledger.
void AddLedgerRoutes(Router& router, const Services& services);
void AddAggregateRoutes(Router& router, const Services& services);
void AddBackupRoutes(Router& router, const Services& services);
void AddAlarmRoutes(Router& router, const Services& services);
void AddModelRoutes(Router& router, const Services& services);
void AddValueRoutes(Router& router, const Services& services);
void AddTrustRoutes(Router& router, const Services& services);
void AddIngestRoutes(Router& router, const Services& services);
void AddLiveRoutes(Router& router, const Services& services);
// POST /api/v1/frames, and what `hub` says this node is. Both outlive the router.
struct HubServices;
void AddHubRoutes(Router& router, const Services& services, const HubServices& hub);

// An alarm as served: with the asset's title and the model's track record.
Json AlarmJson(const Services& services, const decisions::Alarm& alarm);
// A value as its point means it: a text, a whole number, a number; null when it is none (not
// finite, a text that the node does not have).
Json ValueJson(const Services& services, things::ValueType type, double value);
// A point with its present value, as /points lists it. Where its values are personal and not for
// `who`, it has none and says `withheld`.
Json PointJson(const Services& services, const trust::Principal& who, const things::Point& point,
               bool with_spark);
Json OverviewJson(const Services& services);
// Chain of a trace: steps and the audit proof of its last leaf.
Result<Json> ExplainJson(const Services& services, const decisions::Alarm& alarm);
// Writes down who did what; an audit that cannot be written refuses the act.
Status Audit(const Services& services, const Request& request, const std::string& action,
             const std::string& subject, const std::string& trace, const Json& detail);

}  // namespace penstock::api
