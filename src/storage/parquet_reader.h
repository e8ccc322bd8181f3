// Reads the Parquet files that we wrote ourselves (others are DuckDB's): the
// rows of one point out of a row group without decoding the rest, because
// dictionary indexes can be read at any row.
//
// Bytes may be damaged: every length is checked, every page's CRC-32 is
// compared the first time a process reads it, and the answer is then kDataLoss.
//
// Thread rule: a ParquetFile is constant after Open; a ParquetColumnReader
// belongs to one caller.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "storage/parquet_encoding.h"
#include "storage/parquet_format.h"

namespace penstock::storage {

class ParquetFile {
 public:
  struct Chunk {
    uint64_t offset = 0, bytes = 0;
    std::optional<uint32_t> constant;  // The value of all rows, of a kUint32 column that has one.
  };
  struct Group {
    uint64_t rows = 0;
    std::string first_point, last_point;
    Time first_time, last_time;  // Of the second column.
    std::vector<Chunk> chunks;
  };

  // kUnimplemented for a file of another writer or with other columns than
  // `schema`, kDataLoss for a damaged one. `schema` must outlive the file.
  static Result<std::shared_ptr<const ParquetFile>> Open(const std::string& path,
                                                         std::span<const ParquetColumn> schema);
  // From a whole file in memory, for tests and fuzzing.
  static Result<std::shared_ptr<const ParquetFile>> FromFooter(
      ByteView footer, uint64_t file_bytes, const std::string& path,
      std::span<const ParquetColumn> schema);

  const std::string& path() const { return path_; }
  std::span<const ParquetColumn> schema() const { return schema_; }
  std::span<const Group> groups() const { return groups_; }
  uint64_t rows() const { return rows_; }
  // True once per chunk, then false: whether its checksums are still to be
  // compared.
  bool TakeUnchecked(size_t group, size_t column) const;

 private:
  std::string path_;
  std::span<const ParquetColumn> schema_;
  std::vector<Group> groups_;
  uint64_t rows_ = 0;
  std::unique_ptr<std::atomic<bool>[]> checked_;
};
using ParquetFilePointer = std::shared_ptr<const ParquetFile>;

// Rows [from, from + rows) of a group have this point.
struct PointRows {
  std::string_view point;  // Until the reader is gone.
  size_t from = 0, rows = 0;
};

class ParquetColumnReader {
 public:
  // Reads the chunk's bytes; pages are decoded when they are asked for.
  static Result<ParquetColumnReader> Load(const ParquetFile& file, size_t group, size_t column);
  // The same from bytes in memory.
  static Result<ParquetColumnReader> Parse(Bytes bytes, uint64_t rows, const ParquetColumn& column,
                                           bool check);

  // Rows [from, to) of a column of numbers into `out`: 8 bytes each, of
  // kUint32 4.
  Status Read(size_t from, size_t to, void* out);

  // Of a text column without nulls whose texts are sorted: the points.
  Result<std::vector<PointRows>> Points();
  Result<std::optional<PointRows>> Find(std::string_view point);  // Nothing: not in this group.

 private:
  struct Page {
    size_t begin = 0, rows = 0, nulls = 0;
    int64_t encoding = 0;
    ByteView stored;
    size_t plain_bytes = 0;
    bool pressed = false, ready = false;
    Bytes plain;
    std::vector<int64_t> numbers;  // Of deltas.
    ByteView body;                 // Of split or plain values.
    HybridView indexes;
  };
  Status TakePages(bool check);
  Status TakeDictionary(ByteView stored, size_t plain_bytes, size_t values);
  Result<Page*> PageOf(size_t row);
  Status Prepare(Page& page);
  Result<uint32_t> IndexAt(size_t row);
  size_t distinct() const;

  const ParquetColumn* column_ = nullptr;
  uint64_t rows_ = 0;
  Bytes bytes_;
  Bytes dictionary_;
  std::vector<std::string_view> texts_;
  std::vector<Page> pages_;
};

}  // namespace penstock::storage
