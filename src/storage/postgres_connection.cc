// Statements go through libpq's pipeline: inside a transaction a statement is sent together with
// the savepoint before it and its release behind it, in one round trip; when it fails, a second
// one goes back to the savepoint. So a room that expects a conflict and goes on (SQLite lets it)
// can do so here too.
//
// Parameters carry the type of their value, so that a statement means the same whatever the
// columns are; a prepared statement is kept by its text and these types.
#include "storage/postgres_connection.h"

#include <postgresql/libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/log.h"
#include "storage/postgres_sql.h"

namespace penstock::storage {
namespace {

constexpr size_t kPreparedMax = 256;
constexpr size_t kPostgresRowsMax = 5'000'000;
// pg_type.dat's object ids.
constexpr Oid kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25,
              kFloat4 = 700, kFloat8 = 701, kNumeric = 1700;

Code CodeOfState(std::string_view state) {
  if (state == "23505") return Code::kAlreadyExists;
  if (state == "42501" || state == "25006" || state.starts_with("28"))
    return Code::kPermissionDenied;
  if (state == "40001" || state == "40P01") return Code::kAborted;
  if (state == "55P03" || state.starts_with("08") || state.starts_with("57P"))
    return Code::kUnavailable;
  if (state == "57014") return Code::kDeadlineExceeded;
  if (state.starts_with("53") || state.starts_with("54")) return Code::kResourceExhausted;
  if (state.starts_with("23")) return Code::kFailedPrecondition;
  if (state.starts_with("22")) return Code::kInvalidArgument;
  if (state == "XX001" || state == "XX002") return Code::kDataLoss;
  return Code::kInternal;
}

std::string Trimmed(const char* text) {
  std::string trimmed = text == nullptr ? "" : text;
  while (!trimmed.empty() && (trimmed.back() == '\n' || trimmed.back() == ' ')) trimmed.pop_back();
  std::ranges::replace(trimmed, '\n', ' ');
  return trimmed;
}

// The values in the form that libpq takes them: text, or bytes as they are.
struct Parameters {
  std::vector<Oid> types;
  std::vector<std::string> texts;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;

  explicit Parameters(const std::vector<SqlValue>& given) {
    texts.reserve(given.size());
    for (const SqlValue& value : given) Add(value);
  }

 private:
  void Add(const SqlValue& value) {
    if (const auto* bytes = std::get_if<Bytes>(&value)) {
      // libpq takes a null pointer for NULL; an empty content needs another one.
      const auto* data = bytes->empty() ? "" : reinterpret_cast<const char*>(bytes->data());
      return AddRaw(kBytea, data, static_cast<int>(bytes->size()), 1);
    }
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      texts.push_back(std::to_string(*integer));
      return AddRaw(kInt8, texts.back().c_str(), 0, 0);
    }
    if (const auto* real = std::get_if<double>(&value); real != nullptr && !std::isnan(*real)) {
      texts.push_back(std::isinf(*real) ? (*real > 0 ? "Infinity" : "-Infinity")
                                        : fmt::format("{}", *real));
      return AddRaw(kFloat8, texts.back().c_str(), 0, 0);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
      texts.push_back(ToStorableText(*text));
      return AddRaw(kText, texts.back().c_str(), 0, 0);
    }
    AddRaw(0, nullptr, 0, 0);  // NULL; NaN too, as in SQLite.
  }
  void AddRaw(Oid type, const char* value, int length, int format) {
    types.push_back(type);
    values.push_back(value);
    lengths.push_back(length);
    formats.push_back(format);
  }
};

SqlValue ValueOf(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column)) return nullptr;
  const std::string_view text(PQgetvalue(result, row, column),
                              static_cast<size_t>(PQgetlength(result, row, column)));
  const char* const end = text.data() + text.size();
  switch (PQftype(result, column)) {
    case kBool:
      return int64_t{text == "t"};
    case kFloat4:
    case kFloat8:
      return std::strtod(text.data(), nullptr);
    case kInt2:
    case kInt4:
    case kInt8:
    case kNumeric: {
      int64_t integer = 0;
      const auto read = std::from_chars(text.data(), end, integer);
      if (read.ec == std::errc() && read.ptr == end) return integer;
      return std::strtod(text.data(), nullptr);
    }
    case kBytea: {
      auto bytes = FromHex(text.substr(std::min<size_t>(2, text.size())));  // "\x..."
      return bytes ? std::move(*bytes) : Bytes();
    }
    default:
      return std::string(text);
  }
}

