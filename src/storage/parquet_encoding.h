// The encodings of Parquet that we use, after "Parquet encoding definitions"
// (Apache Parquet, Encodings.md): the RLE and bit-packing hybrid of dictionary
// indexes, delta binary packing of integers, byte stream split of doubles.
//
// Decoders read what may be damaged: they check every bound and say so.
//
// Thread rule: none; values of one caller.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

// Bits that `value` needs; 0 for 0.
int BitWidth(uint64_t value);

// Indexes of a dictionary, without the leading byte of their width.
void EncodeHybrid(std::span<const uint32_t> values, int bit_width, Bytes& out);
// Differences in blocks of 128, each as narrow as its own values allow.
void EncodeDelta(std::span<const int64_t> values, Bytes& out);
// The same in one block of whole bytes: longer, but what repeats in the values repeats in the
// bytes, at the same distance, so that zstd finds it.
void EncodeDeltaWhole(std::span<const int64_t> values, Bytes& out);
void EncodeSplit(std::span<const uint64_t> doubles,
                 Bytes& out);  // By their bits.

// A stretch of equal indexes, or of packed ones.
struct HybridRun {
  uint32_t begin = 0, rows = 0;
  uint32_t value = 0;               // Of a stretch of equal ones.
  const uint8_t* packed = nullptr;  // Of the others; null for equal ones.
};

// Random access to encoded indexes: the stretches are found once, values on
// demand.
class HybridView {
 public:
  // `bytes` stay with the caller. kDataLoss when they do not hold `rows`
  // values.
  static Result<HybridView> Parse(ByteView bytes, int bit_width, size_t rows);
  // Rows [from, to) into `out`.
  void Decode(size_t from, size_t to, uint32_t* out) const;
  std::span<const HybridRun> runs() const { return runs_; }

 private:
  std::vector<HybridRun> runs_;
  int bit_width_ = 0;
  const uint8_t* end_ = nullptr;
};

// All values, of blocks of any shape. kDataLoss when the bytes do not hold as many.
Status DecodeDelta(ByteView bytes, std::span<int64_t> out);

}  // namespace penstock::storage
