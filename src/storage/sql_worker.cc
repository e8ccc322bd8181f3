// The order matters. The tables are made while files can still be opened; then DuckDB's own doors
// are shut (only the given files, no extension, no change of settings) and the process's (memory,
// time, network, programs); only then is the question looked at. It is judged on its syntax tree,
// prepared, and must be a SELECT there too.
//
// Rows are written as they come, 64 KiB at a time, into a pipe that holds no more than that: who
// reads slowly slows the query, and nothing is held as a whole.
#include "storage/sql_worker.h"

#include <duckdb.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "storage/duck.h"
#include "storage/sql_cells.h"
#include "storage/sql_guard.h"
#include "storage/sql_walls.h"

namespace penstock::storage {
namespace {

constexpr size_t kJobBytesMax = 64 << 20;
constexpr size_t kBlock = 64 << 10;
constexpr uint64_t kMebibyte = 1 << 20;

Result<std::string> ReadAll(int in) {
  std::string text;
  while (true) {
    char buffer[64 << 10];
    const ssize_t count = read(in, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, "cannot read the job");
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kJobBytesMax) return InvalidArgument("the job is too large");
  }
}

class Frames {
 public:
  explicit Frames(int out) : out_(out) {}
  // False when nobody reads any more.
  bool Write(SqlFrame kind, std::string_view payload) {
    const std::string head = SqlFrameHead(kind, payload.size());
    return All(head) && All(payload);
  }

 private:
  bool All(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = write(out_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  int out_;
};

std::string SqlTexts(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ",") + SqlText(text);
  return list;
}

std::string SqlName(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + "\"";
}

// penstock_private(point, value): the value as the asker may see it.
void Private(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  const auto& transform = *static_cast<PrivateNumber*>(duckdb_scalar_function_get_extra_info(info));
  const size_t count = duckdb_data_chunk_get_size(input);
  const duckdb_vector points = duckdb_data_chunk_get_vector(input, 0);
  const duckdb_vector values = duckdb_data_chunk_get_vector(input, 1);
  auto* point = static_cast<duckdb_string_t*>(duckdb_vector_get_data(points));
  const auto* value = static_cast<const double*>(duckdb_vector_get_data(values));
  uint64_t* valid = duckdb_vector_get_validity(values);
  auto* to = static_cast<double*>(duckdb_vector_get_data(output));
  duckdb_vector_ensure_validity_writable(output);
  uint64_t* to_valid = duckdb_vector_get_validity(output);
  for (size_t i = 0; i < count; ++i) {
    std::optional<double> shown;
    if (valid == nullptr || duckdb_validity_row_is_valid(valid, i))
      shown =
          transform({duckdb_string_t_data(&point[i]), duckdb_string_t_length(point[i])}, value[i]);
    to[i] = shown.value_or(0);
    if (!shown) duckdb_validity_set_row_invalid(to_valid, i);
  }
}

class Question {
 public:
  Question(const SqlJob& job, Frames& frames) : job_(job), frames_(frames) {}
  ~Question() {
    duckdb_destroy_data_chunk(&chunk_);
    duckdb_destroy_result(&result_);
    duckdb_destroy_pending(&pending_);
    duckdb_destroy_prepare(&statement_);
    duckdb_disconnect(&connection_);
    duckdb_close(&database_);
  }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  Status Open(PrivateNumber* transform);
  Status MakeTables();
  Status ShutDoors();
  Status Judge();
  Status Answer();

 private:
  Status Run(const std::string& sql);
  Result<std::string> One(const char* sql, std::string_view parameter);
  Status Prepare(const std::string& sql, size_t shift);
  std::vector<SqlColumn> Columns() const;
  Status CastWhatIsNotPlain(std::vector<SqlColumn>& columns);
  Status AnswerRows(std::vector<SqlColumn> columns);
  Status AnswerParquet();
  Result<bool> Fetch();  // False at the end.
  Status Finish(uint64_t rows, bool truncated);

