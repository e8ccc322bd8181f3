// Everything that changes who may do what is one transaction with its audit entry. Hashing happens
// before, outside of any lock: it takes 20 ms on purpose.
#include "trust/users.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/metrics.h"
#include "trust/password.h"

namespace penstock::trust {
namespace {

constexpr size_t kSecretBytes = 32, kMaxWaits = 10000;
constexpr int kFreeTries = 3;
constexpr Duration kWaitMax = std::chrono::minutes(1);
constexpr std::string_view kTokenPrefix = "token:";

std::string NewSecret() { return ToBase64Url(RandomBytes(kSecretBytes)); }
std::string Digest(const std::string& secret) { return ToHex(Sha256Of(AsBytes(secret))); }

Status CheckName(const std::string& name) {
  const bool ok = !name.empty() && name.size() <= 64 &&
                  std::all_of(name.begin(), name.end(), [](unsigned char c) {
                    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == '@';
                  });
  if (ok) return {};
  auto error = InvalidArgument("a name has 1 to 64 letters, digits or . - _ @");
  error.error().At("/name");
  return error;
}

// Rows of name, role, created.
Json NamedRows(const std::vector<storage::SqlRow>& rows) {
  Json items = Json::array();
  for (const auto& row : rows)
    items.push_back({{"name", row.Text(0)},
                     {"role", row.Text(1)},
                     {"created", FormatTime(FromMicros(row.Integer(2)))}});
  return items;
}

}  // namespace

Users::Users(storage::Records& records, const Clock& clock, AuditLog& audit)
    : records_(records), clock_(clock), audit_(audit) {}

Result<std::unique_ptr<Users>> Users::Open(storage::Records& records, const Clock& real_clock,
                                           AuditLog& audit) {
  std::unique_ptr<Users> users(new Users(records, real_clock, audit));
  TRY(users->Load());
  return users;
}

Status Users::Load() {
  TRY(records_.Migrate(
      "users",
      {{1,
        "CREATE TABLE users(name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL,"
        " created INTEGER NOT NULL);"
        "CREATE TABLE sessions(digest TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES users(name)"
        " ON DELETE CASCADE, created INTEGER NOT NULL, used INTEGER NOT NULL);"
        "CREATE TABLE tokens(name TEXT PRIMARY KEY, role TEXT NOT NULL, digest TEXT NOT NULL "
        "UNIQUE,"
        " created INTEGER NOT NULL);"}}));
  TRY(records_.Run("DELETE FROM sessions WHERE created < ?",
                   {ToMicros(clock_.Now() - kSessionMax)}));
  ASSIGN_OR_RETURN(nobodys_hash_, HashPassword(NewSecret()));
  ASSIGN_OR_RETURN(const int64_t admins, Admins());
  if (admins == 0) setup_token_ = ToBase64Url(RandomBytes(12));
  return {};
}

Result<int64_t> Users::Admins() const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT count(*) FROM users WHERE role='admin'"));
  return rows.at(0).Integer(0);
}

bool Users::setup_needed() const {
  const std::lock_guard lock(mutex_);
  return !setup_token_.empty();
}

std::string Users::SetupToken() const {
  const std::lock_guard lock(mutex_);
  return setup_token_;
}

Result<Principal> Users::Setup(const std::string& token, const std::string& name,
                               const std::string& password) {
  TRY(CheckName(name));
  TRY(CheckPassword(name, password));
  const std::lock_guard lock(mutex_);
  if (setup_token_.empty()) return FailedPrecondition("set-up is done already: log in");
  TRY(CheckWait("setup"));
  if (!ConstantTimeEqual(AsBytes(token), AsBytes(setup_token_))) {
    Failed("setup");
    auto error = Unauthenticated("wrong set-up token");
    error.error().At("/token").Fix("the node printed it at its start");
    return error;
  }
  ASSIGN_OR_RETURN(const std::string hash, Hash(password));
  TRY(records_.Transaction([&]() -> Status {
    TRY(Insert(name, Role::kAdmin, hash));
    TRY(audit_.Append(name, "user.setup", name, "", {{"role", "admin"}}));
    return {};
  }));
  setup_token_.clear();
  return Principal{name, Role::kAdmin};
}

