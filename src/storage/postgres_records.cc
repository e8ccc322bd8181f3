// The same promises as SQLite's: a transaction that returned is on the server's disk
// (synchronous_commit is on), one connection behind a recursive mutex, inner transactions are
// savepoints. Since one writer holds a schema, nobody else's writes are ever in the way and there
// are no serialization failures to try again.
//
// A connection that breaks: before a transaction has begun, it is made again and the transaction
// goes on as if nothing had been. In the middle, the server undoes it and the caller gets the
// error, as with a full disk. At the commit, only the server knows; its word (pg_xact_status) is
// asked for after the reconnect, so the answer is right in this case too. A statement outside of a
// transaction that changes something gets one of its own for that.
//
// After a failed reconnect, callers are refused at once for a second, so that a server that is
// away does not hold up every thread for its time-out.
#include "storage/postgres_records.h"

#include <chrono>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/postgres_connection.h"
#include "storage/postgres_sql.h"

namespace penstock::storage {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kReconnectFor = std::chrono::seconds(5);
constexpr auto kRefuseFor = std::chrono::seconds(1);
constexpr auto kLockWait = std::chrono::seconds(10);
constexpr size_t kTranslatedMax = 1024;

Metric& Away() {
  static Metric& metric =
      Gauge("penstock_records_away", "1 while the database that holds the records is away.");
  return metric;
}

bool Writes(std::string_view sql) {
  const size_t at = sql.find_first_not_of(" \t\r\n(");
  const std::string_view first = sql.substr(std::min(at, sql.size()), 4);
  return !(first.starts_with("SELE") || first.starts_with("sele") || first.starts_with("WITH") ||
           first.starts_with("with"));
}

class PostgresRecords final : public Records {
 public:
  PostgresRecords(PostgresAddress address, bool read_only)
      : connection_(std::move(address)), read_only_(read_only) {}

  Status Open() {
    TRY(connection_.Connect());
    return Prepare(true);
  }

  Result<int64_t> Run(std::string_view sql, std::vector<SqlValue> parameters) override;
  Result<std::vector<SqlRow>> Query(std::string_view sql,
                                    std::vector<SqlValue> parameters) override;
  Status Transaction(const std::function<Status()>& work) override;

 private:
  Status RunScript(std::string_view sql) override;
  std::string place() const override { return connection_.address().shown; }
  Status Prepare(bool first);
  Status TakeLock(bool first);
  Status Ready();
  Status Begin();
  Status Commit();
  Result<bool> Committed(const std::string& transaction);
  Result<PostgresTable> TableOf(const std::string& name);
  Result<const PostgresStatement*> Translate(std::string_view sql);
  Result<PostgresAnswer> Ask(std::string_view sql, const std::vector<SqlValue>& parameters);

