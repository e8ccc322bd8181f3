// Reads the rows of a column out of a Parquet file of ours: those of one point without decoding the
// rest, because dictionary indexes can be read at any row. Pages are read when they are asked for,
// and of those few are held, so that a whole column passes through little memory.
//
// Bytes may be damaged: every length is checked, every page's CRC-32 is compared the first time its
// ParquetPages are used for it, and the answer is then kDataLoss.
//
// Thread rule: one caller.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/parquet_encoding.h"
#include "storage/parquet_file.h"
#include "storage/parquet_format.h"
#include "storage/parquet_pages.h"

namespace penstock::storage {

// Rows [from, from + rows) of a group have this point.
struct PointRows {
  std::string_view point;  // Until the reader is gone.
  size_t from = 0, rows = 0;
};

class ParquetColumnReader {
 public:
  // `pages`: as an earlier reader of the same chunk had them. The file must outlive the reader.
  static Result<ParquetColumnReader> Load(const ParquetFile& file, size_t group, size_t column,
                                          ParquetPagesPointer pages = nullptr);
  // From bytes in memory, without checksums but the dictionary's; for fuzzing.
  static Result<ParquetColumnReader> Parse(ByteView bytes, uint64_t rows,
                                           const ParquetColumn& column);

  const ParquetPagesPointer& pages() const { return pages_; }

  // Rows [from, to) of a column of numbers into `out`: 8 bytes each, of
  // kUint32 4.
  Status Read(size_t from, size_t to, void* out);

  // Of a text column without nulls whose texts are sorted: the points.
  Result<std::vector<PointRows>> Points();
  Result<std::optional<PointRows>> Find(std::string_view point);  // Nothing: not in this group.

 private:
  // A page that is ready to be read; rows 0: none.
  struct Page {
    size_t begin = 0, rows = 0, nulls = 0;
    int64_t encoding = 0;
    ParquetBuffer stored, plain;
    ParquetRoom<int64_t> number_room;
    std::span<const int64_t> numbers;  // Of deltas.
    ByteView body;                     // Of split or plain values.
    HybridView indexes;
  };
  static constexpr size_t kPagesHeld = 4;

  Status TakePages(ParquetPagesPointer pages);
  Result<Page*> PageOf(size_t row);
  Status Prepare(size_t number, Page& page);
  Status ReadPlaces(const Page& page, size_t from, size_t rows, uint8_t* out) const;
  Result<uint32_t> IndexAt(size_t row);
  size_t distinct() const;
  size_t width() const { return column_->kind == ParquetKind::kUint32 ? 4 : 8; }

  const ParquetFile* file_ = nullptr;  // Null: bytes in memory.
  const ParquetColumn* column_ = nullptr;
  uint64_t rows_ = 0;
  ParquetChunkBytes bytes_;
  ParquetPagesPointer pages_;
  std::vector<Page> held_ = std::vector<Page>(kPagesHeld);
  size_t next_held_ = 0;
};

}  // namespace penstock::storage
