// One column of one row group on its way to disk: values are gathered, then
// encoded as pages.
//
// Thread rule: one caller.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "storage/parquet_format.h"

struct ZSTD_CCtx_s;

namespace penstock::storage {

// What the footer says of a chunk; offsets count from the chunk's begin.
struct ParquetChunkMeta {
  uint64_t offset = 0, bytes = 0, plain_bytes = 0, rows = 0, nulls = 0;
  uint64_t data_offset = 0;
  bool has_dictionary = false;
  int64_t encoding = 0;
  std::optional<std::string> low,
      high;  // Smallest and largest value, as Parquet's plain bytes.
};

// What encoding needs and every chunk of a file can share.
class ParquetScratch {
 public:
  explicit ParquetScratch(int zstd_level);
  ~ParquetScratch();
  ParquetScratch(const ParquetScratch&) = delete;
  ParquetScratch& operator=(const ParquetScratch&) = delete;
  // Appends to `out`; false (and nothing appended) when that would not be
  // smaller.
  bool Compress(ByteView plain, Bytes& out);

  std::vector<uint64_t> distinct;  // The dictionary of numbers.
  std::vector<uint32_t> index;     // Each row's place in it.
  std::vector<uint32_t> slots;     // Hash table: place + 1, 0 for free.
  Bytes plain;

 private:
  ZSTD_CCtx_s* context_;
  const int level_;
};

class ParquetChunk {
 public:
  explicit ParquetChunk(const ParquetColumn& column) : column_(column) {}

  void AddNumbers(const void* values, size_t rows);
  // The same text for all rows; null: none.
  void AddText(const std::string_view* text, size_t rows);
  size_t texts() const { return texts_.size(); }
  // Appends the encoded chunk to `out` and forgets the values.
  ParquetChunkMeta Encode(size_t page_rows, ParquetScratch& scratch, Bytes& out);

 private:
  bool IsRegular() const;
  bool BuildDictionary(ParquetScratch& scratch) const;
  static void SortDictionary(ParquetScratch& scratch);
  void EncodeText(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void EncodeByDictionary(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void EncodePlainly(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void PutDictionary(ByteView plain, size_t values, ParquetScratch& scratch, Bytes& out,
                     ParquetChunkMeta& meta);
  void PutPage(ByteView levels, ByteView body, size_t rows, size_t nulls, ParquetScratch& scratch,
               Bytes& out, ParquetChunkMeta& meta);
  void SetBounds(std::span<const uint64_t> values, ParquetChunkMeta& meta) const;

  const ParquetColumn& column_;
  size_t page_rows_ = 0;
  std::vector<uint64_t> numbers_;  // Doubles by their bits.
  struct TextRun {
    uint32_t rows;
    uint32_t text;  // kNull: none.
  };
  static constexpr uint32_t kNull = UINT32_MAX;
  std::deque<std::string> texts_;  // Never moved: their places refer to them.
  std::unordered_map<std::string_view, uint32_t> places_;  // Of an optional column.
  std::vector<TextRun> runs_;
  size_t rows_ = 0;
  size_t unpressed_ = 0;  // Pages in a row that compression did not make smaller.
};

}  // namespace penstock::storage