  const SqlJob& job_;
  Frames& frames_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::string canonical_;  // The question as its syntax tree says it: no comment, no semicolon.
  size_t shift_ = 0;
  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
  duckdb_prepared_statement statement_ = nullptr;
  duckdb_pending_result pending_ = nullptr;
  duckdb_result result_{};
  duckdb_data_chunk chunk_ = nullptr;
};

Status Question::Open(PrivateNumber* transform) {
  duckdb_config config = nullptr;
  if (duckdb_create_config(&config) != DuckDBSuccess) return Internal("duckdb: no configuration");
  const std::pair<const char*, std::string> settings[] = {
      {"memory_limit", fmt::format("{}MB", job_.memory_mb)},
      {"threads", std::to_string(job_.threads)},
      {"temp_directory", ""},
      {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},
      {"allow_community_extensions", "false"},
      {"enable_external_file_cache", "false"},
      {"errors_as_json", "true"}};
  for (const auto& [name, value] : settings)
    if (duckdb_set_config(config, name, value.c_str()) != DuckDBSuccess) {
      duckdb_destroy_config(&config);
      return Internal("duckdb refuses {} = {}", name, value);
    }
  char* reason = nullptr;
  const duckdb_state opened = duckdb_open_ext(nullptr, &database_, config, &reason);
  duckdb_destroy_config(&config);
  if (opened != DuckDBSuccess) {
    const std::string text = reason != nullptr ? reason : "no reason given";
    duckdb_free(reason);
    return Unavailable("duckdb: {}", text);
  }
  if (duckdb_connect(database_, &connection_) != DuckDBSuccess)
    return Unavailable("duckdb: cannot connect");
  TRY(Run("SET TimeZone = 'UTC'"));
  if (transform == nullptr || !*transform) return {};
  duckdb_scalar_function function = duckdb_create_scalar_function();
  duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
  duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
  duckdb_scalar_function_set_name(function, "penstock_private");
  duckdb_scalar_function_add_parameter(function, text);
  duckdb_scalar_function_add_parameter(function, number);
  duckdb_scalar_function_set_return_type(function, number);
  duckdb_scalar_function_set_extra_info(function, transform, nullptr);
  duckdb_scalar_function_set_function(function, Private);
  const duckdb_state registered = duckdb_register_scalar_function(connection_, function);
  duckdb_destroy_logical_type(&text);
  duckdb_destroy_logical_type(&number);
  duckdb_destroy_scalar_function(&function);
  if (registered != DuckDBSuccess) return Internal("duckdb: cannot register a function");
  return {};
}

Status Question::Run(const std::string& sql) {
  duckdb_result result{};
  const duckdb_state state = duckdb_query(connection_, sql.c_str(), &result);
  Status status;
  if (state != DuckDBSuccess) {
    const char* text = duckdb_result_error(&result);
    status = std::unexpected(SqlErrorOf(text != nullptr ? text : "no reason given", ""));
    status.error().code = Code::kUnavailable;
  }
  duckdb_destroy_result(&result);
  return status;
}

// The single text that a statement with one parameter answers.
Result<std::string> Question::One(const char* sql, std::string_view parameter) {
  duckdb_prepared_statement statement = nullptr;
  duckdb_result result{};
  const char* error = nullptr;
  if (duckdb_prepare(connection_, sql, &statement) != DuckDBSuccess)
    error = duckdb_prepare_error(statement);
  else if (duckdb_bind_varchar_length(statement, 1, parameter.data(), parameter.size()) !=
           DuckDBSuccess)
    error = "the text cannot be bound";
  else if (duckdb_execute_prepared(statement, &result) != DuckDBSuccess)
    error = duckdb_result_error(&result);
  duckdb_data_chunk chunk = error == nullptr ? duckdb_fetch_chunk(result) : nullptr;
  Result<std::string> answer =
      std::unexpected(SqlErrorOf(error != nullptr ? error : "no answer from duckdb", ""));
  if (chunk != nullptr && duckdb_data_chunk_get_size(chunk) == 1) {
    auto* text = static_cast<duckdb_string_t*>(
        duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0)));
    answer = std::string(duckdb_string_t_data(text), duckdb_string_t_length(*text));
  }
  duckdb_destroy_data_chunk(&chunk);
  duckdb_destroy_result(&result);
  duckdb_destroy_prepare(&statement);
  return answer;
}

// The rows of a table as the asker may see them. `text`: the files have a column of that name,
// which personal values lose as well.
std::string SelectOf(const SqlTable& table, bool text) {
  if (table.files.empty())
    return "SELECT NULL::VARCHAR AS point, NULL::TIMESTAMPTZ AS time, NULL::TIMESTAMPTZ AS "
           "ingest_time, NULL::DOUBLE AS value, NULL::UINTEGER AS quality, NULL::BIGINT AS "
           "sequence, NULL::VARCHAR AS text WHERE false";
  std::string replaced;
  if (!table.private_ones.empty()) {
    const std::string points = SqlTexts(table.private_ones);
    replaced = fmt::format(
        " REPLACE (CASE WHEN point IN ({0}) THEN penstock_private(point, value) ELSE value END AS "
        "value{1})",
        points,
        text ? fmt::format(", CASE WHEN point IN ({}) THEN NULL ELSE text END AS text", points)
             : "");
  }
  std::string select = fmt::format("SELECT *{} FROM read_parquet([{}], union_by_name = true)",
                                   replaced, SqlTexts(table.files));
  if (!table.without.empty())
    select += fmt::format(" WHERE point NOT IN ({})", SqlTexts(table.without));
  return select;
}

