// SQLite in WAL mode with synchronous=FULL: a transaction that returned is on the disk. One
// connection, because writers would wait for each other anyway and the readers' questions are
// short; prepared statements are kept by their text, since the rooms ask the same few dozen
// questions again and again.
//
// The mutex is recursive so that Run and Query inside a Transaction's work, on the same thread,
// belong to it, while other threads wait. Transactions nest by savepoints: an inner one that fails
// undoes only itself, and the outer one decides what to make of the error.
#include "storage/records.h"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <list>
#include <mutex>
#include <unordered_map>

#include "base/check.h"
#include "base/log.h"
#include "storage/postgres_records.h"

namespace penstock::storage {
namespace {

constexpr size_t kStatementsKept = 256;
constexpr int kBusyTimeoutMs = 5000;
constexpr size_t kRowsMax =
    5'000'000;  // A query beyond is a mistake; it would not fit into memory.

Code CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return Code::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return Code::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Code::kPermissionDenied;
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      return Code::kInvalidArgument;
    case SQLITE_CONSTRAINT:
      return sqlite_code == SQLITE_CONSTRAINT_UNIQUE ||
                     sqlite_code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                     sqlite_code == SQLITE_CONSTRAINT_ROWID
                 ? Code::kAlreadyExists
                 : Code::kFailedPrecondition;
    default:
      return Code::kInternal;
  }
}

class Statement {
 public:
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  sqlite3_stmt* get() const { return handle_; }

 private:
  sqlite3_stmt* handle_;
};

int Bind(sqlite3_stmt* statement, int at, const SqlValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return sqlite3_bind_int64(statement, at, *integer);
  if (const auto* real = std::get_if<double>(&value))
    return sqlite3_bind_double(statement, at, *real);
  if (const auto* text = std::get_if<std::string>(&value))
    return sqlite3_bind_text64(statement, at, text->data(), text->size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  if (const auto* blob = std::get_if<Bytes>(&value))
    return blob->empty()
               ? sqlite3_bind_zeroblob(statement, at, 0)
               : sqlite3_bind_blob64(statement, at, blob->data(), blob->size(), SQLITE_STATIC);
  return sqlite3_bind_null(statement, at);
}

SqlValue ColumnValue(sqlite3_stmt* statement, int column) {
  const auto size = [&] { return static_cast<size_t>(sqlite3_column_bytes(statement, column)); };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return static_cast<int64_t>(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, size());
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const uint8_t*>(sqlite3_column_blob(statement, column));
      return blob == nullptr ? Bytes() : Bytes(blob, blob + size());
    }
    default:
      return nullptr;
  }
}

class SqliteRecords final : public Records {
 public:
  ~SqliteRecords() override {
    statements_.clear();
    kept_.clear();
    sqlite3_close(connection_);
  }

  Status Connect(const std::string& file, bool read_only) {
    file_ = file;
    const int flags =
        (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(file.c_str(), &connection_, flags, nullptr);
    if (code != SQLITE_OK) return Failed(code, "cannot open");
    // SQLite takes a database that it cannot open for writing for reading, without a word.
    if (!read_only && sqlite3_db_readonly(connection_, "main") == 1) {
      Error error{.code = Code::kUnavailable, .message = "cannot open for writing", .where = file_};
      return std::unexpected(std::move(error.Fix("see whether the file may be written")));
    }
    sqlite3_busy_timeout(connection_, kBusyTimeoutMs);
    TRY(Execute("PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-4096"));
    if (read_only) return Execute("PRAGMA query_only=ON");
    // And so its log; a transaction tells.
    return Execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;"
        "CREATE TABLE IF NOT EXISTS schema_versions("
        "room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;"
        "BEGIN IMMEDIATE; COMMIT");
  }

  Result<int64_t> Run(std::string_view sql, std::vector<SqlValue> parameters) override;
  Result<std::vector<SqlRow>> Query(std::string_view sql,
                                    std::vector<SqlValue> parameters) override;
  Status Transaction(const std::function<Status()>& work) override;

 private:
  // SQLite's own message, with the statement that it speaks of.
  std::unexpected<Error> Failed(int code, std::string_view what) const {
    const char* text = connection_ != nullptr ? sqlite3_errmsg(connection_) : sqlite3_errstr(code);
    Error error{.code = CodeOf(code), .message = fmt::format("{}: {}", what, text), .where = file_};
    if (error.code == Code::kResourceExhausted) error.fix = "free space on this file system";
    return std::unexpected(std::move(error));
  }

