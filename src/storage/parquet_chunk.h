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
#include "storage/parquet_scratch.h"

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

class ParquetChunk {
 public:
  explicit ParquetChunk(const ParquetColumn& column) : column_(column) {}

  // Room for so many rows: growing step by step would cost twice the memory's first touch.
  void Reserve(size_t rows) {
    if (column_.kind != ParquetKind::kText) numbers_.reserve(rows);
  }

  void AddNumbers(const void* values, size_t rows);
  // The same text for all rows; null: none.
  void AddText(const std::string_view* text, size_t rows);
  size_t texts() const { return texts_.size(); }
  // Appends the encoded chunk to `out` and forgets the values. `dense`: as ParquetOptions has it.
  ParquetChunkMeta Encode(size_t page_rows, bool dense, ParquetScratch& scratch, Bytes& out);

 private:
  // The page by which a layout is chosen: the middle one.
  template <typename T>
  std::span<const T> Sample(const std::vector<T>& rows) const;
  bool IsRegular() const;
  bool BuildDictionary(ParquetScratch& scratch) const;
  static void SortDictionary(ParquetScratch& scratch);
  void EncodeText(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void EncodeByDictionary(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void EncodePlainly(ParquetScratch& scratch, Bytes& out, ParquetChunkMeta& meta);
  void PutDictionary(ByteView plain, size_t values, ParquetScratch& scratch, Bytes& out,
                     ParquetChunkMeta& meta);
  // Of scratch.plain, or scratch.pressed.
  void PutPage(ByteView levels, size_t rows, size_t nulls, bool pressed, ParquetScratch& scratch,
               Bytes& out, ParquetChunkMeta& meta);
  void SetBounds(std::span<const uint64_t> values, ParquetChunkMeta& meta) const;

  const ParquetColumn& column_;
  size_t page_rows_ = 0;
  bool dense_ = false;
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
