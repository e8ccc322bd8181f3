// Records of the durable log: decode; what decodes must encode and decode to the same again.
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "telemetry/batch_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  const auto batch = telemetry::DecodeBatch({data, size});
  if (!batch) return 0;
  Bytes record;
  telemetry::EncodeBatch(*batch, record);
  const auto again = telemetry::DecodeBatch(record);
  CHECK(again && again->point == batch->point && again->source_time == batch->source_time);
  CHECK(again->size() == batch->size() && again->quality == batch->quality);
  CHECK(batch->empty() ||
        std::memcmp(again->value.data(), batch->value.data(), batch->size() * sizeof(double)) == 0);
  return 0;
}