Result<PostgresAnswer> AnswerOf(const PGresult* result, std::string_view sql) {
  PostgresAnswer answer;
  const std::string_view changed = PQcmdTuples(const_cast<PGresult*>(result));
  (void)std::from_chars(changed.data(), changed.data() + changed.size(), answer.changed);
  const int rows = PQntuples(result), columns = PQnfields(result);
  if (static_cast<size_t>(rows) > kPostgresRowsMax)
    return ResourceExhausted("more than {} rows: \"{}\"", kPostgresRowsMax, sql.substr(0, 200));
  answer.rows.reserve(static_cast<size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    std::vector<SqlValue> values;
    values.reserve(static_cast<size_t>(columns));
    for (int column = 0; column < columns; ++column) values.push_back(ValueOf(result, row, column));
    answer.rows.emplace_back(std::move(values));
  }
  return answer;
}

bool IsLocal(std::string_view host) {
  return host.empty() || host.starts_with('/') || host.starts_with("%2F") ||
         host.starts_with("127.") || host == "localhost" || host == "[::1]";
}

}  // namespace

Result<PostgresAddress> ParsePostgresAddress(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    auto error = InvalidArgument("{} in the address of the records", what);
    error.error().Fix("postgresql://USER@HOST[:PORT]/DATABASE[?schema=NAME]");
    return error;
  };
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return bad("no postgresql://");
  const size_t question = std::min(text.find('?'), text.size());
  const std::string_view place = text.substr(scheme + 3, question - scheme - 3);
  const size_t slash = std::min(place.find('/'), place.size());
  const size_t at = place.substr(0, slash).rfind('@');
  const std::string_view host =
      at == std::string_view::npos ? place.substr(0, slash) : place.substr(at + 1, slash - at - 1);
  PostgresAddress address;
  address.shown = fmt::format("postgresql://{}{}", host, place.substr(slash));
  address.connect = text.substr(0, question);
  std::string options;
  bool has_ssl_mode = false, local = IsLocal(host);
  std::string_view rest = text.substr(std::min(question + 1, text.size()));
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view option = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (option.starts_with("schema=")) {
      address.schema = option.substr(7);
      continue;
    }
    has_ssl_mode |= option.starts_with("sslmode=");
    if (option.starts_with("host=")) local = IsLocal(option.substr(5));
    options += fmt::format("&{}", option);
  }
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyz0123456789_";
  if (address.schema.empty() || address.schema.size() > 60 ||
      address.schema.find_first_not_of(kPlain) != std::string::npos)
    return bad(
        fmt::format("schema \"{}\" is not 1 to 60 of a-z 0-9 _", address.schema.substr(0, 80)));
  if (!local && !has_ssl_mode) options += "&sslmode=verify-full";
  options +=
      "&connect_timeout=10&keepalives_idle=10&keepalives_interval=5&keepalives_count=3"
      "&tcp_user_timeout=30000&application_name=penstock&client_encoding=UTF8";
  address.connect += "?" + options.substr(1);
  address.shown += " schema " + address.schema;
  return address;
}

bool PostgresConnection::alive() const {
  return connection_ != nullptr && PQstatus(connection_.get()) == CONNECTION_OK;
}

void PostgresConnection::Forget() {
  for (const Prepared& prepared : kept_)
    if (alive()) (void)Execute("DEALLOCATE " + prepared.name);
  prepared_.clear();
  kept_.clear();
}

Status PostgresConnection::Connect() {
  prepared_.clear();
  kept_.clear();
  connection_ = {PQconnectdb(address_.connect.c_str()), PQfinish};
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char* text) { LogDebug("postgresql: {}", Trimmed(text)); },
      nullptr);
  if (alive()) return {};
  auto error = Unavailable("no connection: {}", Trimmed(PQerrorMessage(connection_.get())));
  error.error().Where(address_.shown);
  return error;
}

