// What of the node's work is told as lineage, and when: once an interval, out of what the node
// counts anyway (ledger, predictions, installed models), so that no sample costs anything for it.
//
// Thread rule: one thread (the node's housekeeping; Finish from Stop), but for what says otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/site.h"
#include "storage/history.h"
#include "telemetry/ledger.h"
#include "telemetry/lineage.h"
#include "things/contract_directory.h"
#include "things/directory.h"

namespace penstock {

class LineageFlow {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    things::Directory& directory;
    const telemetry::PointLedger& ledger;
    things::ContractDirectory& contracts;
    std::function<Json()> models;  // As /models lists them.
  };
  // `records` and the parts must outlive it.
  static Result<std::unique_ptr<LineageFlow>> Open(storage::Records& records, Parts parts);

  // Tells what happened since the last time when settings.lineage_every has passed.
  void Sweep();
  void Finish();  // Tells what is left.
  // Work with a beginning and an end; any thread. What cannot be told is logged.
  Status TellOnce(telemetry::LineageRun run);
  void Deleted(const std::vector<storage::HistoryDeletion>& gone);  // By retention.
  void Copied(uint64_t files, uint64_t bytes);                      // A backup.

  telemetry::Lineage& lineage() { return *lineage_; }
  telemetry::LineageDataset Product(const std::string& name) const;

 private:
  explicit LineageFlow(Parts parts) : parts_(std::move(parts)) {}
  void Tell();
  void AddIngestion(const things::Snapshot& snapshot);
  void AddModel(const Json& model, const things::Snapshot& snapshot);
  std::vector<telemetry::LineageDataset> AllProducts() const;
  uint64_t Since(const std::string& flow, uint64_t count);

  const Parts parts_;
  std::unique_ptr<telemetry::Lineage> lineage_;
  std::chrono::steady_clock::time_point next_{};
  Time told_until_{};
  std::map<std::string, uint64_t> predictions_;  // As told; they are counted from the start.
  // Of the round in hand.
  Time now_{};
  std::vector<telemetry::LineageRun> runs_;
  std::map<std::string, uint64_t> counts_, told_counts_;  // For the next Tell; as of the last.
};

}  // namespace penstock
