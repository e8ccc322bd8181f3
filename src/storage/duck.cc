// Rows go to Parquet through a table function of our own: COPY (SELECT * FROM penstock_rows(7))
// asks it for 2048 rows at a time and we copy them from our columns, so that no table is filled and
// no row is held twice; DuckDB holds one row group. Answers are streamed for the same reason: a
// waveform's hour is millions of rows, and we fold them as they come.
//
// The C interface reports errors as text. A full disk and an exceeded memory limit are told from
// the rest by it, because the caller's next step differs.
#include "storage/duck.h"

#include <duckdb.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace penstock::storage {
namespace {

constexpr size_t kConnections = 4;
constexpr const char* kRowsFunction = "penstock_rows";
// Row groups of 122,880 rows: smaller ones double the bytes of a sample, because each has its own
// dictionary. Version 2 has the delta encoding that makes times and sequences almost free.
constexpr const char* kParquetOptions =
    "(FORMAT parquet, CODEC 'zstd', PARQUET_VERSION V2, ROW_GROUP_SIZE 122880, USE_TMP_FILE false)";

std::unexpected<Error> DuckError(const char* text, std::string_view sql) {
  std::string message = text != nullptr ? text : "no reason given";
  message = message.substr(0, message.find('\n'));
  Error error{.code = Code::kInternal, .message = fmt::format("duckdb: {}", message)};
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string::npos;
  };
  if (says("No space left") || says("File too large") || says("Disk quota")) {
    error.code = Code::kResourceExhausted;
    error.Fix("free space on this file system");
  } else if (says("Out of Memory")) {
    error.code = Code::kResourceExhausted;
    error.Fix("ask for less at a time");
  } else if (says("IO Error") || says("Invalid Input Error") || says("Invalid Error")) {
    error.code = Code::kUnavailable;
  } else {
    error.message += fmt::format(" in \"{}\"", sql.substr(0, 300));
  }
  return std::unexpected(std::move(error));
}

class Answer {
 public:
  ~Answer() { duckdb_destroy_result(&result); }
  duckdb_result result{};
};

template <typename T>
T* ColumnOf(duckdb_data_chunk chunk, size_t column) {
  return static_cast<T*>(duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, column)));
}

static_assert(sizeof(Time) == sizeof(int64_t));

}  // namespace

class Duck::Handles {
 public:
  ~Handles() {
    for (duckdb_connection& connection : idle) duckdb_disconnect(&connection);
    duckdb_close(&database);
  }
  duckdb_database database = nullptr;
  std::vector<duckdb_connection> idle;
};

// A source and how far into its present run we are.
struct Duck::Feed {
  RowSource& rows;
  std::optional<RowRun> run = {};
  size_t at = 0;
  std::optional<Error> error = {};

  // Fills up to one vector of rows; 0 at the end or after an error.
  size_t Fill(duckdb_data_chunk chunk) {
    const size_t capacity = duckdb_vector_size();
    size_t filled = 0;
    while (filled < capacity) {
      if (!run || at == run->size()) {
        auto next = rows.Next();
        if (!next) {
          error = next.error();
          return 0;
        }
        if (!*next) break;
        run = **next;
        at = 0;
      }
      const size_t count = std::min(capacity - filled, run->size() - at);
      CopyRows(chunk, filled, count);
      filled += count;
      at += count;
    }
    return filled;
  }

  void CopyRows(duckdb_data_chunk chunk, size_t to, size_t count) const {
    const duckdb_vector paths = duckdb_data_chunk_get_vector(chunk, 0);
    for (size_t i = 0; i < count; ++i)
      duckdb_vector_assign_string_element_len(paths, to + i, run->path.data(), run->path.size());
    std::memcpy(ColumnOf<int64_t>(chunk, 1) + to, run->time.data() + at, count * sizeof(int64_t));
    std::memcpy(ColumnOf<int64_t>(chunk, 2) + to, run->ingest_time.data() + at,
                count * sizeof(int64_t));
    std::memcpy(ColumnOf<double>(chunk, 3) + to, run->value.data() + at, count * sizeof(double));
    std::memcpy(ColumnOf<uint32_t>(chunk, 4) + to, run->quality.data() + at,
                count * sizeof(uint32_t));
    std::memcpy(ColumnOf<uint64_t>(chunk, 5) + to, run->sequence.data() + at,
                count * sizeof(uint64_t));
  }

