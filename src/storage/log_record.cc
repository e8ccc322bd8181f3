// A record is a header of 20 bytes and its payload:
//
//   u32 crc        CRC-32C over everything behind it
//   u32 length     of the payload in 28 bits; above them: 2 bits priority, 1 bit 0, 1 bit evicted
//   u64 index
//   u32 unsynced   records before this one that were not yet durable when it was written
//
// The index is stored although it could be counted, because after damage counting is what fails: a
// whole record found behind a hole says itself which one it is, and the hole is known to the
// record. `unsynced` tells a torn group commit from damage: what lies before (index - unsynced) had
// been acknowledged when this record was written, so a hole there is a loss to report; a hole
// behind is the tail of a commit that nobody was told of, and is cut. Zeros are what a file system
// leaves behind a crash and what the writer puts ahead; no header of zeros is valid, because
// CRC-32C of zeros is not zero.
#include "storage/log_record.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/wire.h"

namespace penstock::storage {
namespace {

constexpr char kSegmentMagic[8] = {'P', 'S', 'L', 'O', 'G', '1', '\r', '\n'};
constexpr size_t kReadAhead = 256 << 10;
constexpr uint32_t kLengthMask = (1U << 28) - 1, kNeverBit = 1U << 30, kEvictedBit = 1U << 31;
constexpr int kPriorityShift = 28;

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

Bytes EncodeSegmentHeader(uint64_t first_index) {
  Bytes header;
  header.reserve(kSegmentHeaderBytes);
  header.insert(header.end(), std::begin(kSegmentMagic), std::end(kSegmentMagic));
  wire::Put(header, first_index);
  header.resize(kSegmentHeaderBytes - sizeof(uint32_t));
  wire::Put(header, Crc32c(header));
  return header;
}

Status CheckSegmentHeader(ByteView header, uint64_t first_index) {
  if (header.size() < kSegmentHeaderBytes)
    return DataLoss("segment header torn: {} of {} bytes", header.size(), kSegmentHeaderBytes);
  const size_t covered = kSegmentHeaderBytes - sizeof(uint32_t);
  if (std::memcmp(header.data(), kSegmentMagic, sizeof kSegmentMagic) != 0)
    return DataLoss("not a log segment: it begins with {}",
                    ToHex(header.first(sizeof kSegmentMagic)));
  if (Crc32c(header.first(covered)) != wire::Load<uint32_t>(header.data() + covered))
    return DataLoss("segment header damaged: checksum differs");
  const auto stored = wire::Load<uint64_t>(header.data() + sizeof kSegmentMagic);
  if (stored != first_index)
    return DataLoss("segment header says first record {}, the file name says {}", stored,
                    first_index);
  return {};
}

namespace {

void Encode(uint64_t index, uint32_t unsynced, uint32_t length_word, ByteView payload, Bytes& out) {
  const size_t start = out.size();
  wire::Put(out, uint32_t{0});
  wire::Put(out, length_word);
  wire::Put(out, index);
  wire::Put(out, unsynced);
  out.insert(out.end(), payload.begin(), payload.end());
  const uint32_t crc = Crc32c(ByteView(out).subspan(start + sizeof(uint32_t)));
  std::memcpy(out.data() + start, &crc, sizeof crc);
}

}  // namespace

void EncodeRecord(uint64_t index, uint32_t unsynced, ByteView payload, Bytes& out,
                  LogPriority priority) {
  CHECK(payload.size() <= kRecordBytesMax);
  Encode(index, unsynced,
         static_cast<uint32_t>(payload.size()) | static_cast<uint32_t>(priority) << kPriorityShift,
         payload, out);
}

void EncodeEvicted(uint64_t index, uint32_t unsynced, Bytes& out) {
  Encode(index, unsynced, kEvictedBit, {}, out);
}

SegmentScanner::SegmentScanner(Source source, uint64_t offset, uint64_t next_index,
                               uint64_t end_index)
    : source_(std::move(source)),
      offset_(offset),
      valid_end_(offset),
      next_index_(next_index),
      end_index_(end_index) {}

Result<ByteView> SegmentScanner::Window(size_t size) {
  const bool behind_start = buffer_size_ > 0 && offset_ >= buffer_offset_;
  const bool before_end = at_end_ || offset_ + size <= buffer_offset_ + buffer_size_;
  if (!behind_start || !before_end) {
    buffer_.resize(std::max(size, kReadAhead));
    ASSIGN_OR_RETURN(buffer_size_, source_(offset_, buffer_));
    buffer_offset_ = offset_;
    at_end_ = buffer_size_ < buffer_.size();
  }
  const size_t skip = std::min<uint64_t>(offset_ - buffer_offset_, buffer_size_);
  return ByteView(buffer_).subspan(skip, std::min(size, buffer_size_ - skip));
}

Result<std::optional<ScannedRecord>> SegmentScanner::TryHere() {
  ASSIGN_OR_RETURN(const ByteView header, Window(kRecordHeaderBytes));
  if (header.size() < kRecordHeaderBytes) return std::nullopt;
  const auto length_word = wire::Load<uint32_t>(header.data() + 4);
  const uint32_t length = length_word & kLengthMask;
  const auto priority = static_cast<LogPriority>(length_word >> kPriorityShift & 3);
  const bool evicted = (length_word & kEvictedBit) != 0;
  if ((length_word & kNeverBit) != 0 || priority > LogPriority::kHigh ||
      (evicted && length_word != kEvictedBit))
    return std::nullopt;
  const auto index = wire::Load<uint64_t>(header.data() + 8);
  if (length > kRecordBytesMax || index < next_index_ || index >= end_index_) return std::nullopt;
  ASSIGN_OR_RETURN(const ByteView record, Window(kRecordHeaderBytes + length));
  if (record.size() < kRecordHeaderBytes + length) return std::nullopt;
  if (Crc32c(record.subspan(4)) != wire::Load<uint32_t>(record.data())) return std::nullopt;
  return ScannedRecord{.index = index,
                       .unsynced = wire::Load<uint32_t>(record.data() + 16),
                       .offset = offset_,
                       .end = offset_ + record.size(),
                       .priority = priority,
                       .evicted = evicted,
                       .payload = record.subspan(kRecordHeaderBytes)};
}

// One byte on, and over a run of zeros in one go: a record's header cannot begin inside it further
// from its end than the header is long.
Status SegmentScanner::SkipToNextCandidate() {
  ++offset_;
  while (true) {
    ASSIGN_OR_RETURN(const ByteView ahead, Window(4096));
    if (ahead.size() < 4096 || !AllZero(ahead)) return {};
    offset_ += ahead.size() - kRecordHeaderBytes;
  }
}

Result<std::optional<ScannedRecord>> SegmentScanner::Next() {
  garbage_behind_ = false;
  while (true) {
    ASSIGN_OR_RETURN(const auto record, TryHere());
    if (record) {
      offset_ = valid_end_ = record->end;
      next_index_ = record->index + 1;
      return record;
    }
    ASSIGN_OR_RETURN(const ByteView here, Window(kRecordHeaderBytes));
    if (!AllZero(here)) garbage_behind_ = true;
    if (here.size() < kRecordHeaderBytes) return std::nullopt;
    TRY(SkipToNextCandidate());
  }
}

}  // namespace penstock::storage
