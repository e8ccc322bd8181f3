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

#include "base/check.h"
#include "base/wire.h"

namespace penstock::telemetry {

using wire::PutVarint;

namespace {

constexpr uint8_t kBatchMagic = 'B',
                  kVersion = 2,  // Version 1: no origin, points in runs of equal ids.
    kReleased = 3;               // Version 2 with rows that were let out of the quarantine.
constexpr uint8_t kPointsBySteps = 0, kPointsRaw = 1;

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
// overflowing. False, with `out` as it was, when that would take more than `bytes_max`.
template <typename T, typename Word>
bool PutSteps(Bytes& out, const std::vector<T>& column, Word word, size_t bytes_max = SIZE_MAX) {
  const size_t start = out.size();
  uint64_t previous = 0, step = 0;
  for (size_t i = 0; i < column.size();) {
    const uint64_t now = word(column[i]), fresh = now - previous;
    size_t end = i + 1;
    uint64_t last = now;
    while (end < column.size() && word(column[end]) - last == fresh) {
      last += fresh;
      ++end;
    }
    PutVarint(out, end - i);
    PutVarint(out, wire::ZigZag(static_cast<int64_t>(fresh - step)));
    if (out.size() - start > bytes_max) {
      out.resize(start);
      return false;
    }
    step = fresh;
    previous = last;
    i = end;
  }
  return true;
}

template <typename T>
void PutRaw(Bytes& out, const std::vector<T>& column) {
  static_assert(std::endian::native == std::endian::little,
                "columns are written as they lie in memory");
  const auto* bytes = reinterpret_cast<const uint8_t*>(column.data());
  out.insert(out.end(), bytes, bytes + column.size() * sizeof(T));
}

void PutPoints(Bytes& out, const std::vector<PointId>& column) {
  out.push_back(kPointsBySteps);
  if (PutSteps(
          out, column, [](PointId id) { return uint64_t{id.value}; },
          column.size() * sizeof(PointId)))
    return;
  out.back() = kPointsRaw;
  PutRaw(out, column);
}

uint64_t WordOf(Time time) { return static_cast<uint64_t>(ToMicros(time)); }

class Decoder {
 public:
  explicit Decoder(ByteView record) : record_(record) {}

  Result<Batch> Read(bool points_only) {
    if (record_.size() < 2 || record_[0] != kBatchMagic)
      return DataLoss("batch record: no batch, {} bytes", record_.size());
    const uint8_t version = record_[1];
    if (version == 0 || version > kReleased)
      return DataLoss("batch record: version {}, not 1 to {}", version, kReleased);
    at_ = 2;
    Batch batch;
    batch.released = version == kReleased;
    ASSIGN_OR_RETURN(const uint64_t rows, Varint("row count"));
    if (rows > kBatchRowsMax || rows * sizeof(double) > record_.size()) {
      return DataLoss("batch record: {} rows in {} bytes", rows, record_.size());
    }
    rows_ = rows;
    ASSIGN_OR_RETURN(batch.first_sequence, Varint("first sequence"));
    if (version > 1) TRY(ReadOrigin(batch.origin));
    if (!points_only) batch.Reserve(rows);
    TRY(Points(batch.point, version));
    if (points_only) return batch;
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
  Status ReadOrigin(Batch::Origin& origin) {
    ASSIGN_OR_RETURN(origin.epoch, Varint("epoch"));
    ASSIGN_OR_RETURN(const uint64_t length, Varint("edge name"));
    if (length > kEdgeNameBytesMax || length > record_.size() - at_)
      return DataLoss("batch record: edge name of {} bytes", length);
    origin.edge = AsText(record_.subspan(at_, length));
    at_ += length;
    if (length > 0) {
      ASSIGN_OR_RETURN(origin.first, Varint("origin's first sequence"));
    }
    return {};
  }

  Result<uint64_t> Varint(std::string_view what) {
    wire::Reader reader(record_.subspan(at_));
    uint64_t value = 0;
    const bool whole = reader.Varint(&value);
    at_ += reader.at();
    if (whole) return value;
    return at_ >= record_.size()
               ? DataLoss("batch record: ends within {}", what)
               : DataLoss("batch record: number too long in {} at byte {}", what, at_);
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

  template <typename Take>
  Status Steps(std::string_view what, Take take) {
    uint64_t word = 0, step = 0;
    for (uint64_t done = 0; done < rows_;) {
      ASSIGN_OR_RETURN(const uint64_t length, Length(what, done));
      ASSIGN_OR_RETURN(const uint64_t change, Varint(what));
      step += static_cast<uint64_t>(wire::UnZigZag(change));
      for (uint64_t i = 0; i < length; ++i) {
        word += step;
        if (!take(word)) return DataLoss("batch record: {} of {} too large", what, word);
      }
      done += length;
    }
    return {};
  }

  Status Times(std::string_view what, std::vector<Time>& column) {
    return Steps(what, [&](uint64_t word) {
      column.push_back(FromMicros(static_cast<int64_t>(word)));
      return true;
    });
  }

  Status Points(std::vector<PointId>& column, uint8_t version) {
    const auto take = [&](uint64_t word) {
      if (word >= UINT32_MAX) return false;
      column.push_back(PointId{static_cast<uint32_t>(word)});
      return true;
    };
    if (version == 1) return Runs("point", take);
    if (at_ >= record_.size()) return DataLoss("batch record: ends within point");
    const uint8_t form = record_[at_++];
    if (form == kPointsBySteps) return Steps("point", take);
    if (form != kPointsRaw) return DataLoss("batch record: points in form {}", form);
    if ((record_.size() - at_) / sizeof(PointId) < rows_)
      return DataLoss("batch record: ends within point");
    column.resize(rows_);
    if (rows_ > 0) std::memcpy(column.data(), record_.data() + at_, rows_ * sizeof(PointId));
    at_ += rows_ * sizeof(PointId);
    for (const PointId id : column)
      if (!id.valid()) return DataLoss("batch record: point of {} too large", id.value);
    return {};
  }

  ByteView record_;
  size_t at_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

void EncodeBatch(const Batch& batch, Bytes& out) {
  CHECK(batch.origin.edge.size() <= kEdgeNameBytesMax);
  out.reserve(out.size() + batch.size() * sizeof(double) + 64);
  out.push_back(kBatchMagic);
  out.push_back(batch.released ? kReleased : kVersion);
  PutVarint(out, batch.size());
  PutVarint(out, batch.first_sequence);
  PutVarint(out, batch.origin.epoch);
  PutVarint(out, batch.origin.edge.size());
  out.insert(out.end(), batch.origin.edge.begin(), batch.origin.edge.end());
  if (!batch.own()) PutVarint(out, batch.origin.first);
  PutPoints(out, batch.point);
  PutSteps(out, batch.source_time, WordOf);
  PutSteps(out, batch.ingest_time, WordOf);
  PutRuns(out, batch.quality, [](Quality quality) { return static_cast<uint64_t>(quality); });
  PutRaw(out, batch.value);
}

Result<Batch> DecodeBatch(ByteView record) { return Decoder(record).Read(false); }
Result<Batch> DecodeBatchPoints(ByteView record) { return Decoder(record).Read(true); }

}  // namespace penstock::telemetry
