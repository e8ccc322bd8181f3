// People and machines: who they are, how they prove it, what role they have.
//
// Passwords are kept as argon2id (RFC 9106) with OWASP's parameters; sessions and tokens only as
// SHA-256 of a random 256-bit secret. Sessions run on real time: at most 12 h, 1 h without a
// request. Failed log-ins of a name or from an address make the next try wait, doubling up to a
// minute; at most two passwords are hashed at a time, because each takes 19 MiB.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"
#include "trust/audit_log.h"
#include "trust/principal.h"

namespace penstock::trust {

inline constexpr Duration kSessionMax = std::chrono::hours(12);
inline constexpr Duration kSessionIdleMax = std::chrono::hours(1);
inline constexpr size_t kPasswordMin = 10;

// One node writes the records, and it forgets what it knows of tokens whenever they change; so for
// kTokenFresh nobody asks the records again. How long a token is believed while they are away:
inline constexpr Duration kTokenFresh = std::chrono::seconds(10);
inline constexpr Duration kTokenRemembered = std::chrono::minutes(15);
inline constexpr size_t kTokensKnownMax = 4096;

class Users {
 public:
  // `real_clock` is real time, also beside a plant in time-lapse. All three outlive the users.
  static Result<std::unique_ptr<Users>> Open(storage::Records& records, const Clock& real_clock,
                                             AuditLog& audit);

  bool setup_needed() const;       // Nobody is admin yet.
  std::string SetupToken() const;  // Made anew at each Open while set-up is needed; "" otherwise.
  Result<Principal> Setup(const std::string& token, const std::string& name,
                          const std::string& password);

  // Returns the session's secret, for the cookie. kUnauthenticated without telling which of name or
  // password was wrong. kResourceExhausted while the name or the address has to wait. `remote`: the
  // client's address.
  Result<std::string> Login(const std::string& name, const std::string& password,
                            const std::string& remote);
  Result<Principal> BySession(const std::string& secret);
  void Logout(const std::string& secret);

  Status AddUser(const std::string& actor, const std::string& name, Role role,
                 const std::string& password);
  Status RemoveUser(const std::string& actor, const std::string& name);  // Never the last admin.
  Status SetRole(const std::string& actor, const std::string& name,
                 Role role);  // Nor down from the last admin.
  Status SetPassword(const std::string& actor, const std::string& name,
                     const std::string& password);  // Ends sessions.
  Result<Json> UsersJson() const;

  // Returns the secret; it is shown once. An existing token of that name is replaced.
  Result<std::string> CreateToken(const std::string& actor, const std::string& name, Role role);
  // While the records are away, whom they knew kTokenRemembered ago at most is still known; see
  // kTokenFresh, too. Nobody new is.
  Result<Principal> ByToken(const std::string& secret) const;
  Status RevokeToken(const std::string& actor, const std::string& name);
  Result<Json> TokensJson() const;

 private:
  struct Wait {
    int failures = 0;
    Time until;
  };
  Users(storage::Records& records, const Clock& clock, AuditLog& audit);
  Status Load();
  Status Insert(const std::string& name, Role role, const std::string& hash);
  Status CheckWait(const std::string& key);
  void Failed(const std::string& key);
  Result<int64_t> Admins() const;
  Result<std::string> Hash(const std::string& password);
  Result<bool> Matches(const std::string& hash, const std::string& password);
  Result<Role> RoleOf(const std::string& name) const;
  Status KeepAnAdmin(const std::string& name) const;
  void ForgetToken(const std::string& name);

  storage::Records& records_;
  const Clock& clock_;
  AuditLog& audit_;
  mutable std::mutex mutex_;
  std::string setup_token_;
  std::string nobodys_hash_;  // So that a name nobody has takes as long as a wrong password.
  std::counting_semaphore<2> hashing_{2};
  std::map<std::string, Wait> waits_;  // Bounded; by name and by address.
  struct KnownToken {
    Principal machine;
    Time asked, answered;  // The records, last; and when they answered last.
  };
  mutable std::map<std::string, KnownToken> tokens_;  // By digest; bounded.
  mutable uint64_t tokens_round_ = 0;                 // Changes when tokens do.
};

}  // namespace penstock::trust
