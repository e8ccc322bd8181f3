// What the routes of contracts and quarantine speak with beside the Services.
#pragma once

#include "api/router.h"
#include "api/services.h"
#include "telemetry/contract_check.h"
#include "telemetry/contract_periods.h"
#include "things/contract_directory.h"

namespace penstock::api {

struct ContractServices {
  things::ContractDirectory& directory;
  things::ContractVersions& versions;
  telemetry::ContractPeriods& periods;
  telemetry::ContractCheck& check;
};

// Both must outlive the router.
void AddContractRoutes(Router& router, const Services& services, const ContractServices& contracts);

// How well the data keeps a contract's promises: {"contract", "from", "to", "kept": false when any
// promise is broken, "promises": [{kind, name, point, promised, measured, unit, state:
// kept|broken|not_measured, severity, pointer}], "violations": [...]}. Completeness and counts come
// from the history, freshness is that of now. At most 2,000 points.
Result<Json> ComplianceJson(const Services& services, const ContractServices& contracts,
                            const things::DataContract& contract, Time from, Time to);

}  // namespace penstock::api