  Status Execute(std::string_view sql) {
    const int code = sqlite3_exec(connection_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK)
      return Failed(code, fmt::format("cannot run \"{}\"", sql.substr(0, 200)));
    return {};
  }

  Status RunScript(std::string_view sql) override { return Execute(sql); }
  std::string place() const override { return file_; }
  Result<sqlite3_stmt*> Prepare(std::string_view sql);
  Result<std::vector<SqlRow>> Step(std::string_view sql, const std::vector<SqlValue>& parameters);

  std::string file_;
  sqlite3* connection_ = nullptr;
  std::recursive_mutex mutex_;
  int depth_ = 0;                                      // Of nested transactions.
  std::list<std::pair<std::string, Statement>> kept_;  // Most recently used first.
  std::unordered_map<std::string_view, decltype(kept_)::iterator> statements_;
};

Result<sqlite3_stmt*> SqliteRecords::Prepare(std::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) {
    kept_.splice(kept_.begin(), kept_, found->second);
    return kept_.front().second.get();
  }
  sqlite3_stmt* handle = nullptr;
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, &rest);
  if (code != SQLITE_OK)
    return Failed(code, fmt::format("cannot prepare \"{}\"", sql.substr(0, 200)));
  const std::string_view behind(rest, sql.data() + sql.size());
  if (handle == nullptr || behind.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    sqlite3_finalize(handle);
    return InvalidArgument("one statement at a time: \"{}\"", sql.substr(0, 200));
  }
  kept_.emplace_front(std::piecewise_construct, std::forward_as_tuple(sql),
                      std::forward_as_tuple(handle));
  statements_[kept_.front().first] = kept_.begin();
  if (kept_.size() > kStatementsKept) {
    statements_.erase(kept_.back().first);
    kept_.pop_back();
  }
  return handle;
}

Result<std::vector<SqlRow>> SqliteRecords::Step(std::string_view sql,
                                                const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(sqlite3_stmt* const statement, Prepare(sql));
  // Bound values are borrowed from `parameters`; none may be left when this returns.
  const std::unique_ptr<sqlite3_stmt, void (*)(sqlite3_stmt*)> used(statement,
                                                                    [](sqlite3_stmt* done) {
                                                                      sqlite3_reset(done);
                                                                      sqlite3_clear_bindings(done);
                                                                    });
  const int expected = sqlite3_bind_parameter_count(statement);
  if (static_cast<size_t>(expected) != parameters.size())
    return InvalidArgument("{} parameters for {} in \"{}\"", parameters.size(), expected,
                           sql.substr(0, 200));
  for (int i = 0; i < expected; ++i) {
    const int code = Bind(statement, i + 1, parameters[static_cast<size_t>(i)]);
    if (code != SQLITE_OK) return Failed(code, fmt::format("cannot bind parameter {}", i + 1));
  }
  std::vector<SqlRow> rows;
  const int columns = sqlite3_column_count(statement);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (rows.size() == kRowsMax)
      return ResourceExhausted("more than {} rows: \"{}\"", kRowsMax, sql.substr(0, 200));
    std::vector<SqlValue> values;
    values.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) values.push_back(ColumnValue(statement, i));
    rows.emplace_back(std::move(values));
  }
  if (code != SQLITE_DONE)
    return Failed(code, fmt::format("cannot run \"{}\"", sql.substr(0, 200)));
  return rows;
}

Result<int64_t> SqliteRecords::Run(std::string_view sql, std::vector<SqlValue> parameters) {
  const std::lock_guard lock(mutex_);
  const int64_t before = sqlite3_total_changes64(connection_);
  TRY(Step(sql, parameters));
  // A statement that changes nothing leaves the count of the one before it in sqlite3_changes.
  return sqlite3_total_changes64(connection_) == before ? 0 : sqlite3_changes64(connection_);
}

Result<std::vector<SqlRow>> SqliteRecords::Query(std::string_view sql,
                                                 std::vector<SqlValue> parameters) {
  const std::lock_guard lock(mutex_);
  return Step(sql, parameters);
}

