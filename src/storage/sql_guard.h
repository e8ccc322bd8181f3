// What may be asked in SQL: one SELECT over the tables that the caller may read, with functions
// that neither reach outside nor take memory without bound. Judged on DuckDB's own syntax tree
// (json_serialize_sql), so that no comment, quote or escape is read in two ways.
//
// Thread rule: pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace penstock::storage {

inline constexpr size_t kSqlBytesMax = 64 << 10;

struct SqlNames {
  std::vector<std::string> readable;  // Tables.
  std::vector<std::string> hidden;    // Tables that are there, but not for this caller.
};

// Before DuckDB sees the text: its size, its characters. kInvalidArgument with line and column.
Status CheckSqlText(std::string_view sql);
// `tree`: the answer of json_serialize_sql to `sql`. kInvalidArgument for what is not a single
// SELECT, kPermissionDenied for a table or function that is not for queries; each with line and
// column in the message and the pointer "/sql".
Status CheckSqlTree(const Json& tree, std::string_view sql, const SqlNames& names);
// DuckDB's error, as text with errors_as_json, with line and column where it says the position.
// `shift`: bytes before the caller's text in what was run.
Error SqlErrorOf(std::string_view duckdb_error, std::string_view sql, size_t shift = 0);
// "line 2, column 7" of a byte in the text; columns count characters from 1.
std::string SqlPosition(std::string_view sql, size_t at);

}  // namespace penstock::storage
