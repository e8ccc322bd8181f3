// Records of the quarantine's spool: decode; what decodes must encode and decode to the same again.
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "telemetry/violation_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  telemetry::ViolationRecord record, again;
  if (!telemetry::DecodeViolations({data, size}, record)) return 0;
  CHECK(record.list.size() == telemetry::ViolationsIn({data, size}));
  Bytes bytes;
  telemetry::EncodeViolations(record.list, record.rows, bytes);
  CHECK(telemetry::DecodeViolations(bytes, again) && again.list.size() == record.list.size());
  size_t row = 0;
  for (size_t i = 0; i < record.list.size(); ++i) {
    const telemetry::Violation &a = record.list[i], &b = again.list[i];
    CHECK(a.contract == b.contract && a.thing == b.thing && a.property == b.property);
    CHECK(a.rule == b.rule && a.why == b.why && a.text == b.text && a.of_text == b.of_text);
    CHECK(a.rows == b.rows && a.offending == b.offending);
    CHECK(row + a.offending < record.rows.size());
    row += a.rows;
  }
  CHECK(row == record.rows.size() && again.rows.point == record.rows.point);
  CHECK(row == 0 ||
        std::memcmp(again.rows.value.data(), record.rows.value.data(), row * sizeof(double)) == 0);
  return 0;
}
