// Files of the gap ledger: decode; what decodes must encode and decode to the same again. The
// checksum is made right first, so that the rest is reached.
#include <cstdint>

#include "base/check.h"
#include "telemetry/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  Bytes bytes(data, data + size);
  if (bytes.size() >= 4) {
    const uint32_t crc = Crc32c(ByteView(bytes).first(bytes.size() - 4));
    for (size_t i = 0; i < 4; ++i) bytes[bytes.size() - 4 + i] = static_cast<uint8_t>(crc >> 8 * i);
  }
  const auto interval = telemetry::DecodeInterval(bytes);
  if (!interval || interval->points.size() > 100'000) return 0;
  const auto again = telemetry::DecodeInterval(telemetry::EncodeInterval(*interval));
  CHECK(again && again->points == interval->points && again->total == interval->total);
  return 0;
}
