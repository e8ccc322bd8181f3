// The tree is walked with a stack of our own, since its depth is the asker's choice. Base tables
// must be the caller's or a WITH name; table functions must be on a short list; functions anywhere
// else must not be on a list of those that look at the server, wait, run text as SQL, or make a
// long text or list out of a small number. What slips through still meets the worker's walls: no
// file but the given ones, no network, and limits of memory and time (storage/sql_worker.cc).
#include "storage/sql_guard.h"

#include <algorithm>
#include <array>
#include <set>

namespace penstock::storage {
namespace {

constexpr uint64_t kNowhere = UINT64_MAX;

constexpr std::array<std::string_view, 3> kTableFunctions = {"generate_series", "range", "unnest"};
// Scalar functions that are refused, sorted.
constexpr std::array<std::string_view, 28> kRefused = {"add_parquet_key",
                                                       "array_resize",
                                                       "bitstring",
                                                       "current_connection_id",
                                                       "current_query",
                                                       "current_query_id",
                                                       "current_setting",
                                                       "currval",
                                                       "format",
                                                       "generate_series",
                                                       "getenv",
                                                       "getvariable",
                                                       "in_search_path",
                                                       "list_resize",
                                                       "lpad",
                                                       "nextval",
                                                       "printf",
                                                       "query",
                                                       "query_table",
                                                       "range",
                                                       "repeat",
                                                       "rpad",
                                                       "setseed",
                                                       "sleep_ms",
                                                       "stats",
                                                       "txid_current",
                                                       "which_secret",
                                                       "write_log"};
static_assert(std::is_sorted(kRefused.begin(), kRefused.end()));
constexpr std::array<std::string_view, 14> kRefusedBeginnings = {
    "duckdb_",      "get_block",      "has_",     "http_",     "inet_", "json_deserialize",
    "json_execute", "json_serialize", "parquet_", "penstock_", "pg_",   "pragma_",
    "read_",        "sqlite_"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool Holds(const std::vector<std::string>& names, const std::string& lower) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Lower(name) == lower; });
}

bool IsRefused(const std::string& lower) {
  return std::binary_search(kRefused.begin(), kRefused.end(), std::string_view(lower)) ||
         std::any_of(kRefusedBeginnings.begin(), kRefusedBeginnings.end(),
                     [&](std::string_view begin) { return lower.starts_with(begin); });
}

