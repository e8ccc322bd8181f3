// Rows taken out of a batch, in place: the others keep their order and move up.
#pragma once

#include <cstddef>

#include "telemetry/sample.h"

namespace penstock::telemetry {

// `keep(row)` is asked once for each row, in order, before any later row has moved. The sequence
// numbers are not touched: rows go before they are numbered.
template <typename Keep>
void KeepRows(Batch& batch, Keep keep) {
  size_t kept = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!keep(i)) continue;
    if (kept != i) {
      batch.point[kept] = batch.point[i];
      batch.source_time[kept] = batch.source_time[i];
      batch.ingest_time[kept] = batch.ingest_time[i];
      batch.value[kept] = batch.value[i];
      batch.quality[kept] = batch.quality[i];
    }
    ++kept;
  }
  batch.point.resize(kept);
  batch.source_time.resize(kept);
  batch.ingest_time.resize(kept);
  batch.value.resize(kept);
  batch.quality.resize(kept);
}

}  // namespace penstock::telemetry
