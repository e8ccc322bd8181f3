// What a hub that comes back still has of the stream's rows. A row that it had made durable and not
// confirmed when it died may be another hub's by now, or come again from its edge: the hub confirms
// what nobody has taken over, and leaves out the rest when its log is replayed. When it cannot ask
// at that time, it asks later, and starts anew if there is something to leave out.
//
// Only rows that are not in the history's files can be left out; Taker::Confirm is called before
// rows go there.
//
// Thread rule: one thread at a time.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "protocols/stream/applied.h"
#include "storage/durable_log.h"
#include "storage/stream.h"
#include "telemetry/origins.h"

namespace penstock::protocols::stream {

class Settlement {
 public:
  using Source = std::pair<std::string, uint64_t>;  // Edge and stream epoch.
  using Ranges = std::map<Source, telemetry::SequenceSet>;

  // Of the records that will be replayed: the rows that came from other nodes.
  static Result<Ranges> Replayed(storage::DurableLog& log);

  // Asks the facts of these and confirms what is this hub's. Rows without a fact did not come by
  // the stream.
  static Result<Settlement> Make(const std::string& hub, storage::Stream& stream,
                                 const Ranges& replayed, telemetry::Origins& origins);

  // Of a replayed record: how many rows, from the first one on, this hub keeps. The others are
  // forgotten by `origins`, too.
  size_t RowsToKeep(const telemetry::Batch& batch, telemetry::Origins& origins) const;
  // Of all that were replayed: how many rows are not this hub's.
  uint64_t RowsToForget(const Ranges& replayed) const;

 private:
  explicit Settlement(std::string hub) : hub_(std::move(hub)) {}
  Status Settle(storage::Stream& stream, const Source& source, uint64_t durable);

  std::string hub_;
  std::map<Source, Applied> facts_;
};

}  // namespace penstock::protocols::stream