// A WITH name that cannot be taken for a file or a table of the system.
bool IsPlainName(const std::string& lower) {
  if (lower.empty() || lower.size() > 64) return false;
  for (const std::string_view begin : {"duckdb_", "pg_", "pragma_", "sqlite_", "information_"})
    if (lower.starts_with(begin)) return false;
  return std::all_of(lower.begin(), lower.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

uint64_t LocationOf(const Json& node) {
  const auto found = node.find("query_location");
  return found != node.end() && found->is_number_unsigned() ? found->get<uint64_t>() : kNowhere;
}

std::string Text(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Placed(std::string_view sql, uint64_t at, const std::string& message) {
  return at == kNowhere || at > sql.size() ? message : SqlPosition(sql, at) + ": " + message;
}

std::unexpected<Error> Refuse(std::string_view sql, uint64_t at, Code code, std::string message,
                              std::string_view fix) {
  Error error{.code = code, .message = Placed(sql, at, message)};
  error.At("/sql").Fix(fix);
  return std::unexpected(std::move(error));
}

// How many bytes from the beginning are whole characters of UTF-8 (RFC 3629).
size_t ValidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
    const uint8_t first = byte(0);
    const size_t size = first < 0x80                    ? 1
                        : first >= 0xC2 && first < 0xE0 ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
    if (size == 0 || at + size > text.size()) return at;
    for (size_t i = 1; i < size; ++i)
      if ((byte(i) & 0xC0) != 0x80) return at;
    const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool outside = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
    if (overlong || outside) return at;
    at += size;
  }
  return at;
}

class Walk {
 public:
  Walk(std::string_view sql, const SqlNames& names) : sql_(sql), names_(names) {}

  // Names of WITH, wherever they stand.
  Status Collect(const Json& tree) {
    return Each(tree, [this](const Json& node) -> Status {
      const auto map = node.find("cte_map");
      if (map == node.end() || !map->is_object()) return {};
      const auto entries = map->find("map");
      if (entries == map->end() || !entries->is_array()) return {};
      for (const Json& entry : *entries) {
        if (!entry.is_object()) continue;
        const std::string name = Lower(Text(entry, "key"));
        if (!IsPlainName(name))
          return Refuse(
              sql_, kNowhere, Code::kInvalidArgument,
              fmt::format("the name \"{}\" after WITH is not for queries here", name.substr(0, 64)),
              "a name of letters, digits and _");
        ctes_.insert(name);
      }
      return {};
    });
  }
  Status Check(const Json& tree) {
    return Each(tree, [this](const Json& node) { return Judge(node); });
  }

 private:
  template <typename Visit>
  Status Each(const Json& tree, Visit visit) {
    std::vector<const Json*> open = {&tree};
    while (!open.empty()) {
      const Json& node = *open.back();
      open.pop_back();
      if (node.is_object()) {
        TRY(visit(node));
        for (const auto& [key, value] : node.items())
          if (value.is_structured()) open.push_back(&value);
      } else if (node.is_array()) {
        for (const Json& value : node)
          if (value.is_structured()) open.push_back(&value);
      }
    }
    return {};
  }

  Status Judge(const Json& node) {
    const std::string type = Text(node, "type"), kind = Text(node, "class");
    if (type == "BASE_TABLE") return JudgeTable(node);
    if (type == "TABLE_FUNCTION") return JudgeTableFunction(node);
    if (type == "SHOW_REF") return JudgeShow(node);
    if (kind == "FUNCTION" || kind == "WINDOW") return JudgeFunction(node);
    if (kind == "PARAMETER")
      return Refuse(sql_, LocationOf(node), Code::kInvalidArgument,
                    "a parameter ($1 or ?) has no value here", "write the value itself");
    return {};
  }

  Status JudgeTable(const Json& node) {
    const std::string name = Text(node, "table_name"), lower = Lower(name);
    const std::string schema = Lower(Text(node, "schema_name"));
    const bool ours = Text(node, "catalog_name").empty() && (schema.empty() || schema == "main");
    if (ours && Holds(names_.readable, lower)) return {};
    if (ours && Holds(names_.hidden, lower))
      return Refuse(sql_, LocationOf(node), Code::kPermissionDenied,
                    fmt::format("the data product {} is not open to you", name),
                    fmt::format("ask for access: POST /api/v1/products/{}/access-requests", name));
    if (ours && schema.empty() && ctes_.contains(lower)) return {};
    std::string known;
    for (const std::string& readable : names_.readable)
      known += (known.empty() ? "" : ", ") + readable;
    const std::string nearest = Nearest(name, names_.readable);
    return Refuse(sql_, LocationOf(node), Code::kNotFound,
                  fmt::format("no such table: {}",
                              (schema.empty() ? "" : schema + ".") + name.substr(0, 100)),
                  !nearest.empty() ? "did you mean \"" + nearest + "\"?"
                  : known.empty()  ? "there is no data product that you may read"
                                   : "tables: " + known.substr(0, 500));
  }

  Status JudgeTableFunction(const Json& node) {
    const auto function = node.find("function");
    const std::string name = function != node.end() ? Lower(Text(*function, "function_name")) : "";
    if (std::binary_search(kTableFunctions.begin(), kTableFunctions.end(),
                           std::string_view(name))) {
      tables_.insert(&*function);
      return {};
    }
    return Refuse(sql_, LocationOf(node), Code::kPermissionDenied,
                  fmt::format("the table function {} is not for queries here", name.substr(0, 100)),
                  "tables are the data products; range, generate_series and unnest may be used");
  }

  Status JudgeShow(const Json& node) {
    const std::string type = Text(node, "show_type");
    if (node.contains("query") && (type == "DESCRIBE" || type == "SUMMARY")) return {};
    if (type == "SHOW_UNQUALIFIED" && Text(node, "table_name") == "\"tables\"") return {};
    return Refuse(sql_, LocationOf(node), Code::kPermissionDenied,
                  "this SHOW is not for queries here", "SHOW TABLES, DESCRIBE x or SUMMARIZE x");
  }

  Status JudgeFunction(const Json& node) {
    if (tables_.contains(&node)) return {};
    const std::string name = Lower(Text(node, "function_name"));
    if (!IsRefused(name)) return {};
    return Refuse(sql_, LocationOf(node), Code::kPermissionDenied,
                  fmt::format("the function {} is not for queries here", name.substr(0, 100)),
                  "it looks at the server, waits, or makes values without bound");
  }

  std::string_view sql_;
  const SqlNames& names_;
  std::set<std::string> ctes_;
  std::set<const Json*> tables_;  // Functions already judged as tables; their parent comes first.
};

}  // namespace

