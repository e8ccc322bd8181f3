// What our Parquet files are made of, for the writer and the reader: kinds of
// columns and the numbers of the format ("Apache Parquet", parquet.thrift).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::storage {

enum class ParquetKind {
  kText,    // BYTE_ARRAY, string. Of one run of rows the same, or null.
  kTime,    // INT64, microseconds, UTC.
  kInt64,   // INT64.
  kDouble,  // DOUBLE.
  kUint32,  // INT32, unsigned.
};

struct ParquetColumn {
  std::string_view name;
  ParquetKind kind;
  bool optional = false;  // May be null: text columns only.
  bool unique = false;    // Seldom the same value twice: a dictionary is not tried.
  bool aside = false;     // Queries seldom read it: larger pages.
};

// Our files begin their created_by with this; others are DuckDB's to read.
inline constexpr std::string_view kParquetCreator = "penstock version ";

namespace parquet {

inline constexpr std::string_view kMagic = "PAR1";
enum Type : int64_t { kInt32Type = 1, kInt64Type = 2, kDoubleType = 5, kByteArrayType = 6 };
enum Encoding : int64_t {
  kPlain = 0,
  kRle = 3,
  kDeltaBinaryPacked = 5,
  kRleDictionary = 8,
  kByteStreamSplit = 9,
};
enum Page : int64_t { kDictionaryPage = 2, kDataPageV2 = 3 };
enum Converted : int64_t { kUtf8 = 0, kTimestampMicros = 10, kUint32Converted = 13 };
inline constexpr int64_t kZstd = 6;

}  // namespace parquet

}  // namespace penstock::storage
