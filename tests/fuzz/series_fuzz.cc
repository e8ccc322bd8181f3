// A recorded series from outside (CSV): whatever its bytes, it reads or says where it is broken,
// and what reads replays.
#include <cstdint>

#include "base/bytes.h"
#include "learning/replay.h"

using namespace penstock;            // NOLINT
using namespace penstock::learning;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto series = ParseSeries(AsText({data, size}));
  if (series && series->columns.size() <= 16) (void)ReplayDetector(*series, {.train_rows = 60});
  return 0;
}
