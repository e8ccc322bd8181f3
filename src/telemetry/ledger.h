// The gap ledger: where every sample is that was ever handed to this node, per point and as a
// whole, since the data folder was made:
//
//   produced = stored + forwarded + evicted + quarantined + duplicates + refused + pending
//
// The left side is counted when samples come, the right side where each of them ends, so a gap is a
// loss or a defect and never a matter of policy. A row that a hub has called durable is forwarded,
// whether or not its copy is still here. Counts are kept by hour of ingest, each closed hour in a
// file of its own: a certificate for a range adds up whole hours. Format: docs/formats/ledger.md.
//
// Thread rule: any thread; one lock per batch, not per sample.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "telemetry/ledger_counts.h"

namespace penstock::telemetry {

class PointLedger {
 public:
  static constexpr Duration kInterval = std::chrono::hours(1);
  static constexpr size_t kIntervalsMax = 24 * 366;  // Files; the oldest go, the totals stay.

  // `folder` "": in memory only.
  static Result<std::unique_ptr<PointLedger>> Open(std::string folder, uint64_t epoch);

  // The pipeline's bookings, one call per batch. `now` says which hour it is.
  void Produce(std::span<const PointId> points, Time now);
  void Store(const Batch& batch, uint64_t record);
  void Duplicate(std::span<const PointId> points);
  void Quarantine(std::span<const PointId> points);
  void Refuse(std::span<const PointId> points);
  // Durable now (Store is told, too): out of the quarantine. What the books do not have there (a
  // crash took the count) is booked as produced.
  void Release(std::span<const PointId> points);
  // A record that was read again at start: booked unless that was done before. Sequences missing
  // between it and the books are lost.
  void Replay(const Batch& batch, uint64_t record);
  // After the replay: the log and the history end here. What the books have beyond is lost.
  void EndReplay(uint64_t sequence_end);
  // A consumer brings rows from this record and this sequence on to a hub. Goes on where an
  // earlier life was, unless the log, which ends at `log_end`, is another one.
  void BeginForward(uint64_t record, uint64_t sequence, uint64_t log_end);
  void EndForward(uint64_t sequence);  // No longer: rows from here on stay.
  // The hub has these rows of the log's records below `next_record`.
  void Forward(std::span<const std::pair<PointId, uint64_t>> rows, uint64_t next_record);
  LedgerForward forward() const;
  uint64_t forward_persisted() const;  // next_record of the last Persist.
  // Rows that were durable here and were given up by policy.
  void Evict(std::span<const std::pair<PointId, uint64_t>> rows);
  void EvictUnnamed(uint64_t rows);  // Of which points is not known.

  // Makes all of it durable. To be called before the log's cursor moves.
  Status Persist();

  LedgerCounts total() const;
  std::vector<LedgerCounts> Points() const;  // By PointId.
  uint64_t epoch() const { return epoch_; }
  uint64_t sequence_end() const;  // One past the highest sequence in the books.
  // Those that touch [from, to), oldest first; the open one as it is now.
  Result<std::vector<LedgerInterval>> Read(Time from, Time to) const;

 private:
  PointLedger(std::string folder, uint64_t epoch) : folder_(std::move(folder)), epoch_(epoch) {}

  static constexpr size_t kFields = 9;
  struct File {
    uint64_t number = 0;
    Time from{}, to{};
  };
  Status Load();
  Status TakeState(ByteView bytes);
  void TurnTo(Time now);
  void CloseOpen();
  void Book(std::span<const PointId> points, uint64_t LedgerCounts::*field);
  void BookRow(PointId point, uint64_t LedgerCounts::*field, uint64_t rows);
  uint64_t CountOf(PointId point, uint64_t LedgerCounts::*field) const;
  void BookReleased(std::span<const PointId> points);
  void NoteStored(const Batch& batch, uint64_t record);
  LedgerInterval OpenInterval() const;
  LedgerInterval ClosedSum() const;
  Status RemoveOldest();
  std::string PathOf(const File& file) const;

  const std::string folder_;
  const uint64_t epoch_;
  mutable std::mutex mutex_;
  // The open interval: its head and total, and its counts of points by field and PointId.
  LedgerInterval open_;
  std::array<std::vector<uint32_t>, kFields> columns_;
  bool begun_ = false;  // Its hour is known.
  // All before it, by PointId.
  std::vector<LedgerCounts> closed_;
  LedgerCounts closed_total_;
  uint64_t sequence_end_ = 0;
  bool sequence_known_ = false;
  uint64_t forward_persisted_ = 0;
  bool copied_ = false;  // The folder comes from a backup: older than what was acknowledged.
  std::vector<LedgerInterval> unwritten_;  // Closed since the last Persist.
  std::vector<File> files_;                // Rising by number.
};

}  // namespace penstock::telemetry
