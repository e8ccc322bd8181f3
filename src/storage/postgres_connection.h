// One session with a PostgreSQL server: statements with typed parameters, prepared once, their
// answers as rows. Knows nothing of rooms or migrations.
//
// Thread rule: one thread at a time.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/records.h"

struct pg_conn;
struct pg_result;

namespace penstock::storage {

struct PostgresAddress {
  std::string connect;  // For libpq: without our own options.
  std::string schema = "penstock";
  std::string shown;  // For messages: without the password.
};
Result<PostgresAddress> ParsePostgresAddress(std::string_view text);

struct PostgresAnswer {
  std::vector<SqlRow> rows;
  int64_t changed = 0;
};

class PostgresConnection {
 public:
  explicit PostgresConnection(PostgresAddress address) : address_(std::move(address)) {}

  // Connects, or connects again. kUnavailable with what libpq says.
  Status Connect();
  bool alive() const;

  // Statements without parameters, as many as there are. Not prepared.
  Status Execute(const std::string& sql);
  // `protect`: inside a transaction; a failing statement undoes only itself, as SQLite's does.
  Result<PostgresAnswer> Run(const std::string& sql, const std::vector<SqlValue>& parameters,
                             bool protect);
  // After a change of tables, what was prepared may no longer fit.
  void Forget();
  const PostgresAddress& address() const { return address_; }

 private:
  using Answer = std::unique_ptr<pg_result, void (*)(pg_result*)>;
  struct Prepared {
    std::string key, name;
  };

  std::unexpected<Error> Failed(const pg_result* result, std::string_view sql) const;
  std::string NameOf(const std::string& key, bool* is_new);

  const PostgresAddress address_;
  std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_{nullptr, nullptr};
  std::list<Prepared> kept_;  // Most recently used first.
  std::unordered_map<std::string, std::list<Prepared>::iterator> prepared_;
  uint64_t next_name_ = 0;
};

}  // namespace penstock::storage
