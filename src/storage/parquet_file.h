// The footer of a Parquet file that we wrote ourselves (others are DuckDB's): where its row groups
// and columns are and what lies in them. The rows: parquet_reader.h.
//
// Thread rule: constant after Open, for any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/result.h"
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

  // Fills `into` with the bytes from `offset` on.
  Status ReadAt(uint64_t offset, std::span<uint8_t> into) const;
  // Of the process's open files this is none until the next ReadAt.
  void CloseForNow() const;

 private:
  static Result<std::shared_ptr<ParquetFile>> Parse(ByteView footer, uint64_t file_bytes,
                                                    const std::string& path,
                                                    std::span<const ParquetColumn> schema);

  std::string path_;
  std::span<const ParquetColumn> schema_;
  std::vector<Group> groups_;
  uint64_t rows_ = 0;
  mutable std::mutex mutex_;                              // Guards what follows.
  mutable std::shared_ptr<const Descriptor> descriptor_;  // Shared with who reads; null: closed.
};
using ParquetFilePointer = std::shared_ptr<const ParquetFile>;

}  // namespace penstock::storage
