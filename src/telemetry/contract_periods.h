// Which version of a contract a sample was held against: versions by the sequence from which they
// were applied. A version is written down before the first row is judged by it, so every sequence
// of a data folder has its answer.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/records.h"
#include "telemetry/contract_check.h"

namespace penstock::telemetry {

struct ContractPeriod {
  std::string version;  // "" from where the contract was gone.
  uint64_t first_sequence = 0;
  Time since;  // When it was first applied.
};

class ContractPeriods {
 public:
  // Table "contract_periods"; both must outlive it.
  static Result<std::unique_ptr<ContractPeriods>> Open(storage::Records& records,
                                                       const Clock& clock);

  // For ContractCheck's OnSwitch: writes down what differs from what was applied before.
  Status Switch(const ContractRules& rules, uint64_t first_sequence);

  std::vector<ContractPeriod> Of(const std::string& contract) const;            // Oldest first.
  std::string VersionAt(const std::string& contract, uint64_t sequence) const;  // "" = none.
  // The version that was applied at that time of ingest.
  std::string VersionAtTime(const std::string& contract, Time time) const;

 private:
  ContractPeriods(storage::Records& records, const Clock& clock)
      : records_(records), clock_(clock) {}

  storage::Records& records_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<ContractPeriod>> periods_;
};

}  // namespace penstock::telemetry
