// JSON has no NaN and no infinity: they are null there, and "nan", "inf" in CSV. Times are RFC 3339
// in UTC with microseconds. CSV is RFC 4180 with \n; a null is an empty field, an empty text "".
#include "storage/sql_cells.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/clock.h"

namespace penstock::storage {
namespace {

std::string JsonText(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void AppendCsvText(std::string_view text, std::string& out) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == text.npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    out += c;
    if (c == '"') out += c;
  }
  out += '"';
}

template <typename T>
T CellAt(const void* data, size_t row) {
  return static_cast<const T*>(data)[row];
}

// Times that RFC 3339 can name; infinities and far years have no text.
std::string TimeText(int64_t micros) {
  constexpr int64_t kEnd = 253402300800000000;  // Year 10000.
  constexpr int64_t kBegin = -62135596800000000;
  if (micros >= kEnd || micros < kBegin) return "";
  return FormatTime(FromMicros(micros));
}

}  // namespace

bool IsPlainType(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return true;
    default:
      return false;
  }
}

SqlCells::SqlCells(SqlFormat format, std::vector<SqlColumn> columns)
    : format_(format), columns_(std::move(columns)), vectors_(columns_.size()) {
  if (format_ != SqlFormat::kNdjson) return;
  std::set<std::string> taken;
  for (const SqlColumn& column : columns_) {
    std::string key = column.name;
    for (int i = 2; !taken.insert(key).second; ++i) key = fmt::format("{}_{}", column.name, i);
    keys_.push_back(JsonText(key) + ":");
  }
}

std::string SqlCells::Begin() const {
  std::string text;
  if (format_ == SqlFormat::kCsv) {
    for (const SqlColumn& column : columns_) {
      if (!text.empty()) text += ',';
      AppendCsvText(column.name, text);
    }
    return text + "\n";
  }
  if (format_ != SqlFormat::kJson) return text;
  Json columns = Json::array();
  for (const SqlColumn& column : columns_)
    columns.push_back({{"name", column.name}, {"type", column.type}});
  return "{\"columns\":" + columns.dump(-1, ' ', false, Json::error_handler_t::replace) +
         ",\"rows\":[";
}

void SqlCells::Append(duckdb_data_chunk chunk, size_t count, std::string& out) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
    vectors_[i] = {duckdb_vector_get_data(vector), duckdb_vector_get_validity(vector)};
  }
  for (size_t row = 0; row < count; ++row) AppendRow(row, out);
}

void SqlCells::AppendRow(size_t row, std::string& out) {
  if (format_ == SqlFormat::kJson) out += first_ ? "[" : ",\n[";
  if (format_ == SqlFormat::kNdjson) out += '{';
  first_ = false;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) out += ',';
    if (format_ == SqlFormat::kNdjson) out += keys_[i];
    AppendCell(i, row, out);
  }
  out += format_ == SqlFormat::kJson ? "]" : format_ == SqlFormat::kNdjson ? "}\n" : "\n";
}

void SqlCells::AppendCell(size_t column, size_t row, std::string& out) const {
  const auto& [data, valid] = vectors_[column];
  const bool csv = format_ == SqlFormat::kCsv;
  if (valid != nullptr && !duckdb_validity_row_is_valid(valid, row)) {
    if (!csv) out += "null";
    return;
  }
  const auto number = [&](double value, const std::string& text) {
    out += csv || std::isfinite(value) ? text : "null";
  };
  const auto to = std::back_inserter(out);
  switch (columns_[column].id) {
    case DUCKDB_TYPE_BOOLEAN:
      out += CellAt<bool>(data, row) ? "true" : "false";
      return;
    case DUCKDB_TYPE_TINYINT:
      fmt::format_to(to, "{}", static_cast<int>(CellAt<int8_t>(data, row)));
      return;
    case DUCKDB_TYPE_SMALLINT:
      fmt::format_to(to, "{}", CellAt<int16_t>(data, row));
      return;
    case DUCKDB_TYPE_INTEGER:
      fmt::format_to(to, "{}", CellAt<int32_t>(data, row));
      return;
    case DUCKDB_TYPE_BIGINT:
      fmt::format_to(to, "{}", CellAt<int64_t>(data, row));
      return;
    case DUCKDB_TYPE_UTINYINT:
      fmt::format_to(to, "{}", static_cast<unsigned>(CellAt<uint8_t>(data, row)));
      return;
    case DUCKDB_TYPE_USMALLINT:
      fmt::format_to(to, "{}", CellAt<uint16_t>(data, row));
      return;
    case DUCKDB_TYPE_UINTEGER:
      fmt::format_to(to, "{}", CellAt<uint32_t>(data, row));
      return;
    case DUCKDB_TYPE_UBIGINT:
      fmt::format_to(to, "{}", CellAt<uint64_t>(data, row));
      return;
    case DUCKDB_TYPE_FLOAT:
      return number(CellAt<float>(data, row), fmt::format("{}", CellAt<float>(data, row)));
    case DUCKDB_TYPE_DOUBLE:
      return number(CellAt<double>(data, row), fmt::format("{}", CellAt<double>(data, row)));
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ: {
      const std::string text = TimeText(CellAt<int64_t>(data, row));
      if (text.empty()) {
        if (!csv) out += "null";
      } else {
        out += csv ? text : "\"" + text + "\"";
      }
      return;
    }
    default: {
      auto* cell =
          static_cast<duckdb_string_t*>(const_cast<void*>(data)) + row;  // The C interface.
      const std::string_view text(duckdb_string_t_data(cell), duckdb_string_t_length(*cell));
      if (csv)
        AppendCsvText(text, out);
      else
        out += JsonText(text);
    }
  }
}

std::string SqlCells::End(uint64_t rows, bool truncated, double elapsed_ms) const {
  if (format_ != SqlFormat::kJson) return "";
  return fmt::format("],\"row_count\":{},\"truncated\":{},\"elapsed_ms\":{:.1f}}}\n", rows,
                     truncated, elapsed_ms);
}

}  // namespace penstock::storage
