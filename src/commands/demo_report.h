// What happened in a headless demo: the plant's truth beside what the node said.
#pragma once

#include "base/json.h"

namespace penstock::commands {

// `truth`: the plant's summary {"faults": [{machine, kind, onset, would_fail_at, failed_at,
// repaired_at, outcome}], "sensor_faults": [...]}. `alarms`: as GET /alarms. Fills in per fault
// `alarmed_at` (the first alarm on its machine between onset and the end of its life), and gives:
//   alarmed_before_failure  share of the faults that failed or were prevented which were alarmed
//   before the failure precision               share of the alarms that were right: on the machine
//   of a fault then present and naming its kind, or
//                           an unknown anomaly there, or a sensor alarm while a sensor fault was
//                           present
Json DemoReport(const Json& truth, const Json& alarms);

}  // namespace penstock::commands
