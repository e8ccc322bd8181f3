// The quarantine: values that could not become samples, and samples that broke a contract, with
// their reason, in the records.
//
// Two kinds of entries. A *note* says what a source sent that was no sample at all: Put() hands it
// to memory, a thread writes several in one transaction, the latest `notes` are kept. A *held*
// entry has the rows of samples that broke a contract: durable before Keep() returns, because their
// producer was or will be told so. It is open until a person releases it (as it is, or corrected)
// or discards it. Held entries are bounded, too; what a bound pushes out while open is counted.
//
// What is kept waits in a spool, and the thread moves it into the records, each once over any
// crash; records that are slow or away (PostgreSQL) hold up nobody but those who ask. Who asks for
// entries or counts moves what waits first and sees everything that was kept before the call.
//
// Thread rule: any thread; nothing that asks from inside of a transaction of the records but Claim,
// Settle and Discard.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "storage/records.h"
#include "telemetry/quarantine_item.h"
#include "telemetry/quarantine_spool.h"
#include "telemetry/sample.h"
#include "telemetry/violation.h"

namespace penstock::telemetry {

struct QuarantineLimits {
  size_t notes = 10'000;
  size_t held = 200'000;                // Entries of all points.
  size_t held_of_point = 20'000;        // Of one point: a broken sensor pushes out its own.
  uint64_t waiting_bytes = 1ULL << 30;  // In the spool; beyond, Keep fails.
};

class QuarantineStore final : public QuarantineSink, public ViolationSink {
 public:
  using Item = QuarantineItem;

  // `records` must outlive the store. The spool is in `folder`; what waits there from an earlier
  // life is moved.
  static Result<std::unique_ptr<QuarantineStore>> Open(storage::Records& records,
                                                       const std::string& folder,
                                                       QuarantineLimits limits = {},
                                                       storage::Disk& disk = storage::SystemDisk());
  ~QuarantineStore() override;  // Writes what waits.

  void Put(QuarantineEntry entry) override;
  Status Keep(const Violations& violations) override;

  // Newest first; `after` is the id of the last item of the page before, 0 for the first page.
  Result<std::vector<Item>> List(uint64_t after, size_t limit, const QuarantineFilter& filter = {});
  Result<Item> Get(uint64_t id);
  Result<Batch> RowsOf(uint64_t id);  // kFailedPrecondition for a note: it has none.

  // Open -> releasing, with who, why and the corrected value; what is to be stored: the original
  // source times; a corrected value with the quality Uncertain_SubstituteValue. An entry that was
  // released or is being released in the same way gives nothing. kFailedPrecondition: discarded,
  // released in another way, or a corrected value for more than one row.
  Result<std::optional<Batch>> Claim(uint64_t id, const QuarantineAct& act);
  // After the pipeline has taken it (or not): releasing -> released, or open again.
  Status Settle(uint64_t id, bool stored);
  Status Discard(uint64_t id, const QuarantineAct& act);  // Twice is once.
  // Being released when the node ended.
  Result<std::vector<uint64_t>> Interrupted();

  // How often a contract's rules were broken, by version, point and rule, since the beginning.
  Result<std::vector<ViolationCount>> CountsOf(const std::string& contract_id);
  // The same of held entries alone (what a bound has not pushed out), by ingest time [from, to).
  Result<std::vector<ViolationCount>> HeldBetween(const std::string& contract_id, Time from,
                                                  Time to);
  // Entries ever put or rows ever kept, per rule.
  std::map<std::string, uint64_t> PerRule() const;
  uint64_t total() const;
  uint64_t evicted() const;  // Rows that a bound pushed out while open, as far as moved.
  Status Flush();            // What waits is in the records afterwards.

 private:
  QuarantineStore(storage::Records& records, QuarantineLimits limits)
      : records_(records), limits_(limits) {}
  Status Load();
  void Run(const std::stop_token& stop);
  std::string CountedAs(std::string_view rule) const;
  Status WriteNotes();
  Result<Item> Find(uint64_t id);
  Result<Item> ChangeState(uint64_t id, const QuarantineAct& act, QuarantineState to);

  // Moving (quarantine_move.cc); the caller holds flush_mutex_.
  struct Plan;
  struct Portion;
  Status FindPosition();
  Status Move();
  Result<Plan> MakePlan(uint64_t end) const;
  Status MoveRows(Plan& plan, uint64_t end);
  static void AddEntry(const Violation& v, const Batch& rows, std::string path, Portion& to);
  Status WritePortion(Portion& portion, uint64_t next);
  Status WriteCounts(const Portion& portion, std::map<std::string, uint64_t>& of_rule);
  Status EvictHeld(const std::string& where, std::vector<storage::SqlValue> parameters, size_t keep,
                   uint64_t& evicted);

  storage::Records& records_;
  const QuarantineLimits limits_;
  std::unique_ptr<QuarantineSpool> spool_;
  // Taken in this order. One writer of the records at a time; what is in the spool is in
  // uncounted_; what stands behind it.
  std::mutex flush_mutex_, keep_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<QuarantineEntry> waiting_;
  bool changed_ = false;  // Since the last flush.
  // Entries ever put or rows ever kept, by rule; and of these rows those that wait uncounted.
  std::map<std::string, uint64_t> per_rule_, uncounted_;
  uint64_t evicted_ = 0;

  // Under flush_mutex_.
  uint64_t moved_ = 0;  // Records of the spool below are in the records.
  std::unordered_map<std::string, uint64_t> held_of_point_;  // At least; exact after an eviction.
  uint64_t held_ = 0;
  std::jthread thread_;
};

}  // namespace penstock::telemetry
