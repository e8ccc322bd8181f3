// How the durable log lies in a segment file: a header, then records one behind the other. Reading
// is written for damaged files: it finds every record that is whole and never gives out one that is
// not. Format: docs/formats/durable_log.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

inline constexpr size_t kSegmentHeaderBytes = 32;
inline constexpr size_t kRecordHeaderBytes = 20;
inline constexpr size_t kRecordBytesMax = 16 << 20;

// What goes first when a consumer is so late that the log is full.
enum class LogPriority : uint8_t { kNormal = 0, kLow = 1, kHigh = 2 };

Bytes EncodeSegmentHeader(uint64_t first_index);
// kDataLoss when it is not one, or not that of a segment that begins with `first_index`.
Status CheckSegmentHeader(ByteView header, uint64_t first_index);

// Appends one record to `out`. `unsynced`: how many records before it were not yet durable when it
// was written.
void EncodeRecord(uint64_t index, uint32_t unsynced, ByteView payload, Bytes& out,
                  LogPriority priority = LogPriority::kNormal);
// In its place when it was evicted: its index without its payload.
void EncodeEvicted(uint64_t index, uint32_t unsynced, Bytes& out);

struct ScannedRecord {
  uint64_t index = 0;
  uint32_t unsynced = 0;
  uint64_t offset = 0, end = 0;  // In the file.
  LogPriority priority = LogPriority::kNormal;
  bool evicted = false;  // By policy: there is no payload any more.
  ByteView payload;      // Until the next call.
};

// Walks over a segment. After damage it looks for the next whole record byte by byte; the caller
// sees the gap in the indexes.
class SegmentScanner {
 public:
  // Fills `into` from `offset` on; fewer bytes only at the end of the file.
  using Source = std::function<Result<size_t>(uint64_t offset, std::span<uint8_t> into)>;

  // Begins at `offset`, where record `next_index` should be; records from `end_index` on do not
  // count.
  SegmentScanner(Source source, uint64_t offset, uint64_t next_index, uint64_t end_index);

  // Nothing: the end of the file.
  Result<std::optional<ScannedRecord>> Next();

  // One past the last whole record, and whether anything but zeros lies behind it (known at the end
  // of the file).
  uint64_t valid_end() const { return valid_end_; }
  bool garbage_behind() const { return garbage_behind_; }

 private:
  // A view of up to `size` bytes at `offset_`, fewer at the end of the file.
  Result<ByteView> Window(size_t size);
  Result<std::optional<ScannedRecord>> TryHere();
  Status SkipToNextCandidate();

  Source source_;
  uint64_t offset_, valid_end_;
  uint64_t next_index_, end_index_;
  bool garbage_behind_ = false;
  Bytes buffer_;
  uint64_t buffer_offset_ = 0;
  size_t buffer_size_ = 0;
  bool at_end_ = false;  // The buffer reaches the end of the file.
};

}  // namespace penstock::storage
