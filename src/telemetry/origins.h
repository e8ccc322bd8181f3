// Which rows of which edge are here: the memory that makes a hub apply everything once, whatever
// an edge sends twice, late or in another order.
//
// An edge numbers its rows within an epoch (the life of its data folder). Of each (edge, epoch) the
// ranges of sequences that are durable here are kept, and those on their way through the pipeline.
// Durable ranges come back after a crash from the records (Persist, before the log's cursor moves)
// and from the log's replay (Observe).
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"
#include "telemetry/sample.h"

namespace penstock::telemetry {

struct SequenceRange {
  uint64_t from = 0, to = 0;  // Half open.
  bool empty() const { return from >= to; }
  auto operator<=>(const SequenceRange&) const = default;
};

// Disjoint ranges, joined where they touch.
class SequenceSet {
 public:
  void Add(SequenceRange range);
  void Remove(SequenceRange range);
  std::vector<SequenceRange> Missing(SequenceRange within) const;
  std::vector<SequenceRange> all() const;
  size_t count() const { return ranges_.size(); }
  uint64_t end() const { return ranges_.empty() ? 0 : ranges_.rbegin()->second; }

 private:
  std::map<uint64_t, uint64_t> ranges_;  // from -> to.
};

inline constexpr size_t kOriginRangesMax = 1024;  // Of one (edge, epoch).
inline constexpr size_t kOriginEpochsMax = 64;    // Of one edge.

class Origins {
 public:
  // `records` outlives the result.
  static Result<std::unique_ptr<Origins>> Open(storage::Records& records);

  // Rows that are durable here; of a batch without an origin nothing. A subscriber of the pipeline,
  // with replay.
  void Observe(const Batch& batch);

  // The parts of `range` that are neither durable nor on their way; from now on they are on their
  // way. kResourceExhausted when the edge has too many ranges or epochs: it must fill gaps first.
  Result<std::vector<SequenceRange>> Begin(const std::string& edge, uint64_t epoch,
                                           SequenceRange range);
  // What became of a part that Begin gave.
  void Done(const std::string& edge, uint64_t epoch, SequenceRange part, bool durable);

  struct State {
    uint64_t received = 0;              // One past the highest sequence that came.
    uint64_t durable = 0;               // All below is durable or accounted for as a gap.
    std::vector<SequenceRange> ranges;  // Durable.
  };
  State StateOf(const std::string& edge, uint64_t epoch) const;
  std::vector<SequenceRange> Missing(const std::string& edge, uint64_t epoch,
                                     SequenceRange range) const;

  // Rows that will never come, for the edge says it has them no more: counted, written down with
  // the reason, and no longer waited for. Returns how many rows of the range were missing.
  Result<uint64_t> NoteGap(const std::string& edge, uint64_t epoch, SequenceRange range,
                           const std::string& reason, Time at);

  // Rows that are not here after all: the replay left them out, for another hub has them or their
  // edge brings them again.
  void Forget(const std::string& edge, uint64_t epoch, SequenceRange range);

  // Durable in the records when it returns; for Pipeline::BeforeCursor.
  Status Persist();
  // {"edges": [{"edge", "epoch", "received", "durable", "rows", "again", "gaps": [...]}]}
  Result<Json> ToJson() const;

 private:
  explicit Origins(storage::Records& records) : records_(records) {}
  struct One {
    SequenceSet durable, moving;
    uint64_t received = 0, rows = 0, again = 0;
    bool changed = false;
  };
  using Key = std::pair<std::string, uint64_t>;
  Status Load();
  One* Find(const std::string& edge, uint64_t epoch);
  const One* Find(const std::string& edge, uint64_t epoch) const;

  storage::Records& records_;
  mutable std::mutex mutex_;
  std::map<Key, One> all_;
};

}  // namespace penstock::telemetry
