// What the pipeline knows of points beyond their quality: which of their rows the log may give up
// first, and whose rows a retention deleted.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
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

// Deleted rows per point; `unnamed` are those of which nobody knows the point.
struct GoneRows {
  std::vector<std::pair<PointId, uint64_t>> of_point;
  uint64_t unnamed = 0;
};
// `snapshot` may be null; `id_of` is asked for paths that it does not have, and may be unset.
GoneRows RowsGone(std::span<const storage::HistoryDeletion> deleted,
                  const things::Snapshot* snapshot,
                  const std::function<std::optional<PointId>(const std::string& path)>& id_of);

}  // namespace penstock::telemetry