Status Question::MakeTables() {
  for (const SqlTable& table : job_.tables) {
    if (table.names.empty()) return InvalidArgument("a table without a name");
    for (const std::string& name : table.names) {
      const auto make = [&](bool text) {
        return Run(fmt::format("CREATE VIEW {} AS {}", SqlName(name), SelectOf(table, text)));
      };
      // Files of an earlier version have no texts.
      if (!make(true)) TRY(make(false));
    }
  }
  return {};
}

Status Question::ShutDoors() {
  std::vector<std::string> files;
  for (const SqlTable& table : job_.tables)
    files.insert(files.end(), table.files.begin(), table.files.end());
  if (!job_.output.empty()) files.push_back(job_.output);
  TRY(Run(fmt::format("SET allowed_paths = [{}]", SqlTexts(files))));
  TRY(Run("SET enable_external_access = false"));
  TRY(Run("SET lock_configuration = true"));
  return ShutIn({.memory_bytes = (2 * job_.memory_mb + 256) * kMebibyte,
                 .cpu_seconds = job_.cpu_seconds,
                 .file_bytes = job_.output.empty() ? 0 : job_.bytes_max});
}

Status Question::Judge() {
  if (job_.trusted) {
    canonical_ = job_.sql;
    return {};
  }
  ASSIGN_OR_RETURN(
      const std::string text,
      One("SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true)",
          job_.sql));
  SqlNames names{.readable = {}, .hidden = job_.hidden};
  for (const SqlTable& table : job_.tables)
    names.readable.insert(names.readable.end(), table.names.begin(), table.names.end());
  TRY(CheckSqlTree(Json::parse(text, nullptr, false), job_.sql, names));
  ASSIGN_OR_RETURN(const std::string whole,
                   One("SELECT json_serialize_sql($1::VARCHAR)", job_.sql));
  ASSIGN_OR_RETURN(canonical_, One("SELECT json_deserialize_sql($1::JSON)", whole));
  return {};
}

Status Question::Prepare(const std::string& sql, size_t shift) {
  shift_ = shift;
  duckdb_destroy_prepare(&statement_);
  if (duckdb_prepare(connection_, sql.c_str(), &statement_) != DuckDBSuccess) {
    const char* text = duckdb_prepare_error(statement_);
    return std::unexpected(SqlErrorOf(text != nullptr ? text : "no reason given", job_.sql, shift));
  }
  return {};
}

std::vector<SqlColumn> Question::Columns() const {
  std::vector<SqlColumn> columns;
  const size_t count = duckdb_prepared_statement_column_count(statement_);
  for (size_t i = 0; i < count; ++i) {
    SqlColumn column;
    const char* name = duckdb_prepared_statement_column_name(statement_, i);
    if (name != nullptr) column.name = name;
    duckdb_free(const_cast<char*>(name));
    column.id = duckdb_prepared_statement_column_type(statement_, i);
    columns.push_back(std::move(column));
  }
  return columns;
}

std::string_view TypeText(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_BOOLEAN:
      return "boolean";
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
      return "double";
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return "timestamp";
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
      return "integer";
    default:
      return "text";
  }
}

// Decimals, lists, structures, intervals and their like go out as DuckDB's text of them.
Status Question::CastWhatIsNotPlain(std::vector<SqlColumn>& columns) {
  if (std::all_of(columns.begin(), columns.end(),
                  [](const SqlColumn& column) { return IsPlainType(column.id); }))
    return {};
  std::string list, names;
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool decimal = columns[i].id == DUCKDB_TYPE_DECIMAL ||
                         columns[i].id == DUCKDB_TYPE_HUGEINT ||
                         columns[i].id == DUCKDB_TYPE_UHUGEINT;
    const char* cast = IsPlainType(columns[i].id) ? "" : decimal ? "::DOUBLE" : "::VARCHAR";
    list += fmt::format("{}c{}{}", i > 0 ? "," : "", i, cast);
    names += fmt::format("{}c{}", i > 0 ? "," : "", i);
  }
  TRY(Prepare(fmt::format("SELECT {} FROM ({}\n) AS t({})", list, canonical_, names),
              SIZE_MAX / 2));
  const std::vector<SqlColumn> cast = Columns();
  for (size_t i = 0; i < columns.size() && i < cast.size(); ++i) columns[i].id = cast[i].id;
  return {};
}

Status Question::Answer() {
  TRY(Prepare(job_.sql, 0));
  if (duckdb_prepared_statement_type(statement_) != DUCKDB_STATEMENT_TYPE_SELECT)
    return InvalidArgument("only SELECT may be asked here");
  if (job_.format == SqlFormat::kParquet) return AnswerParquet();
  std::vector<SqlColumn> columns = Columns();
  TRY(CastWhatIsNotPlain(columns));
  for (SqlColumn& column : columns) column.type = TypeText(column.id);
  return AnswerRows(std::move(columns));
}