  std::recursive_mutex mutex_;
  PostgresConnection connection_;
  const bool read_only_;
  int depth_ = 0;
  bool broken_ = false;      // The connection was lost inside the present transaction.
  std::string transaction_;  // The server's id of it.
  Steady::time_point refuse_until_{};
  bool away_ = false;  // The last reconnect failed.
  std::unordered_map<std::string, PostgresStatement> translated_;
};

// What a new session needs. The lock comes first: without it nothing may be written.
Status PostgresRecords::Prepare(bool first) {
  const std::string& schema = connection_.address().schema;
  ASSIGN_OR_RETURN(const auto encoding, connection_.Run("SHOW server_encoding", {}, false));
  if (encoding.rows.at(0).Text(0) != "UTF8") {
    auto error = FailedPrecondition("the database's encoding is {}", encoding.rows[0].Text(0));
    error.error().Where(connection_.address().shown).Fix("create it with ENCODING 'UTF8'");
    return error;
  }
  if (read_only_)
    return connection_.Execute(fmt::format(
        "SET default_transaction_read_only=on; SET search_path={}; SET TIME ZONE 'UTC'", schema));
  TRY(TakeLock(first));
  if (first) TRY(connection_.Execute("CREATE SCHEMA IF NOT EXISTS " + schema));
  TRY(connection_.Execute(
      fmt::format("SET search_path={}; SET TIME ZONE 'UTC'; SET synchronous_commit=on; "
                  "SET statement_timeout='60s'",
                  schema)));
  if (!first) return {};
  return connection_.Execute(
      "CREATE TABLE IF NOT EXISTS schema_versions(room TEXT COLLATE \"C\" PRIMARY KEY,"
      " version BIGINT NOT NULL);"
      // The rooms' numbers are 64 bits wide, and a truth is a number to them.
      "CREATE OR REPLACE FUNCTION substr(word text, begins bigint, length bigint) RETURNS text"
      " LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.substr(word, begins::int, length::int)';"
      "CREATE OR REPLACE FUNCTION add_truth(total bigint, one boolean) RETURNS bigint"
      " LANGUAGE sql IMMUTABLE AS 'SELECT total + coalesce(one, false)::int';"
      "CREATE OR REPLACE AGGREGATE sum(boolean)"
      " (SFUNC = add_truth, STYPE = bigint, INITCOND = '0')");
}

Status PostgresRecords::TakeLock(bool first) {
  const auto deadline = Steady::now() + (first ? kLockWait : std::chrono::seconds(0));
  const std::string lock =
      fmt::format("SELECT pg_try_advisory_lock(hashtextextended('penstock records {}', 0))",
                  connection_.address().schema);
  while (true) {
    ASSIGN_OR_RETURN(const auto answer, connection_.Run(lock, {}, false));
    if (answer.rows.at(0).Integer(0) != 0) return {};
    if (Steady::now() >= deadline) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  auto error = AlreadyExists("another node writes these records");
  error.error()
      .Where(connection_.address().shown)
      .Fix("stop it, or give this one its own schema: ?schema=NAME");
  return error;
}

// Before anything outside of a transaction: a live session, or the reason why there is none.
Status PostgresRecords::Ready() {
  if (connection_.alive()) return {};
  if (Steady::now() < refuse_until_) return Unavailable("the records' database is away");
  // Once it is known to be away, one try at a time; nobody shall wait for more.
  const auto deadline = Steady::now() + (away_ ? std::chrono::seconds(0) : kReconnectFor);
  LogSometimes(LogLevel::kWarn, "records", "records: connection lost; connecting again");
  static Metric& reconnects = Counter("penstock_records_reconnects_total",
                                      "Reconnects to the database that holds the records.");
  while (true) {
    Status status = connection_.Connect();
    if (status) status = Prepare(false);
    if (status) {
      reconnects.Add();
      away_ = false;
      Away().Set(0);
      return {};
    }
    if (Steady::now() >= deadline || status.error().code == Code::kAlreadyExists) {
      refuse_until_ = Steady::now() + kRefuseFor;
      away_ = true;
      Away().Set(1);
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<PostgresTable> PostgresRecords::TableOf(const std::string& name) {
  // In order of position; the second column tells whether it belongs to the primary key.
  ASSIGN_OR_RETURN(
      const auto answer,
      connection_.Run("SELECT a.attname, coalesce(a.attnum = ANY(i.indkey::int2[]), false)"
                      " FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid"
                      " AND i.indisprimary WHERE a.attrelid = to_regclass($1)"
                      " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                      {name}, depth_ > 0));
  if (answer.rows.empty()) return Internal("no table {}", name);
  PostgresTable table;
  for (const SqlRow& row : answer.rows) {
    table.columns.push_back(row.Text(0));
    if (row.Integer(1) != 0) table.key.push_back(row.Text(0));
  }
  return table;
}

Result<const PostgresStatement*> PostgresRecords::Translate(std::string_view sql) {
  const std::string key(sql);
  if (const auto found = translated_.find(key); found != translated_.end()) return &found->second;
  ASSIGN_OR_RETURN(PostgresStatement statement,
                   ToPostgres(sql, [this](const std::string& name) { return TableOf(name); }));
  if (translated_.size() >= kTranslatedMax) translated_.clear();
  return &translated_.emplace(key, std::move(statement)).first->second;
}

Result<PostgresAnswer> PostgresRecords::Ask(std::string_view sql,
                                            const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const PostgresStatement* const statement, Translate(sql));
  if (static_cast<size_t>(statement->parameters) != parameters.size())
    return InvalidArgument("{} parameters for {} in \"{}\"", parameters.size(),
                           statement->parameters, sql.substr(0, 200));
  return connection_.Run(statement->sql, parameters, depth_ > 0);
}

Result<int64_t> PostgresRecords::Run(std::string_view sql, std::vector<SqlValue> parameters) {
  const std::lock_guard lock(mutex_);
  int64_t changed = 0;
  if (depth_ == 0) {
    TRY(Transaction([&]() -> Status {
      ASSIGN_OR_RETURN(changed, Run(sql, parameters));
      return {};
    }));
    return changed;
  }
  if (broken_) return Unavailable("the connection was lost inside this transaction");
  auto answer = Ask(sql, parameters);
  if (!answer && !connection_.alive()) broken_ = true;
  if (!answer) return std::unexpected(std::move(answer.error()));
  return answer->changed;
}

Result<std::vector<SqlRow>> PostgresRecords::Query(std::string_view sql,
                                                   std::vector<SqlValue> parameters) {
  const std::lock_guard lock(mutex_);
  if (depth_ == 0 && Writes(sql)) {  // "... RETURNING"
    std::vector<SqlRow> rows;
    TRY(Transaction([&]() -> Status {
      ASSIGN_OR_RETURN(rows, Query(sql, parameters));
      return {};
    }));
    return rows;
  }
  if (depth_ > 0 && broken_) return Unavailable("the connection was lost inside this transaction");
  if (depth_ == 0) TRY(Ready());
  auto answer = Ask(sql, parameters);
  if (!answer && depth_ == 0 && !connection_.alive()) {  // Reading twice does no harm.
    TRY(Ready());
    answer = Ask(sql, parameters);
  }
  if (!answer) {
    if (depth_ > 0 && !connection_.alive()) broken_ = true;
    return std::unexpected(std::move(answer.error()));
  }
  return std::move(answer->rows);
}

Status PostgresRecords::Begin() {
  broken_ = false;
  for (int i = 0;; ++i) {
    TRY(Ready());
    Status begun = connection_.Execute("BEGIN");
    if (begun && read_only_) return {};
    if (begun) {
      const auto id = connection_.Run("SELECT pg_current_xact_id()::text", {}, false);
      if (id) transaction_ = id->rows.at(0).Text(0);
      if (!id) begun = std::unexpected(id.error());
    }
    if (begun || connection_.alive() || i == 1) return begun;
  }
}

Status PostgresRecords::Commit() {
  if (broken_ || !connection_.alive())
    return Unavailable("the connection was lost inside this transaction");
  const Status committed = connection_.Execute("COMMIT");
  if (committed || connection_.alive()) return committed;
  ASSIGN_OR_RETURN(const bool done, Committed(transaction_));
  if (done) return {};
  return Unavailable("the connection was lost at the commit, which was not done");
}

Result<bool> PostgresRecords::Committed(const std::string& transaction) {
  TRY(Ready());
  const auto deadline = Steady::now() + kReconnectFor;
  while (true) {
    ASSIGN_OR_RETURN(const auto answer, connection_.Run("SELECT pg_xact_status($1::text::xid8)",
                                                        {transaction}, false));
    const std::string state = answer.rows.at(0).Text(0);
    if (state == "committed") return true;
    if (state == "aborted") return false;
    if (Steady::now() >= deadline)
      return std::unexpected(Error{Code::kUnknown,
                                   "the connection was lost at the commit, and the server does "
                                   "not know its outcome yet"});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Status PostgresRecords::Transaction(const std::function<Status()>& work) {
  const std::lock_guard lock(mutex_);
  const std::string name = fmt::format("t{}", depth_);
  if (depth_ == 0) {
    TRY(Begin());
  } else {
    TRY(connection_.Execute("SAVEPOINT " + name));
  }
  ++depth_;
  Status status = work();
  --depth_;
  if (status) status = depth_ == 0 ? Commit() : connection_.Execute("RELEASE " + name);
  if (status) return {};
  // What was learned of tables that are undone now would be wrong.
  translated_.clear();
  if (broken_ || !connection_.alive()) return status;
  const Status undone = connection_.Execute(
      depth_ == 0 ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT " + name + "; RELEASE SAVEPOINT " + name);
  if (!undone) LogError("records: rollback failed: {}", undone.error().ToString());
  return status;
}

// What was learned of the tables, and what was prepared for them, may no longer fit.
Status PostgresRecords::RunScript(std::string_view sql) {
  ASSIGN_OR_RETURN(const auto statements, SplitStatements(sql));
  for (const std::string& statement : statements) TRY(Run(statement, {}));
  translated_.clear();
  connection_.Forget();
  return {};
}

}  // namespace

Result<std::unique_ptr<Records>> OpenPostgresRecords(const std::string& address, bool read_only) {
  ASSIGN_OR_RETURN(PostgresAddress parsed, ParsePostgresAddress(address));
  auto records = std::make_unique<PostgresRecords>(std::move(parsed), read_only);
  TRY(records->Open());
  return records;
}

}  // namespace penstock::storage
