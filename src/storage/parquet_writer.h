// Writes Parquet files whose first column is the point: rows come in runs of
// one point, sorted by it. Row groups of half a million rows share a dictionary
// of values, which is what makes a two-decimal sample less than two bytes;
// pages carry a CRC-32.
//
// Thread rule: one caller.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/parquet_chunk.h"
#include "storage/parquet_format.h"

namespace penstock::storage {

struct ParquetOptions {
  size_t group_rows = 1 << 19;
  size_t group_points = 8192;  // Fewer rows when so many points are in a group:
                               // they are looked up.
  size_t page_rows = 1 << 14;
  int zstd_level = 1;
  bool dense = false;  // Less bytes for slowly moving doubles, which are slower to read then.
};

class ParquetWriter {
 public:
  // The first column is text, never null. `columns` must outlive the writer.
  static Result<std::unique_ptr<ParquetWriter>> Create(const std::string& path,
                                                       std::span<const ParquetColumn> columns,
                                                       const ParquetOptions& options = {});
  ~ParquetWriter();  // Unlinks a file that was not finished.

  // Rows of one point, not before its predecessors'. `data[c - 1]` are the
  // values of column c: int64_t, double or uint32_t by its kind;
  // std::string_view for text, or null for none.
  Status Add(std::string_view point, std::span<const void* const> data, size_t rows);
  // Writes the rest and the footer, fsyncs, closes.
  Status Finish();
  uint64_t rows() const { return rows_; }
  uint64_t bytes() const { return offset_; }

 private:
  struct Group {
    std::vector<ParquetChunkMeta> chunks;
    uint64_t offset = 0, rows = 0;
  };

  ParquetWriter(int fd, std::string path, std::span<const ParquetColumn> columns,
                const ParquetOptions& options);
  Status WriteGroup();
  Bytes Footer() const;
  Status Put(ByteView bytes);

  int fd_;
  const std::string path_;
  const std::span<const ParquetColumn> schema_;
  const ParquetOptions options_;
  ParquetScratch scratch_;
  std::vector<ParquetChunk> columns_;
  std::vector<Group> groups_;
  size_t group_rows_ = 0;  // In the group being filled.
  uint64_t rows_ = 0, offset_ = 0;
  bool finished_ = false;
};

}  // namespace penstock::storage
