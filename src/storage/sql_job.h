// A question in SQL as it goes to the process that answers it, and the frames that come back.
// Layout of both: docs/formats/product.md.
//
// Thread rule: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace penstock::storage {

enum class SqlFormat { kJson, kNdjson, kCsv, kParquet };

// A table of a question: Parquet files of the history's layout under a name.
struct SqlTable {
  std::vector<std::string> names;         // All mean the same table.
  std::vector<std::string> files;         // Absolute. Without any: an empty table.
  std::vector<std::string> without;       // Points that the asker may not see.
  std::vector<std::string> private_ones;  // Points whose values go through PrivateNumber.
};

struct SqlJob {
  std::string sql;
  bool trusted = false;  // Written by us: the guard does not judge it.
  std::vector<SqlTable> tables;
  std::vector<std::string> hidden;  // Names that are there but not for this asker.
  SqlFormat format = SqlFormat::kJson;
  std::string output;  // kParquet: the file to write; it must not be there.
  uint64_t rows_max = UINT64_MAX;
  uint64_t bytes_max = UINT64_MAX;  // Of the answer.
  uint64_t memory_mb = 128;         // For DuckDB; the process may have twice as much and 256 MiB.
  int threads = 1;
  int cpu_seconds = 60;
  std::string privacy;  // Passed on to PrivateNumber's maker.

  Json ToJson() const;
  static Result<SqlJob> FromJson(const Json& json);
};

// Frame: kind (1 byte), length (4 bytes, little endian), payload.
enum class SqlFrame : char { kData = 'D', kError = 'E', kEnd = 'Z' };
inline constexpr size_t kSqlFrameMax = 1 << 20;
inline constexpr size_t kSqlFrameHead = 5;
std::string SqlFrameHead(SqlFrame kind, size_t length);

Json ErrorToJson(const Error& error);
Error ErrorFromJson(const Json& json);

}  // namespace penstock::storage