Status Users::Insert(const std::string& name, Role role, const std::string& hash) {
  ASSIGN_OR_RETURN(const auto there, records_.Query("SELECT 1 FROM users WHERE name=?", {name}));
  if (!there.empty()) {
    auto error = AlreadyExists("there is a user {} already", name);
    error.error().At("/name");
    return error;
  }
  TRY(records_.Run("INSERT INTO users(name, role, password, created) VALUES(?,?,?,?)",
                   {name, std::string(RoleName(role)), hash, ToMicros(clock_.Now())}));
  return {};
}

Result<std::string> Users::Hash(const std::string& password) {
  hashing_.acquire();
  auto hash = HashPassword(password);
  hashing_.release();
  return hash;
}

// Gives up rather than let a crowd of log-ins hold every thread of the server.
Result<bool> Users::Matches(const std::string& hash, const std::string& password) {
  if (!hashing_.try_acquire_for(std::chrono::seconds(2)))
    return ResourceExhausted("too many log-ins at once: try again in a few seconds");
  const bool right = VerifyPassword(hash, password);
  hashing_.release();
  return right;
}

Result<Role> Users::RoleOf(const std::string& name) const {
  ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT role FROM users WHERE name=?", {name}));
  if (rows.empty()) return NotFound("user unknown: {}", name.substr(0, 64));
  return ParseRole(rows[0].Text(0));
}

Status Users::KeepAnAdmin(const std::string& name) const {
  ASSIGN_OR_RETURN(const Role role, RoleOf(name));
  ASSIGN_OR_RETURN(const int64_t admins, Admins());
  if (role != Role::kAdmin || admins > 1) return {};
  auto error = FailedPrecondition("{} is the last admin", name);
  error.error().Fix("make somebody else admin first");
  return error;
}

Status Users::CheckWait(const std::string& key) {
  const auto found = waits_.find(key);
  if (found == waits_.end() || clock_.Now() >= found->second.until) return {};
  return ResourceExhausted(
      "too many failed tries: wait {}",
      FormatDuration(std::chrono::ceil<std::chrono::seconds>(found->second.until - clock_.Now())));
}

void Users::Failed(const std::string& key) {
  if (waits_.size() >= kMaxWaits) {
    // Those whose wait is long over go first; should none be, the one that ends soonest.
    const Time now = clock_.Now();
    std::erase_if(waits_, [&](const auto& entry) { return entry.second.until + kWaitMax < now; });
    if (waits_.size() >= kMaxWaits)
      waits_.erase(std::min_element(waits_.begin(), waits_.end(), [](const auto& a, const auto& b) {
        return a.second.until < b.second.until;
      }));
  }
  Wait& wait = waits_[key];
  ++wait.failures;
  const int doublings = std::clamp(wait.failures - kFreeTries, 0, 7);
  if (doublings > 0)
    wait.until =
        clock_.Now() + std::min<Duration>(std::chrono::seconds(1 << (doublings - 1)), kWaitMax);
  Counter("penstock_login_failures_total", "Failed log-ins").Add();
}

Result<std::string> Users::Login(const std::string& name, const std::string& password,
                                 const std::string& remote) {
  const std::string by_name = "name " + name.substr(0, 64), by_remote = "from " + remote;
  {
    const std::lock_guard lock(mutex_);
    TRY(CheckWait(by_name));
    TRY(CheckWait(by_remote));
  }
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT password FROM users WHERE name=?", {name}));
  ASSIGN_OR_RETURN(const bool matches,
                   Matches(rows.empty() ? nobodys_hash_ : rows[0].Text(0), password));
  if (!matches || rows.empty()) {
    {
      const std::lock_guard lock(mutex_);
      Failed(by_name);
      Failed(by_remote);
    }
    // A name that nobody has is not written down: it may be a password typed into the wrong field.
    if (!rows.empty())
      TRY(audit_.Append(name, "user.login_failed", name, "", {{"remote", remote}}));
    return Unauthenticated("wrong name or password");
  }
  {
    const std::lock_guard lock(mutex_);
    waits_.erase(by_name);
    waits_.erase(by_remote);
  }
  const std::string secret = NewSecret();
  const int64_t now = ToMicros(clock_.Now());
  TRY(records_.Transaction([&]() -> Status {
    TRY(records_.Run("DELETE FROM sessions WHERE created < ? OR used < ?",
                     {now - kSessionMax.count(), now - kSessionIdleMax.count()}));
    TRY(records_.Run("INSERT INTO sessions(digest, name, created, used) VALUES(?,?,?,?)",
                     {Digest(secret), name, now, now}));
    TRY(audit_.Append(name, "user.login", name, "", {{"remote", remote}}));
    return {};
  }));
  return secret;
}

