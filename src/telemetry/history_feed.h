// History as batches in the order of time, whole bursts together: what FeatureEngine needs to make
// offline the rows that it made live. For training, for replaying a model over the past, for the
// drift of a schema change.
//
// Thread rule: any thread; one call at a time per `take`.
#pragma once

#include <functional>
#include <span>

#include "storage/history.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

struct FeedOptions {
  Duration slice = std::chrono::minutes(30);  // Of time in memory at once.
  size_t rows_per_read =
      4'000'000;  // A slice with more rows of one point is an error, not a silent gap.
};

// Calls `take` with the rows of these points in [from, to), slice by slice; a burst that crosses a
// slice's end comes whole with the later slice. Returns the number of rows. Ends early with the
// history's error.
Result<uint64_t> FeedFromHistory(storage::History& history, const things::Snapshot& snapshot,
                                 std::span<const PointId> points, Time from, Time to,
                                 const std::function<void(const Batch&)>& take,
                                 const FeedOptions& options = {});

}  // namespace penstock::telemetry
