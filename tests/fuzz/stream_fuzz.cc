// Names of messages and facts as a stream delivers them: refused, or the same again when written.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "protocols/stream/applied.h"
#include "protocols/stream/route.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock::protocols::stream;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto applied = ParseApplied(text)) {
    const auto same = ParseApplied(FormatApplied(*applied));
    CHECK(same && same->rows == applied->rows && same->shares.size() == applied->shares.size());
    CHECK(applied->OwnRows("hub-a", 3, 900) <= 897);
  }
  const auto id = ParseMessageId(text);
  if (!id) return 0;
  const auto again = ParseMessageId(FormatMessageId(*id));
  CHECK(again && again->edge == id->edge && again->epoch == id->epoch && again->first == id->first);
  CHECK(PartitionOf(text, 64) < 64);
  return 0;
}
