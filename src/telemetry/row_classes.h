// What the pipeline knows of points beyond their quality: which of their rows the log may give up
// first, and whose rows a retention will delete.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "storage/history.h"
#include "storage/log_record.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

// By PointId: "ps:priority" of the Thing Description, else low for a waveform and normal.
std::vector<storage::LogPriority> PrioritiesOf(const things::Snapshot& snapshot);

// The rows of each priority as a batch of their own, the important ones first; the batch itself
// when all are of one. Points beyond `priorities` are normal.
struct ClassedBatch {
  Batch batch;
  storage::LogPriority priority = storage::LogPriority::kNormal;
};
std::vector<ClassedBatch> ByPriority(Batch batch, std::span<const storage::LogPriority> priorities);

// Rows per point that will go by these rules' ages; empty when there are none or nobody knows.
std::vector<std::pair<PointId, uint64_t>> RowsThatGo(storage::History& history,
                                                     const things::Snapshot& snapshot,
                                                     const storage::HistoryRetention& rules);

}  // namespace penstock::telemetry
