// A batch as one record of the durable log: columns, delta coded times. Format:
// docs/formats/batch.md.
#pragma once

#include "base/bytes.h"
#include "telemetry/sample.h"

namespace penstock::telemetry {

inline constexpr size_t kBatchRowsMax = 1 << 24;
inline constexpr size_t kEdgeNameBytesMax = 255;  // Of Batch::Origin.

// Appends the record to `out` (which the caller reuses). The edge's name must not be longer than
// kEdgeNameBytesMax.
void EncodeBatch(const Batch& batch, Bytes& out);
// kDataLoss with the place for anything that EncodeBatch could not have written.
Result<Batch> DecodeBatch(ByteView record);
// Its points, first sequence and origin alone; the other columns are empty and not looked at.
Result<Batch> DecodeBatchPoints(ByteView record);

}  // namespace penstock::telemetry
