// Columns, each in the cheapest form that its usual content allows: a driver's batch is a few
// points in runs, times that advance by one step, qualities that are all good. Values are kept as
// they are, 8 bytes; an own compression of the log would cost time on the way to the
// acknowledgement, and the log is short-lived: Parquet compresses later.
//
// The log's CRC has found torn and damaged records before they come here; the decoder trusts
// nothing all the same.
#include "telemetry/batch_codec.h"

#include <bit>
#include <cstring>

namespace penstock::telemetry {
namespace {

constexpr uint8_t kMagic = 'B', kVersion = 1;

void PutVarint(Bytes& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<uint8_t>(value));
}

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// Runs of equal values: length, value.
template <typename T, typename Word>
void PutRuns(Bytes& out, const std::vector<T>& column, Word word) {
  for (size_t i = 0; i < column.size();) {
    size_t end = i + 1;
    while (end < column.size() && column[end] == column[i]) ++end;
    PutVarint(out, end - i);
    PutVarint(out, word(column[i]));
    i = end;
  }
}

// Runs of equal steps: length, change of the step. Unsigned, so that wild times wrap instead of
// overflowing.
void PutTimes(Bytes& out, const std::vector<Time>& column) {
  uint64_t previous = 0, step = 0;
  for (size_t i = 0; i < column.size();) {
    const uint64_t now = static_cast<uint64_t>(ToMicros(column[i])), fresh = now - previous;
    size_t end = i + 1;
    uint64_t last = now;
    while (end < column.size() && static_cast<uint64_t>(ToMicros(column[end])) - last == fresh) {
      last += fresh;
      ++end;
    }
    PutVarint(out, end - i);
    PutVarint(out, ZigZag(static_cast<int64_t>(fresh - step)));
    step = fresh;
    previous = last;
    i = end;
  }
}

class Decoder {
 public:
  explicit Decoder(ByteView record) : record_(record) {}

  Result<Batch> Read() {
    if (record_.size() < 2 || record_[0] != kMagic)
      return DataLoss("batch record: no batch, {} bytes", record_.size());
    if (record_[1] != kVersion)
      return DataLoss("batch record: version {} is newer than {}", record_[1], kVersion);
    at_ = 2;
    Batch batch;
    ASSIGN_OR_RETURN(const uint64_t rows, Varint("row count"));
    if (rows > kBatchRowsMax || rows * sizeof(double) > record_.size()) {
      return DataLoss("batch record: {} rows in {} bytes", rows, record_.size());
    }
    rows_ = rows;
    ASSIGN_OR_RETURN(batch.first_sequence, Varint("first sequence"));
    batch.Reserve(rows);
    TRY(Runs("point", [&](uint64_t word) {
      if (word >= UINT32_MAX) return false;
      batch.point.push_back(PointId{static_cast<uint32_t>(word)});
      return true;
    }));
    TRY(Times("source time", batch.source_time));
    TRY(Times("ingest time", batch.ingest_time));
    TRY(Runs("quality", [&](uint64_t word) {
      if (word > UINT32_MAX) return false;
      batch.quality.push_back(static_cast<Quality>(word));
      return true;
    }));
    if (record_.size() - at_ != rows * sizeof(double)) {
      return DataLoss("batch record: {} bytes of values for {} rows", record_.size() - at_, rows);
    }
    batch.value.resize(rows);
    if (rows > 0) std::memcpy(batch.value.data(), record_.data() + at_, rows * sizeof(double));
    return batch;
  }

 private:
  Result<uint64_t> Varint(std::string_view what) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ >= record_.size()) return DataLoss("batch record: ends within {}", what);
      const uint8_t byte = record_[at_++];
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return DataLoss("batch record: number too long in {} at byte {}", what, at_);
  }

  Result<uint64_t> Length(std::string_view what, uint64_t done) {
    ASSIGN_OR_RETURN(const uint64_t length, Varint(what));
    if (length == 0 || length > rows_ - done) {
      return DataLoss("batch record: run of {} in {} after {} of {} rows", length, what, done,
                      rows_);
    }
    return length;
  }

  template <typename Take>
  Status Runs(std::string_view what, Take take) {
    for (uint64_t done = 0; done < rows_;) {
      ASSIGN_OR_RETURN(const uint64_t length, Length(what, done));
      ASSIGN_OR_RETURN(const uint64_t word, Varint(what));
      for (uint64_t i = 0; i < length; ++i) {
        if (!take(word)) return DataLoss("batch record: {} of {} too large", what, word);
      }
      done += length;
    }
    return {};
  }

  Status Times(std::string_view what, std::vector<Time>& column) {
    uint64_t time = 0, step = 0;
    for (uint64_t done = 0; done < rows_;) {
      ASSIGN_OR_RETURN(const uint64_t length, Length(what, done));
      ASSIGN_OR_RETURN(const uint64_t change, Varint(what));
      step += static_cast<uint64_t>(UnZigZag(change));
      for (uint64_t i = 0; i < length; ++i) {
        time += step;
        column.push_back(FromMicros(static_cast<int64_t>(time)));
      }
      done += length;
    }
    return {};
  }

  ByteView record_;
  size_t at_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

void EncodeBatch(const Batch& batch, Bytes& out) {
  out.reserve(out.size() + batch.size() * sizeof(double) + 64);
  out.push_back(kMagic);
  out.push_back(kVersion);
  PutVarint(out, batch.size());
  PutVarint(out, batch.first_sequence);
  PutRuns(out, batch.point, [](PointId id) { return static_cast<uint64_t>(id.value); });
  PutTimes(out, batch.source_time);
  PutTimes(out, batch.ingest_time);
  PutRuns(out, batch.quality, [](Quality quality) { return static_cast<uint64_t>(quality); });
  static_assert(std::endian::native == std::endian::little,
                "values are written as they lie in memory");
  const size_t at = out.size();
  out.resize(at + batch.size() * sizeof(double));
  if (!batch.empty())
    std::memcpy(out.data() + at, batch.value.data(), batch.size() * sizeof(double));
}

Result<Batch> DecodeBatch(ByteView record) { return Decoder(record).Read(); }

}  // namespace penstock::telemetry
