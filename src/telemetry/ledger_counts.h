// What the gap ledger counts of a point, of a node, of an hour. Each row that was produced ends in
// exactly one of these counts (telemetry/ledger.h). Format on disk: docs/formats/ledger.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "telemetry/sample.h"

namespace penstock::telemetry {

struct LedgerCounts {
  uint64_t produced = 0;     // Handed to this node.
  uint64_t durable = 0;      // Acknowledged: in the durable log.
  uint64_t forwarded = 0;    // Of these: durable at a hub.
  uint64_t evicted = 0;      // Of these: given up by policy before a hub had them, or without one.
  uint64_t lost = 0;         // Of these: gone without any policy. Never 0 means damage.
  uint64_t quarantined = 0;  // Ever kept apart with a reason, not as a sample.
  uint64_t duplicates = 0;   // Dropped: the same point, time and value came twice.
  uint64_t refused = 0;      // The callback got an error: the producer still has them.
  uint64_t released = 0;     // Of the quarantined: let out by a person, and durable since.

  // What is this node's own to keep. Below 0 in an interval when rows of earlier ones moved on.
  int64_t stored() const;
  int64_t kept_apart() const;  // Quarantined and not released.
  int64_t gap() const;         // produced less all that is named above; lost samples are in it.
  LedgerCounts& operator+=(const LedgerCounts& other);
  bool operator==(const LedgerCounts&) const = default;
};

// Its fields with their names, in the order of the files.
struct LedgerField {
  std::string_view name;
  uint64_t LedgerCounts::*field;
};
std::span<const LedgerField> LedgerFields();

// How far a consumer of the log has brought this node's rows to a hub.
struct LedgerForward {
  uint64_t next_record = 0;  // Of the log: all below it that the hub has are booked.
  // Sequences that are or were the hub's to get: [from, to). Their copies here are nobody's
  // account.
  uint64_t from = 0, to = 0;
  bool contains(uint64_t sequence) const { return sequence >= from && sequence < to; }
};

// What came between two times, all of one epoch.
struct LedgerInterval {
  uint64_t number = 0;  // Rises by 1.
  uint64_t epoch = 0;
  Time from{}, to{};  // [from, to), whole hours of ingest.
  // What became durable in it, by this node's numbering and by the durable log's: [first, end).
  uint64_t first_sequence = 0, end_sequence = 0;
  uint64_t first_record = 0, end_record = 0;
  LedgerForward forward;  // At its end.
  LedgerCounts total;
  std::vector<std::pair<PointId, LedgerCounts>> points;  // Rising ids; those of which any came.
};

Bytes EncodeInterval(const LedgerInterval& interval);
Result<LedgerInterval> DecodeInterval(ByteView bytes);  // kDataLoss, with the place.

}  // namespace penstock::telemetry
