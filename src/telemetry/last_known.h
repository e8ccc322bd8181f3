// What a node knew when it stopped, out of the end of its history: so that a restart shows the last
// values with their own times, finds a sample that is sent again, and remembers who stood still.
#pragma once

#include "storage/history.h"
#include "telemetry/live_values.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

// The last sample of each point of the snapshot, in rising ids; of a waveform the last burst.
Result<Batch> LastKnown(storage::History& history, const things::Snapshot& snapshot);

// The samples of the points `running` in the day before their last one: what RunningTime wants.
Result<Batch> LastRunning(storage::History& history, const things::Snapshot& snapshot,
                          const Batch& last_known);

// A LiveValues::SparkLoader. The snapshot's points may change: `directory` is asked each time. Both
// outlive it.
LiveValues::SparkLoader SparksFrom(storage::History& history, const things::Directory& directory);

}  // namespace penstock::telemetry