Result<Principal> Users::BySession(const std::string& secret) {
  if (secret.empty() || secret.size() > 100) return Unauthenticated("no session");
  const std::string digest = Digest(secret);
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(
          "SELECT u.name, u.role, s.created, s.used FROM sessions s JOIN users u ON u.name=s.name"
          " WHERE s.digest=?",
          {digest}));
  if (rows.empty()) return Unauthenticated("no such session");
  const Time now = clock_.Now(), created = FromMicros(rows[0].Integer(2)),
             used = FromMicros(rows[0].Integer(3));
  if (now - created > kSessionMax || now - used > kSessionIdleMax) {
    TRY(records_.Run("DELETE FROM sessions WHERE digest=?", {digest}));
    return Unauthenticated("the session has expired");
  }
  // A write per request would cost a disk sync each; a minute's resolution will do for idling.
  if (now - used > std::chrono::minutes(1))
    TRY(records_.Run("UPDATE sessions SET used=? WHERE digest=?", {ToMicros(now), digest}));
  ASSIGN_OR_RETURN(const Role role, ParseRole(rows[0].Text(1)));
  return Principal{rows[0].Text(0), role};
}

void Users::Logout(const std::string& secret) {
  const std::string digest = Digest(secret);
  const Status done = records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(const auto rows,
                     records_.Query("SELECT name FROM sessions WHERE digest=?", {digest}));
    if (rows.empty()) return {};
    TRY(records_.Run("DELETE FROM sessions WHERE digest=?", {digest}));
    TRY(audit_.Append(rows[0].Text(0), "user.logout", rows[0].Text(0), "", Json::object()));
    return {};
  });
  if (!done) LogError("log-out not stored: {}", done.error().ToString());
}

Status Users::AddUser(const std::string& actor, const std::string& name, Role role,
                      const std::string& password) {
  TRY(CheckName(name));
  TRY(CheckPassword(name, password));
  ASSIGN_OR_RETURN(const std::string hash, Hash(password));
  return records_.Transaction([&]() -> Status {
    TRY(Insert(name, role, hash));
    TRY(audit_.Append(actor, "user.add", name, "", {{"role", RoleName(role)}}));
    return {};
  });
}

Status Users::RemoveUser(const std::string& actor, const std::string& name) {
  return records_.Transaction([&]() -> Status {
    TRY(KeepAnAdmin(name));
    TRY(records_.Run("DELETE FROM users WHERE name=?", {name}));
    TRY(audit_.Append(actor, "user.remove", name, "", Json::object()));
    return {};
  });
}

Status Users::SetRole(const std::string& actor, const std::string& name, Role role) {
  return records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(const Role before, RoleOf(name));
    if (role != Role::kAdmin) TRY(KeepAnAdmin(name));
    TRY(records_.Run("UPDATE users SET role=? WHERE name=?", {std::string(RoleName(role)), name}));
    TRY(audit_.Append(actor, "user.role", name, "",
                      {{"from", RoleName(before)}, {"to", RoleName(role)}}));
    return {};
  });
}

Status Users::SetPassword(const std::string& actor, const std::string& name,
                          const std::string& password) {
  TRY(CheckPassword(name, password));
  ASSIGN_OR_RETURN(const std::string hash, Hash(password));
  return records_.Transaction([&]() -> Status {
    TRY(RoleOf(name));
    TRY(records_.Run("UPDATE users SET password=? WHERE name=?", {hash, name}));
    TRY(records_.Run("DELETE FROM sessions WHERE name=?", {name}));
    TRY(audit_.Append(actor, "user.password", name, "", Json::object()));
    return {};
  });
}

