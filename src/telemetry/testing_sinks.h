// Sinks for the unit tests of this room.
#pragma once

#include <gtest/gtest.h>

#include "telemetry/sample.h"

namespace penstock::telemetry {

// Where nothing may be put away.
class NoNotes final : public QuarantineSink {
 public:
  void Put(QuarantineEntry entry) override { ADD_FAILURE() << entry.message; }
};

}  // namespace penstock::telemetry
