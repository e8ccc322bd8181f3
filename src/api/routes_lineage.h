// GET /api/v1/lineage and its events.
#pragma once

#include "api/router.h"
#include "telemetry/lineage.h"

namespace penstock::api {

void AddLineageRoutes(Router& router, telemetry::Lineage& lineage);  // Must outlive the router.

}  // namespace penstock::api
