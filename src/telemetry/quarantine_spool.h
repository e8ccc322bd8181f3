// Where violations are durable before they are in the records: a durable log of their own, in a
// folder of its own (docs/formats/quarantine.md). Records may be slow or away (PostgreSQL, a
// busy disk); what was kept waits here, and who brings it over notes in the records, in the same
// transaction, how far they are.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "storage/disk.h"
#include "storage/durable_log.h"
#include "telemetry/violation.h"

namespace penstock::telemetry {

class QuarantineSpool {
 public:
  // At most `bytes_max` wait.
  static Result<std::unique_ptr<QuarantineSpool>> Open(const std::string& folder,
                                                       uint64_t bytes_max, storage::Disk& disk);

  // The same for a folder and its copies, another for every other folder.
  const std::string& name() const { return name_; }
  // One record of all of them, durable, or an error and none. kResourceExhausted: too much waits,
  // or the disk is full.
  Status Append(const Violations& violations);
  struct Mark {
    uint64_t next = 0;   // One past the last record.
    uint64_t bytes = 0;  // Ever appended, up to there.
  };
  Mark end() const;
  uint64_t forgotten() const;  // Where the last Forget was.
  // Records [from, to), as far as they are not damaged; what is damaged is told in the log.
  Status Read(uint64_t from, uint64_t to,
              const std::function<Status(uint64_t index, ByteView record)>& visit) const;
  Status Forget(const Mark& mark);  // What came before it is in the records.
  bool crowded() const;             // Half of what may wait does.

 private:
  explicit QuarantineSpool(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  const uint64_t bytes_max_;
  std::string name_;
  std::unique_ptr<storage::DurableLog> log_;
  mutable std::mutex mutex_;  // The log's writer is one at a time.
  Bytes record_;
  uint64_t appended_ = 0, forgotten_ = 0;  // Bytes.
};

}  // namespace penstock::telemetry