std::string SqlPosition(std::string_view sql, size_t at) {
  at = std::min(at, sql.size());
  const std::string_view before = sql.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n');
  const size_t begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  const std::string_view row = before.substr(begin);
  const auto column = std::count_if(row.begin(), row.end(), [](char c) {
    return (static_cast<uint8_t>(c) & 0xC0) != 0x80;  // Not the inside of a UTF-8 character.
  });
  return fmt::format("line {}, column {}", line + 1, column + 1);
}

Status CheckSqlText(std::string_view sql) {
  if (sql.size() > kSqlBytesMax)
    return Refuse(sql, kNowhere, Code::kInvalidArgument,
                  fmt::format("the query has {} bytes, more than {}", sql.size(), kSqlBytesMax),
                  "a shorter query");
  for (size_t i = 0; i < sql.size(); ++i) {
    const auto c = static_cast<uint8_t>(sql[i]);
    if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7F)
      return Refuse(sql, i, Code::kInvalidArgument,
                    fmt::format("the character U+{:04X} is not for SQL", c), "remove it");
  }
  const size_t valid = ValidUtf8(sql);
  if (valid < sql.size())
    return Refuse(sql, valid, Code::kInvalidArgument, "the text is not UTF-8",
                  "encode it as UTF-8");
  return {};
}

Status CheckSqlTree(const Json& tree, std::string_view sql, const SqlNames& names) {
  if (!tree.is_object()) return Internal("duckdb: the syntax tree is no object");
  if (BoolOr(tree, "error", true)) {
    std::string message = Text(tree, "error_message");
    if (message.empty()) message = "the query cannot be parsed";
    const std::string position = Text(tree, "position");
    const bool other = message.starts_with("Only SELECT");
    return Refuse(sql,
                  position.empty() || position.size() > 18 ||
                          position.find_first_not_of("0123456789") != std::string::npos
                      ? kNowhere
                      : std::stoull(position),
                  Code::kInvalidArgument, other ? "only SELECT may be asked here" : message,
                  other ? "a single SELECT, or WITH ... SELECT" : "");
  }
  const auto statements = tree.find("statements");
  const size_t count = statements != tree.end() && statements->is_array() ? statements->size() : 0;
  if (count != 1)
    return Refuse(
        sql, kNowhere, Code::kInvalidArgument,
        count == 0 ? "the query is empty" : fmt::format("{} statements in one query", count),
        "a single SELECT");
  Walk walk(sql, names);
  TRY(walk.Collect(*statements));
  return walk.Check(*statements);
}

Error SqlErrorOf(std::string_view duckdb_error, std::string_view sql, size_t shift) {
  const size_t brace = duckdb_error.find('{');
  Json said =
      brace == duckdb_error.npos ? Json() : Json::parse(duckdb_error.substr(brace), nullptr, false);
  std::string type, message(duckdb_error), position;
  if (said.is_object()) {
    type = Text(said, "exception_type");
    message = Text(said, "exception_message");
    position = Text(said, "position");
  }
  for (const std::string_view tail : {"\nDatabase is launched", "\n\nLINE ", "\n\nLaunch"})
    message = message.substr(0, message.find(tail));
  std::replace(message.begin(), message.end(), '\n', ' ');
  if (message.empty()) message = "the query failed, and DuckDB does not say why";
  Error error{.code = Code::kInvalidArgument, .message = message.substr(0, 2000)};
  error.At("/sql");
  if (type == "Out of Memory" || message.find("bad_alloc") != std::string::npos) {
    error.code = Code::kResourceExhausted;
    error.message = "the query needs more memory than it may have: " + message.substr(0, 200);
    error.Fix("ask for fewer rows at a time, or aggregate first");
    return error;
  }
  if (type == "INTERRUPT") error.code = Code::kDeadlineExceeded;
  if (type == "IO" || type == "Fatal" || type == "INTERNAL") error.code = Code::kUnavailable;
  if (type == "Permission") error.code = Code::kPermissionDenied;
  if (position.empty() || position.size() > 18 ||
      position.find_first_not_of("0123456789") != std::string::npos)
    return error;
  const uint64_t at = std::stoull(position);
  if (at >= shift && at - shift <= sql.size())
    error.message = SqlPosition(sql, at - shift) + ": " + error.message;
  return error;
}

}  // namespace penstock::storage
