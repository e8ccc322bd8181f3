// Where the pages of a column of a row group are, and its dictionary: what must be known before a
// row can be read. Page headers stand before each page, so they are found once and may be kept.
//
// Bytes may be damaged: every length is checked, and the answer is kDataLoss.
//
// Thread rule: constant but for the marks of checked pages, for any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/parquet_file.h"
#include "storage/parquet_format.h"

namespace penstock::storage {

// Room for values that need not be cleared before they are written.
template <typename T>
class ParquetRoom {
 public:
  std::span<T> Take(size_t size) {
    if (size > size_) {
      values_ = std::make_unique_for_overwrite<T[]>(size);
      size_ = size;
    }
    return {values_.get(), size};
  }

 private:
  std::unique_ptr<T[]> values_;
  size_t size_ = 0;
};
using ParquetBuffer = ParquetRoom<uint8_t>;

// The bytes of a chunk, in memory or in its file, which must outlive this.
class ParquetChunkBytes {
 public:
  ParquetChunkBytes() = default;
  explicit ParquetChunkBytes(ByteView bytes) : size_(bytes.size()), in_memory_(bytes) {}
  ParquetChunkBytes(const ParquetFile& file, const ParquetFile::Chunk& chunk)
      : file_(&file), offset_(chunk.offset), size_(chunk.bytes) {}

  uint64_t size() const { return size_; }
  // The bytes [offset, offset + size), which are in the chunk; perhaps in `room`.
  Result<ByteView> At(uint64_t offset, size_t size, ParquetBuffer& room);

 private:
  const ParquetFile* file_ = nullptr;
  uint64_t offset_ = 0, size_ = 0;
  ByteView in_memory_;
  ParquetBuffer whole_;  // Of a short chunk, which is read at once.
};

struct ParquetPages {
  struct Page {
    uint64_t offset = 0;  // In the chunk, behind the header.
    uint32_t begin = 0, rows = 0, nulls = 0;
    uint32_t stored = 0, levels = 0;  // Bytes; the levels come first and are not pressed.
    uint32_t plain = 0;               // Bytes behind the levels, expanded.
    int64_t crc = -1;                 // Of what is stored; -1: none.
    int64_t encoding = 0;
    bool pressed = false;
  };
  std::vector<Page> pages;
  Bytes dictionary;
  std::vector<std::string_view> texts;           // Of a text column: the dictionary's.
  std::unique_ptr<std::atomic<bool>[]> checked;  // By page: its checksum was compared.

  size_t memory() const;  // Bytes, about.

  // kDataLoss without the file's name.
  static Result<std::shared_ptr<const ParquetPages>> Find(ParquetChunkBytes& bytes, uint64_t rows,
                                                          const ParquetColumn& column);
};
using ParquetPagesPointer = std::shared_ptr<const ParquetPages>;

// False when `stored` is not what zstd made of that many bytes.
bool ExpandPage(ByteView stored, std::span<uint8_t> plain);
bool HasChecksum(ByteView stored, int64_t crc);  // True where there is none to compare.

}  // namespace penstock::storage