Result<Json> Users::UsersJson() const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT name, role, created FROM users ORDER BY name"));
  return NamedRows(rows);
}

Result<std::string> Users::CreateToken(const std::string& actor, const std::string& name,
                                       Role role) {
  TRY(CheckName(name));
  const std::string secret = NewSecret();
  ForgetToken(name);
  const Status created = records_.Transaction([&]() -> Status {
    TRY(
        records_.Run("INSERT INTO tokens(name, role, digest, created) VALUES(?,?,?,?) ON "
                     "CONFLICT(name) DO UPDATE SET"
                     " role=excluded.role, digest=excluded.digest, created=excluded.created",
                     {name, std::string(RoleName(role)), Digest(secret), ToMicros(clock_.Now())}));
    TRY(audit_.Append(actor, "token.create", name, "", {{"role", RoleName(role)}}));
    return {};
  });
  ForgetToken(name);
  if (!created) return std::unexpected(created.error());
  return secret;
}

// The records are asked by one thread at a time and token; the others go by what is known.
Result<Principal> Users::ByToken(const std::string& secret) const {
  if (secret.empty() || secret.size() > 100) return Unauthenticated("token unknown");
  const std::string digest = Digest(secret);
  const Time now = clock_.Now();
  std::optional<Principal> known;
  uint64_t round = 0;
  {
    const std::lock_guard lock(mutex_);
    round = tokens_round_;
    const auto found = tokens_.find(digest);
    if (found != tokens_.end()) {
      KnownToken& token = found->second;
      if (now - token.answered < kTokenRemembered && now >= token.asked) known = token.machine;
      if (known && now - token.asked < kTokenFresh) return *known;
      token.asked = now;
    }
  }
  const auto rows = records_.Query("SELECT name, role FROM tokens WHERE digest=?", {digest});
  if (!rows && rows.error().code == Code::kUnavailable && known) {
    Counter("penstock_tokens_remembered_total",
            "Times that a token was believed while the records were away.")
        .Add();
    LogSometimes(LogLevel::kWarn, "tokens",
                 "tokens are believed from memory: " + rows.error().ToString());
    return *known;
  }
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) {
    const std::lock_guard lock(mutex_);
    tokens_.erase(digest);
    return Unauthenticated("token unknown");
  }
  ASSIGN_OR_RETURN(const Role role, ParseRole((*rows)[0].Text(1)));
  Principal machine{std::string(kTokenPrefix) + (*rows)[0].Text(0), role};
  const std::lock_guard lock(mutex_);
  if (round != tokens_round_) return machine;  // It may just have been revoked.
  if (tokens_.size() >= kTokensKnownMax && !tokens_.contains(digest))
    tokens_.erase(std::ranges::min_element(
        tokens_, {}, [](const auto& entry) { return entry.second.answered; }));
  tokens_.insert_or_assign(digest, KnownToken{machine, now, now});
  return machine;
}

// Before and after the records change: an answer that is on its way must not be remembered.
void Users::ForgetToken(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::erase_if(tokens_, [&](const auto& entry) {
    return std::string_view(entry.second.machine.name).substr(kTokenPrefix.size()) == name;
  });
  ++tokens_round_;
}

Status Users::RevokeToken(const std::string& actor, const std::string& name) {
  ForgetToken(name);
  const Status revoked = records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(const int64_t gone, records_.Run("DELETE FROM tokens WHERE name=?", {name}));
    if (gone == 0) return NotFound("token unknown: {}", name.substr(0, 64));
    TRY(audit_.Append(actor, "token.revoke", name, "", Json::object()));
    return {};
  });
  ForgetToken(name);
  return revoked;
}

Result<Json> Users::TokensJson() const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT name, role, created FROM tokens ORDER BY name"));
  return NamedRows(rows);
}

}  // namespace penstock::trust