  // The table function's two callbacks.
  static void Bind(duckdb_bind_info info) {
    auto* duck = static_cast<Duck*>(duckdb_bind_get_extra_info(info));
    duckdb_value number = duckdb_bind_get_parameter(info, 0);
    const int64_t id = duckdb_get_int64(number);
    duckdb_destroy_value(&number);
    {
      const std::lock_guard lock(duck->mutex_);
      const auto found = duck->feeds_.find(id);
      if (found == duck->feeds_.end()) return duckdb_bind_set_error(info, "no such source of rows");
      duckdb_bind_set_bind_data(info, found->second, nullptr);
    }
    const std::pair<const char*, duckdb_type> columns[] = {
        {"point", DUCKDB_TYPE_VARCHAR},
        {"time", DUCKDB_TYPE_TIMESTAMP_TZ},
        {"ingest_time", DUCKDB_TYPE_TIMESTAMP_TZ},
        {"value", DUCKDB_TYPE_DOUBLE},
        {"quality", DUCKDB_TYPE_UINTEGER},
        {"sequence", DUCKDB_TYPE_BIGINT}};
    for (const auto& [name, kind] : columns) {
      duckdb_logical_type type = duckdb_create_logical_type(kind);
      duckdb_bind_add_result_column(info, name, type);
      duckdb_destroy_logical_type(&type);
    }
  }
  static void Produce(duckdb_function_info info, duckdb_data_chunk chunk) {
    auto* feed = static_cast<Feed*>(duckdb_function_get_bind_data(info));
    const size_t filled = feed->Fill(chunk);
    if (feed->error) return duckdb_function_set_error(info, feed->error->message.c_str());
    duckdb_data_chunk_set_size(chunk, filled);
  }
};

