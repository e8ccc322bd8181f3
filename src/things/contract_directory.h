// The contracts of a site: reads contracts/*.odcs.yaml, holds each against the version that was in
// force, and keeps the old one when the new one is bad or breaks a promise without a major step.
//
// Thread rule: set() from any thread; it never changes once given. Reload() from one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/records.h"
#include "things/contract_compat.h"
#include "things/data_contract.h"
#include "things/directory.h"

namespace penstock::things {

// The contracts in force, by id.
struct ContractSet {
  std::map<std::string, std::shared_ptr<const DataContract>> by_id;
  uint64_t revision = 0;

  const DataContract* Find(const std::string& id) const;
  // The contract that governs the point (its id is the point's, without the version), or nullptr.
  std::shared_ptr<const DataContract> Of(const Point& point) const;
};

// A version as it was accepted.
struct ContractVersion {
  std::string version, digest;
  Time accepted_at;
  Json document, diff;  // Against the version before; null for the first.
};

// Remembers which versions were accepted, over restarts. In memory for checks and tests.
class ContractVersions {
 public:
  virtual ~ContractVersions() = default;
  virtual Result<std::optional<ContractVersion>> Latest(const std::string& id) = 0;
  // Oldest first; at most 1000.
  virtual Result<std::vector<ContractVersion>> All(const std::string& id) = 0;
  // Makes it the latest; a version that was there before comes back to the end.
  virtual Status Accept(const std::string& id, const ContractVersion& version) = 0;
};
std::unique_ptr<ContractVersions> ContractVersionsInMemory();
// Table "contract_versions"; `records` must outlive it.
Result<std::unique_ptr<ContractVersions>> ContractVersionsIn(storage::Records& records);
// Those of a data folder as they are, for a check: what is accepted here is forgotten again.
// `records` must outlive it; a folder that never had contracts has no versions.
std::unique_ptr<ContractVersions> ContractVersionsOf(storage::Records& records);

class ContractDirectory {
 public:
  // `folder` is the site's; both others must outlive the directory.
  ContractDirectory(std::string folder, ContractVersions& versions, const Clock& clock);

  // Reads every file again, against the things as they are now. All findings are returned; what is
  // refused keeps its accepted version, also one of an earlier life. A file that is gone ends its
  // contract.
  std::vector<Finding> Reload(const Snapshot& snapshot);
  std::shared_ptr<const ContractSet> set() const;
  // Why the file of this id is not in force as it is: the first mistake of the last Reload.
  std::optional<Error> Refusal(const std::string& id) const;

 private:
  std::shared_ptr<const DataContract> Judge(DataContract read, std::vector<Finding>& findings);
  std::shared_ptr<const DataContract> Kept(const std::string& id, const std::string& file);

  const std::string folder_;
  ContractVersions& versions_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ContractSet> set_;
  std::map<std::string, Error> refusals_;
};

// What a contract and the things it governs say against each other: fields that no model has, other
// types or units, points pinned to another major version.
std::vector<Finding> CheckContractAgainstThings(const DataContract& contract,
                                                const Snapshot& snapshot);

}  // namespace penstock::things