Result<bool> Question::Fetch() {
  do {
    duckdb_destroy_data_chunk(&chunk_);
    chunk_ = duckdb_fetch_chunk(result_);
  } while (chunk_ != nullptr && duckdb_data_chunk_get_size(chunk_) == 0);
  if (chunk_ != nullptr) return true;
  const char* error = duckdb_result_error(&result_);
  if (error != nullptr && *error != '\0')
    return std::unexpected(SqlErrorOf(error, job_.sql, shift_));
  return false;
}

Status Question::AnswerRows(std::vector<SqlColumn> columns) {
  if (duckdb_pending_prepared_streaming(statement_, &pending_) != DuckDBSuccess)
    return std::unexpected(SqlErrorOf(duckdb_pending_error(pending_), job_.sql, shift_));
  if (duckdb_execute_pending(pending_, &result_) != DuckDBSuccess)
    return std::unexpected(SqlErrorOf(duckdb_result_error(&result_), job_.sql, shift_));
  SqlCells cells(job_.format, std::move(columns));
  std::string block = cells.Begin();
  uint64_t rows = 0, bytes = 0;
  bool truncated = false;
  while (!truncated) {
    ASSIGN_OR_RETURN(const bool more, Fetch());
    if (!more) break;
    const uint64_t size = duckdb_data_chunk_get_size(chunk_);
    const uint64_t count = std::min(size, job_.rows_max - rows);
    cells.Append(chunk_, count, block);
    rows += count;
    truncated = count < size || bytes + block.size() > job_.bytes_max;
    if (block.size() < kBlock) continue;
    bytes += block.size();
    for (std::string_view rest = block; !rest.empty();) {
      const std::string_view part = rest.substr(0, kSqlFrameMax);
      if (!frames_.Write(SqlFrame::kData, part)) return Cancelled("nobody reads");
      rest.remove_prefix(part.size());
    }
    block.clear();
  }
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  block += cells.End(rows, truncated, std::chrono::duration<double, std::milli>(elapsed).count());
  for (std::string_view rest = block; !rest.empty();) {
    const std::string_view part = rest.substr(0, kSqlFrameMax);
    if (!frames_.Write(SqlFrame::kData, part)) return Cancelled("nobody reads");
    rest.remove_prefix(part.size());
  }
  return Finish(rows, truncated);
}

Status Question::AnswerParquet() {
  const std::string limited =
      job_.rows_max == UINT64_MAX
          ? canonical_
          : fmt::format("SELECT * FROM ({}\n) LIMIT {}", canonical_, job_.rows_max);
  TRY(Prepare(fmt::format("COPY ({}\n) TO {} (FORMAT parquet, CODEC 'zstd', PARQUET_VERSION V2, "
                          "ROW_GROUP_SIZE 122880, USE_TMP_FILE false)",
                          limited, SqlText(job_.output)),
              SIZE_MAX / 2));
  if (duckdb_execute_prepared(statement_, &result_) != DuckDBSuccess)
    return std::unexpected(SqlErrorOf(duckdb_result_error(&result_), job_.sql, shift_));
  ASSIGN_OR_RETURN(const bool any, Fetch());
  const int64_t rows = any ? *static_cast<const int64_t*>(
                                 duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk_, 0)))
                           : 0;
  return Finish(static_cast<uint64_t>(rows), static_cast<uint64_t>(rows) == job_.rows_max);
}

Status Question::Finish(uint64_t rows, bool truncated) {
  const Json end = {{"rows", rows}, {"truncated", truncated}};
  if (!frames_.Write(SqlFrame::kEnd, end.dump())) return Cancelled("nobody reads");
  return {};
}

Status AnswerJob(int in, Frames& frames, const MakePrivateNumber& make_private) {
  ASSIGN_OR_RETURN(const std::string text, ReadAll(in));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return InvalidArgument("the job is no JSON object");
  ASSIGN_OR_RETURN(const SqlJob job, SqlJob::FromJson(json));
  PrivateNumber transform;
  if (!job.privacy.empty()) {
    ASSIGN_OR_RETURN(transform, make_private(job.privacy));
  }
  Question question(job, frames);
  TRY(question.Open(&transform));
  TRY(question.MakeTables());
  TRY(question.ShutDoors());
  TRY(question.Judge());
  return question.Answer();
}

}  // namespace

int RunSqlWorker(int in, int out, const MakePrivateNumber& make_private) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // Writing beyond the bound fails instead.
  setpriority(PRIO_PROCESS, 0, 5);
  Frames frames(out);
  if (const Status answered = AnswerJob(in, frames, make_private); !answered)
    frames.Write(
        SqlFrame::kError,
        ErrorToJson(answered.error()).dump(-1, ' ', false, Json::error_handler_t::replace));
  return 0;
}

}  // namespace penstock::storage
