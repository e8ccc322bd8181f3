// Records: a thin face over SQLite (WAL, synchronous=FULL, foreign keys on) or PostgreSQL. Each
// room owns its tables and brings its migrations, written for SQLite; postgres_sql.h tells what of
// it is understood by both. Values pass as text, integer, real, null or blob.
//
// Thread rule: one connection behind a mutex; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

using SqlValue = std::variant<std::nullptr_t, int64_t, double, std::string, Bytes>;

// One row of a result: by column position.
class SqlRow {
 public:
  explicit SqlRow(std::vector<SqlValue> values) : values_(std::move(values)) {}
  std::string Text(size_t column) const;  // "" for null.
  int64_t Integer(size_t column) const;   // 0 for null; truncates a real.
  double Real(size_t column) const;       // 0 for null.
  Bytes Blob(size_t column) const;
  bool IsNull(size_t column) const;
  size_t size() const { return values_.size(); }

 private:
  std::vector<SqlValue> values_;
};

struct Migration {
  int version;           // 1, 2, 3 ... per room
  std::string_view sql;  // Statements, run in one transaction.
};

class Records {
 public:
  virtual ~Records() = default;
  // A SQLite file, or "postgresql://USER@HOST[:PORT]/DATABASE[?schema=NAME]" (postgres_records.h).
  // ":memory:" is for tests; where PENSTOCK_TEST_RECORDS names a PostgreSQL server, it means a new
  // schema there, so that every room's tests can run on both.
  static Result<std::unique_ptr<Records>> Open(const std::string& address);
  // kFailedPrecondition or kPermissionDenied for what would write.
  static Result<std::unique_ptr<Records>> OpenReadOnly(const std::string& address);

  // Applies the room's migrations that are not yet there. kFailedPrecondition for a newer schema
  // than known.
  Status Migrate(std::string_view room, std::initializer_list<Migration> migrations);
  // A statement without result rows; returns the number of changed rows.
  virtual Result<int64_t> Run(std::string_view sql, std::vector<SqlValue> parameters = {}) = 0;
  virtual Result<std::vector<SqlRow>> Query(std::string_view sql,
                                            std::vector<SqlValue> parameters = {}) = 0;
  // All or nothing; an error from `work` rolls back. Run/Query inside belong to the transaction
  // (same thread).
  virtual Status Transaction(const std::function<Status()>& work) = 0;

 private:
  // A migration's statements, inside a transaction. For Migrate alone.
  virtual Status RunScript(std::string_view sql) = 0;
  virtual std::string place() const = 0;  // For messages: the file, or the server and database.
};

}  // namespace penstock::storage
