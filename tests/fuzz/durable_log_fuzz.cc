// What the store reads back from disk may be anything: a torn segment, a cursor slot, a manifest.
// Whatever the bytes, what is given out must be whole, in order, and inside the input.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/check.h"
#include "storage/history_catalog.h"
#include "storage/log_cursors.h"
#include "storage/log_record.h"

namespace {

using namespace penstock;
using namespace penstock::storage;

void ScanSegment(ByteView bytes) {
  const auto source = [bytes](uint64_t offset, std::span<uint8_t> into) -> Result<size_t> {
    if (offset >= bytes.size()) return 0;
    const size_t count = std::min<size_t>(into.size(), bytes.size() - offset);
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), count, into.begin());
    return count;
  };
  (void)CheckSegmentHeader(bytes, 0);
  SegmentScanner scanner(source, std::min(bytes.size(), kSegmentHeaderBytes), 0, UINT64_MAX);
  uint64_t next_index = 0, end = 0;
  while (true) {
    const auto record = scanner.Next();
    CHECK(record.has_value());
    if (!*record) break;
    const ScannedRecord& found = **record;
    CHECK(found.index >= next_index && found.offset >= end && found.end <= bytes.size());
    next_index = found.index + 1;
    end = found.end;
    // Written again it must be the same bytes.
    Bytes again;
    if (found.evicted)
      EncodeEvicted(found.index, found.unsynced, again);
    else
      EncodeRecord(found.index, found.unsynced, found.payload, again, found.priority);
    CHECK(std::equal(again.begin(), again.end(),
                     bytes.begin() + static_cast<ptrdiff_t>(found.offset)));
  }
  CHECK(scanner.valid_end() <= bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  ScanSegment(bytes);
  if (const auto slot = DecodeCursorSlot(bytes.first(std::min(size, kCursorSlotBytes))))
    CHECK(slot->cursors.size() < kCursorSlotBytes);
  if (const auto catalog = ParseManifest(AsText(bytes), "/history"))
    CHECK(ParseManifest(FormatManifest(*catalog), "/history"));
  if (const auto file = FileOfPath(AsText(bytes))) (void)file->RelativePath();
  return 0;
}
