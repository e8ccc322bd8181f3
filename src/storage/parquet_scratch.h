// What the chunks of a Parquet file share while they are encoded: buffers and a zstd context.
//
// Thread rule: one caller.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace penstock::storage {

class ParquetScratch {
 public:
  explicit ParquetScratch(int zstd_level);
  ~ParquetScratch();
  ParquetScratch(const ParquetScratch&) = delete;
  ParquetScratch& operator=(const ParquetScratch&) = delete;

  // Appends to `out`; false (and nothing appended) when that would not be smaller.
  bool Compress(ByteView plain, Bytes& out) { return Compress(plain, out, level_); }
  bool Compress(ByteView plain, Bytes& out, int level);
  // The same for `plain` that ends with `words` words of four bytes, little endian, whose upper
  // three bytes mostly are those of a word not far before.
  bool CompressWords(ByteView plain, size_t words, Bytes& out);

  std::vector<uint64_t> distinct;  // The dictionary of numbers.
  std::vector<uint32_t> index;     // Each row's place in it.
  std::vector<uint32_t> slots;     // Hash table: place + 1, 0 for free.
  Bytes plain, pressed;            // A page's body, and as zstd has it.

 private:
  struct Copy;  // Of what was there before.
  void FindCopies(ByteView plain, size_t words);
  size_t Room(size_t plain);
  bool Append(size_t size, size_t plain, Bytes& out) const;

  ZSTD_CCtx_s* context_;
  ZSTD_DCtx_s* expander_;
  const int level_;
  std::unique_ptr<uint8_t[]> room_, expanded_;
  size_t room_size_ = 0, expanded_size_ = 0;
  std::vector<Copy> copies_;
  std::vector<uint32_t> last_;  // Where upper bytes were seen last: place + 1, 0 for never.
};

}  // namespace penstock::storage
