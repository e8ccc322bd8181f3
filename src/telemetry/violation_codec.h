// Violations as bytes, as they wait in the quarantine's spool: docs/formats/quarantine.md.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "telemetry/violation.h"

namespace penstock::telemetry {

// Appends a record of these violations; `rows` are theirs alone.
void EncodeViolations(std::span<const Violation> violations, const Batch& rows, Bytes& out);

// What a record says; the views see into its bytes.
struct ViolationRecord {
  std::vector<Violation> list;
  Batch rows;
  std::vector<std::string_view> words;  // The decoder's own.
};
// kDataLoss with the place for anything that EncodeViolations could not have written.
Status DecodeViolations(ByteView record, ViolationRecord& into);
// How many violations the record has, by its first bytes alone; 0 when it is none.
uint64_t ViolationsIn(ByteView record);

}  // namespace penstock::telemetry
