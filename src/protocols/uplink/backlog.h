// Which records of the edge's log are still to be sent, and by which lane: the newest first on the
// live lane, what an outage left behind on the backfill lane. Only numbers; no log, no socket.
//
// The cursor is the first record that the hub has not called durable: it never passes one.
//
// Thread rule: the caller's lock.
#pragma once

#include <cstdint>

#include "telemetry/origins.h"

namespace penstock::protocols::uplink {

class Backlog {
 public:
  using Range = telemetry::SequenceRange;  // Of record indexes.
  static constexpr size_t kIslandsMax = 256;

  explicit Backlog(uint64_t cursor) : cursor_(cursor), live_from_(cursor), live_next_(cursor) {}

  // A (new) connection, or a live lane that cannot keep up: from here on `end` is now, and what is
  // not durable before it is backfill. False, and nothing changes, when that would leave too many
  // islands.
  bool StartLiveAt(uint64_t end);
  // The live lane's next records, up to `end`; it says how far it took them.
  Range Live(uint64_t end) const { return {live_next_, end}; }
  void LiveTook(uint64_t to) { live_next_ = to; }
  // The oldest records that the hub has not and no lane brings or will bring; empty: none. Who
  // takes (a part of) them says so, and gives back what it will not bring after all.
  Range Backfill() const;
  void Took(Range range) { taken_.Add(range); }
  void GaveBack(Range range) { taken_.Remove(range); }

  // Durable at the hub. True when the cursor moved.
  bool Durable(Range range);

  uint64_t cursor() const { return cursor_; }
  uint64_t waiting(uint64_t end) const;  // Records below `end` that are not durable at the hub.

 private:
  uint64_t cursor_;
  uint64_t live_from_, live_next_;
  telemetry::SequenceSet durable_;  // Beyond the cursor.
  telemetry::SequenceSet taken_;    // By backfill lanes.
};

}  // namespace penstock::protocols::uplink
