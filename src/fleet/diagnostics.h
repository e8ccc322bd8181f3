// What is wrong in the field right now, as `penstock doctor` and the support of a customer want it:
// one JSON document with counts, every device's status, and what to do about each that is not well.
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "fleet/device_registry.h"
#include "things/directory.h"

namespace penstock::fleet {

struct DiagnosticsOptions {
  Duration silent_after =
      std::chrono::minutes(10);  // A connected device without a sample for this long.
  double error_share = 0.05;     // Errors by (errors + samples) above which a device is named.
};

// {"time","devices":{"connected","retrying","never"},"samples","errors","healthy": bool,
//  "findings":[{"device","kind":
//  "unreachable"|"never_seen"|"silent"|"errors"|"undescribed","text","fix","since"}],
//  "items":[...as GET /devices...]}
Json Diagnose(const DeviceRegistry& registry, const things::Snapshot& snapshot, Time now,
              const DiagnosticsOptions& options = {});

}  // namespace penstock::fleet
