// An answer of DuckDB as JSON, newline-delimited JSON or CSV, column by column typed.
//
// Thread rule: one thread.
#pragma once

#include <duckdb.h>

#include <string>
#include <vector>

#include "storage/sql_job.h"

namespace penstock::storage {

struct SqlColumn {
  std::string name;
  std::string type;  // For people: "DOUBLE", "TIMESTAMP WITH TIME ZONE".
  duckdb_type id = DUCKDB_TYPE_INVALID;
};

// Whether a value of this type can be written; others must be cast to VARCHAR by the question.
bool IsPlainType(duckdb_type type);

class SqlCells {
 public:
  SqlCells(SqlFormat format, std::vector<SqlColumn> columns);

  std::string Begin() const;  // What comes before the first row.
  // Appends rows [0, count) of the chunk to `out`.
  void Append(duckdb_data_chunk chunk, size_t count, std::string& out);
  std::string End(uint64_t rows, bool truncated, double elapsed_ms) const;

 private:
  void AppendRow(size_t row, std::string& out);
  void AppendCell(size_t column, size_t row, std::string& out) const;

  const SqlFormat format_;
  const std::vector<SqlColumn> columns_;
  std::vector<std::string> keys_;  // kNdjson: "name": with quotes and colon.
  bool first_ = true;
  struct Vector {
    const void* data = nullptr;
    uint64_t* valid = nullptr;
  };
  std::vector<Vector> vectors_;  // Of the present chunk.
};

}  // namespace penstock::storage