// A connection for the length of one question.
class Duck::Lease {
 public:
  explicit Lease(Duck& duck) : duck_(duck) {
    std::unique_lock lock(duck.mutex_);
    duck.free_.wait(lock, [&] { return !duck.handles_->idle.empty(); });
    connection_ = duck.handles_->idle.back();
    duck.handles_->idle.pop_back();
  }
  ~Lease() {
    {
      const std::lock_guard lock(duck_.mutex_);
      duck_.handles_->idle.push_back(connection_);
    }
    duck_.free_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  duckdb_connection get() const { return connection_; }

 private:
  Duck& duck_;
  duckdb_connection connection_;
};

Duck::Duck(Options options) : options_(std::move(options)) {}
Duck::~Duck() = default;

Result<std::unique_ptr<Duck>> Duck::Open(const Options& options) {
  return std::unique_ptr<Duck>(new Duck(options));
}

Status Duck::Ready() {
  const std::lock_guard lock(opening_);
  if (handles_ == nullptr) {
    ASSIGN_OR_RETURN(handles_, OpenHandles());
  }
  return {};
}

Result<std::unique_ptr<Duck::Handles>> Duck::OpenHandles() {
  duckdb_config config = nullptr;
  CHECK(duckdb_create_config(&config) == DuckDBSuccess);
  const std::pair<const char*, std::string> settings[] = {
      {"memory_limit", fmt::format("{}MB", options_.memory_limit_mb)},
      {"threads", std::to_string(options_.threads)},
      {"temp_directory", options_.temporary_folder},
      {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},
      {"allocator_flush_threshold", "8MB"},  // Give memory back after each piece of work.
      {"allocator_bulk_deallocation_flush_threshold", "8MB"},
      {"enable_external_file_cache", "false"},  // The kernel caches files already.
  };
  for (const auto& [name, value] : settings) {
    if (duckdb_set_config(config, name, value.c_str()) != DuckDBSuccess) {
      duckdb_destroy_config(&config);
      return InvalidArgument("duckdb refuses {} = {}", name, value);
    }
  }
  auto handles = std::make_unique<Handles>();
  char* reason = nullptr;
  const duckdb_state opened = duckdb_open_ext(nullptr, &handles->database, config, &reason);
  duckdb_destroy_config(&config);
  if (opened != DuckDBSuccess) {
    auto error = DuckError(reason, "open");
    duckdb_free(reason);
    return error;
  }
  for (size_t i = 0; i < kConnections; ++i) {
    duckdb_connection connection = nullptr;
    if (duckdb_connect(handles->database, &connection) != DuckDBSuccess)
      return Unavailable("duckdb: cannot connect");
    handles->idle.push_back(connection);
  }
  duckdb_table_function rows = duckdb_create_table_function();
  duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
  duckdb_table_function_set_name(rows, kRowsFunction);
  duckdb_table_function_add_parameter(rows, number);
  duckdb_table_function_set_extra_info(rows, this, nullptr);
  duckdb_table_function_set_bind(rows, &Feed::Bind);
  duckdb_table_function_set_init(rows, [](duckdb_init_info) {});
  duckdb_table_function_set_function(rows, &Feed::Produce);
  const duckdb_state registered = duckdb_register_table_function(handles->idle.front(), rows);
  duckdb_destroy_logical_type(&number);
  duckdb_destroy_table_function(&rows);
  if (registered != DuckDBSuccess) return Internal("duckdb: cannot register {}", kRowsFunction);
  // Our files never change once written.
  if (duckdb_query(handles->idle.front(), "SET GLOBAL parquet_metadata_cache = true", nullptr) !=
      DuckDBSuccess)
    return Internal("duckdb: cannot keep what it knows of files");
  return handles;
}

const void* Duck::Chunk::Data(size_t column) const {
  return ColumnOf<void>(static_cast<duckdb_data_chunk>(handle_), column);
}

std::string_view Duck::Chunk::Text(size_t column, size_t row) const {
  auto* text = ColumnOf<duckdb_string_t>(static_cast<duckdb_data_chunk>(handle_), column) + row;
  return {duckdb_string_t_data(text), duckdb_string_t_length(*text)};
}

struct Duck::Cursor::State {
  explicit State(Duck& duck) : lease(duck) {}
  ~State() {
    duckdb_destroy_data_chunk(&chunk.handle);
    duckdb_destroy_result(&result);
    duckdb_destroy_pending(&pending);
    duckdb_destroy_prepare(&statement);
  }
  Lease lease;
  std::string sql;
  duckdb_prepared_statement statement = nullptr;
  duckdb_pending_result pending = nullptr;
  duckdb_result result{};
  struct {
    duckdb_data_chunk handle = nullptr;
    Chunk view;
  } chunk;
};

Duck::Cursor::Cursor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Duck::Cursor::~Cursor() = default;

Result<std::unique_ptr<Duck::Cursor>> Duck::Ask(const std::string& sql) {
  TRY(Ready());
  auto state = std::make_unique<Cursor::State>(*this);
  state->sql = sql;
  if (duckdb_prepare(state->lease.get(), sql.c_str(), &state->statement) != DuckDBSuccess)
    return DuckError(duckdb_prepare_error(state->statement), sql);
  if (duckdb_pending_prepared_streaming(state->statement, &state->pending) != DuckDBSuccess)
    return DuckError(duckdb_pending_error(state->pending), sql);
  if (duckdb_execute_pending(state->pending, &state->result) != DuckDBSuccess)
    return DuckError(duckdb_result_error(&state->result), sql);
  return std::unique_ptr<Cursor>(new Cursor(std::move(state)));
}

Result<const Duck::Chunk*> Duck::Cursor::Next() {
  auto& [handle, view] = state_->chunk;
  do {
    duckdb_destroy_data_chunk(&handle);
    handle = duckdb_fetch_chunk(state_->result);
    view.handle_ = handle;
    view.size_ = handle != nullptr ? duckdb_data_chunk_get_size(handle) : 0;
  } while (handle != nullptr && view.size_ == 0);
  if (handle != nullptr) return &view;
  // A stream that breaks off says so only here.
  const char* error = duckdb_result_error(&state_->result);
  if (error != nullptr && *error != '\0') return DuckError(error, state_->sql);
  return nullptr;
}

Status Duck::Query(const std::string& sql, const std::function<bool(const Chunk&)>& visit) {
  ASSIGN_OR_RETURN(const auto cursor, Ask(sql));
  while (true) {
    ASSIGN_OR_RETURN(const Chunk* const chunk, cursor->Next());
    if (chunk == nullptr || !visit(*chunk)) return {};
  }
}

Status Duck::Run(const std::string& sql) {
  TRY(Ready());
  const Lease lease(*this);
  Answer answer;
  if (duckdb_query(lease.get(), sql.c_str(), &answer.result) != DuckDBSuccess)
    return DuckError(duckdb_result_error(&answer.result), sql);
  return {};
}

Status Duck::Write(RowSource& rows, const std::string& file) {
  Feed feed{rows};
  int64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_feed_++;
    feeds_[id] = &feed;
  }
  Status status = Run(fmt::format("COPY (SELECT * FROM {}({})) TO {} {}", kRowsFunction, id,
                                  SqlText(file), kParquetOptions));
  {
    const std::lock_guard lock(mutex_);
    feeds_.erase(id);
  }
  if (status) return {};
  unlink(file.c_str());
  if (feed.error) return std::unexpected(*feed.error);
  status.error().Where(file);
  return status;
}

std::string SqlText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  return quoted + "'";
}

std::string SqlTime(Time time) { return fmt::format("TIMESTAMPTZ '{}'", FormatTime(time)); }

}  // namespace penstock::storage
