// Contracts in a node: read with the site, applied by the pipeline, written down by version, and
// the quarantine's releases brought to their end after a crash.
//
// Thread rule: Reload from the thread that reads the site; the rest as its parts say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/routes_contracts.h"
#include "storage/history.h"
#include "telemetry/contract_check.h"
#include "telemetry/contract_periods.h"
#include "telemetry/pipeline.h"
#include "telemetry/quarantine.h"
#include "things/contract_directory.h"

namespace penstock {

class ContractFlow {
 public:
  // All must outlive it. Reads the contracts once.
  static Result<std::unique_ptr<ContractFlow>> Open(
      const std::string& site_folder, storage::Records& records, const Clock& clock,
      telemetry::QuarantineStore& quarantine, std::shared_ptr<const things::Snapshot> snapshot,
      const telemetry::Texts& texts);

  // What the site's folder says now, applied from the next batch on; findings are logged.
  void Reload(std::shared_ptr<const things::Snapshot> snapshot);
  // Before the pipeline's Start: its batches are held against the contracts.
  void Attach(telemetry::Pipeline& pipeline);
  // After its Start: what was being released when the node ended is released or open again.
  Status FinishReleases(storage::History& history);

  // "pump@1.2.0" that a point's samples are held against now; what its description says where no
  // contract is in force.
  std::string ContractOf(const things::Point& point) const;

  const api::ContractServices& services() const { return *services_; }

 private:
  ContractFlow(telemetry::QuarantineStore& quarantine, const telemetry::Texts& texts)
      : quarantine_(quarantine), texts_(texts) {}

  telemetry::QuarantineStore& quarantine_;
  const telemetry::Texts& texts_;
  std::unique_ptr<things::ContractVersions> versions_;
  std::unique_ptr<things::ContractDirectory> directory_;
  std::unique_ptr<telemetry::ContractPeriods> periods_;
  std::unique_ptr<telemetry::ContractCheck> check_;
  std::unique_ptr<api::ContractServices> services_;
};

}  // namespace penstock