Status SqliteRecords::Transaction(const std::function<Status()>& work) {
  const std::lock_guard lock(mutex_);
  const bool outer = depth_ == 0;
  const std::string name = fmt::format("t{}", depth_);
  TRY(Execute(outer ? "BEGIN IMMEDIATE" : "SAVEPOINT " + name));
  ++depth_;
  Status status = work();
  --depth_;
  if (status) status = Execute(outer ? "COMMIT" : "RELEASE " + name);
  if (status) return {};
  // A full disk may have rolled back already.
  if (!sqlite3_get_autocommit(connection_)) {
    const Status undone = Execute(outer ? "ROLLBACK" : "ROLLBACK TO " + name + "; RELEASE " + name);
    if (!undone) LogError("records: rollback failed: {}", undone.error().ToString());
  }
  return status;
}

bool IsPostgres(std::string_view address) {
  return address.starts_with("postgresql://") || address.starts_with("postgres://");
}

// A schema that nobody has had on the server of PENSTOCK_TEST_RECORDS; "" without one.
std::string TestServer() {
  static std::atomic<int> number{0};
  const char* const server = std::getenv("PENSTOCK_TEST_RECORDS");
  if (server == nullptr || *server == 0) return "";
  return fmt::format("{}{}schema=t{}_{}", server,
                     std::string_view(server).contains('?') ? "&" : "?", getpid(), ++number);
}

Result<std::unique_ptr<Records>> Connect(const std::string& address, bool read_only) {
  if (IsPostgres(address)) return OpenPostgresRecords(address, read_only);
  if (const std::string server = TestServer(); address == ":memory:" && !server.empty())
    return OpenPostgresRecords(server, read_only);
  auto records = std::make_unique<SqliteRecords>();
  TRY(records->Connect(address, read_only));
  return records;
}

}  // namespace

std::string SqlRow::Text(size_t column) const {
  CHECK(column < values_.size());
  const SqlValue& value = values_[column];
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
  if (const auto* blob = std::get_if<Bytes>(&value)) return std::string(AsText(*blob));
  return "";
}

int64_t SqlRow::Integer(size_t column) const {
  CHECK(column < values_.size());
  const SqlValue& value = values_[column];
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  if (const auto* real = std::get_if<double>(&value)) return static_cast<int64_t>(*real);
  return 0;
}

double SqlRow::Real(size_t column) const {
  CHECK(column < values_.size());
  const SqlValue& value = values_[column];
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
  return 0;
}

Bytes SqlRow::Blob(size_t column) const {
  CHECK(column < values_.size());
  const SqlValue& value = values_[column];
  if (const auto* blob = std::get_if<Bytes>(&value)) return *blob;
  if (const auto* text = std::get_if<std::string>(&value)) {
    const ByteView view = AsBytes(*text);
    return Bytes(view.begin(), view.end());
  }
  return {};
}

bool SqlRow::IsNull(size_t column) const {
  CHECK(column < values_.size());
  return std::holds_alternative<std::nullptr_t>(values_[column]);
}

Status Records::Migrate(std::string_view room, std::initializer_list<Migration> migrations) {
  ASSIGN_OR_RETURN(const auto rows,
                   Query("SELECT version FROM schema_versions WHERE room=?", {std::string(room)}));
  const int64_t present = rows.empty() ? 0 : rows[0].Integer(0);
  int known = 0;
  for (const Migration& migration : migrations) {
    CHECK(migration.version == known + 1);  // 1, 2, 3 ... without a hole.
    known = migration.version;
  }
  if (present > known) {
    auto error = FailedPrecondition("records of {} have schema {}, this program knows up to {}",
                                    room, present, known);
    error.error().Where(place()).Fix("start the version that wrote these records, or a newer one");
    return error;
  }
  for (const Migration& migration : migrations) {
    if (migration.version <= present) continue;
    TRY(Transaction([&]() -> Status {
      TRY(RunScript(migration.sql));
      TRY(
          Run("INSERT INTO schema_versions VALUES(?,?) ON CONFLICT(room) DO UPDATE SET "
              "version=excluded.version",
              {std::string(room), int64_t{migration.version}}));
      return {};
    }));
  }
  return {};
}

Result<std::unique_ptr<Records>> Records::Open(const std::string& address) {
  return Connect(address, false);
}
Result<std::unique_ptr<Records>> Records::OpenReadOnly(const std::string& address) {
  return Connect(address, true);
}

}  // namespace penstock::storage