std::unexpected<Error> PostgresConnection::Failed(const pg_result* result,
                                                  std::string_view sql) const {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  Error error{.code = state == nullptr ? Code::kUnavailable : CodeOfState(state),
              .message = fmt::format(
                  "cannot run \"{}\": {}", sql.substr(0, 200),
                  Trimmed(result == nullptr ? PQerrorMessage(connection_.get())
                                            : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))),
              .where = address_.shown};
  if (error.code == Code::kResourceExhausted) error.fix = "give the database server more room";
  return std::unexpected(std::move(error));
}

Status PostgresConnection::Execute(const std::string& sql) {
  const Answer result(PQexec(connection_.get(), sql.c_str()), PQclear);
  const auto status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
    return {};
  return Failed(result.get(), sql);
}

std::string PostgresConnection::NameOf(const std::string& key, bool* is_new) {
  if (const auto found = prepared_.find(key); found != prepared_.end()) {
    kept_.splice(kept_.begin(), kept_, found->second);
    *is_new = false;
    return kept_.front().name;
  }
  *is_new = true;
  return fmt::format("s{}", next_name_++);
}

Result<PostgresAnswer> PostgresConnection::Run(const std::string& sql,
                                               const std::vector<SqlValue>& parameters,
                                               bool protect) {
  PGconn* const connection = connection_.get();
  const Parameters bound(parameters);
  std::string key = sql;
  for (const Oid type : bound.types) key += fmt::format("|{}", type);
  bool is_new = false;
  const std::string name = NameOf(key, &is_new);
  const int count = static_cast<int>(bound.types.size());
  const auto plain = [&](const char* text) {
    return PQsendQueryParams(connection, text, 0, nullptr, nullptr, nullptr, nullptr, 0) == 1;
  };
  bool sent = PQenterPipelineMode(connection) == 1;
  if (protect) sent = sent && plain("SAVEPOINT one");
  if (is_new)
    sent = sent &&
           PQsendPrepare(connection, name.c_str(), sql.c_str(), count, bound.types.data()) == 1;
  sent = sent && PQsendQueryPrepared(connection, name.c_str(), count, bound.values.data(),
                                     bound.lengths.data(), bound.formats.data(), 0) == 1;
  if (protect) sent = sent && plain("RELEASE one");
  sent = sent && PQpipelineSync(connection) == 1;
  if (!sent) {
    (void)PQexitPipelineMode(connection);
    return Failed(nullptr, sql);
  }

  // The answers in order, each followed by a null, the last one the synchronisation. The
  // statement's own is the one behind the savepoint and the preparation.
  const int mine = (protect ? 1 : 0) + (is_new ? 1 : 0);
  Result<PostgresAnswer> answer = Unavailable("no answer");
  bool failed = false, synced = false;
  for (int at = 0; !synced && at < 8 && alive();) {
    const Answer result(PQgetResult(connection), PQclear);
    if (result == nullptr) {
      ++at;
      continue;
    }
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) {
      synced = true;
    } else if (status == PGRES_FATAL_ERROR) {
      if (!failed) answer = Failed(result.get(), sql);
      failed = true;
    } else if (at == mine && status != PGRES_PIPELINE_ABORTED) {
      answer = AnswerOf(result.get(), sql);
    }
  }
  if (!synced) return Failed(nullptr, sql);
  (void)PQexitPipelineMode(connection);
  if (failed) {
    // What a failed statement prepared may or may not be there: its name is never used again.
    if (protect) TRY(Execute("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one"));
    return answer;
  }
  if (is_new) {
    kept_.push_front({key, name});
    prepared_[key] = kept_.begin();
    if (kept_.size() > kPreparedMax) {
      const std::string last = kept_.back().name;
      prepared_.erase(kept_.back().key);
      kept_.pop_back();
      TRY(Execute("DEALLOCATE " + last));
    }
  }
  return answer;
}

}  // namespace penstock::storage
