// The quarantine: values that could not become samples, with their reason, as a ring of the latest
// in the records.
//
// Put() only hands over to memory; a thread writes several entries in one transaction. Counts per
// rule go on for ever, also for entries that the ring has let go or that a flood kept from being
// written.
//
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "storage/records.h"
#include "telemetry/sample.h"

namespace penstock::telemetry {

class QuarantineStore final : public QuarantineSink {
 public:
  struct Item {
    uint64_t id = 0;  // Rises with time.
    QuarantineEntry entry;
  };

  // `records` must outlive the store. At most `limit` entries are kept.
  static Result<std::unique_ptr<QuarantineStore>> Open(storage::Records& records,
                                                       size_t limit = 10'000);
  ~QuarantineStore() override;  // Writes what waits.

  void Put(QuarantineEntry entry) override;
  // Newest first; `after` is the id of the last item of the page before, 0 for the first page.
  Result<std::vector<Item>> List(uint64_t after, size_t limit);
  // Entries ever put, per rule.
  std::map<std::string, uint64_t> PerRule() const;
  uint64_t total() const;
  Status Flush();  // What waits in memory is in the records afterwards.

 private:
  QuarantineStore(storage::Records& records, size_t limit) : records_(records), limit_(limit) {}
  Status Load();
  void Run(const std::stop_token& stop);

  storage::Records& records_;
  const size_t limit_;
  mutable std::mutex mutex_;
  std::mutex flush_mutex_;  // One writer at a time; taken before mutex_.
  std::condition_variable_any wake_;
  std::vector<QuarantineEntry> waiting_;
  bool changed_ = false;  // Since the last flush.
  std::map<std::string, uint64_t> per_rule_;
  std::jthread thread_;
};

}  // namespace penstock::telemetry
