// Bodies that claim to be gzip: whatever comes out is within the bound.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/gzip.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kBytesMax = 1 << 20;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (const auto out = penstock::api::Gunzip(body, kBytesMax)) CHECK(out->size() <= kBytesMax);
  return 0;
}
