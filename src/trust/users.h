// People and machines: who they are, how they prove it, what role they have.
//
// Passwords are kept as argon2id (RFC 9106) with OWASP's parameters; sessions and tokens only as SHA-256 of a random 256-bit
// secret. Sessions run on real time: at most 12 h, 1 h without a request. Failed log-ins of a name or from
// an address make the next try wait, doubling up to a minute.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
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

class Users {
 public:
  // `real_clock` is real time, also beside a plant in time-lapse. All three outlive the users.
  static Result<std::unique_ptr<Users>> Open(storage::Records& records, const Clock& real_clock, AuditLog& audit);

  bool setup_needed() const;        // Nobody is admin yet.
  std::string SetupToken() const;   // Made anew at each Open while set-up is needed; "" otherwise.
  Result<Principal> Setup(const std::string& token, const std::string& name, const std::string& password);

  // Returns the session's secret, for the cookie. kUnauthenticated without telling which of name or password was wrong.
  Result<std::string> Login(const std::string& name, const std::string& password, const std::string& remote);
  Result<Principal> BySession(const std::string& secret);
  void Logout(const std::string& secret);

  Status AddUser(const std::string& actor, const std::string& name, Role role, const std::string& password);
  Status RemoveUser(const std::string& actor, const std::string& name);  // Never the last admin.
  Result<Json> UsersJson() const;

  // Returns the secret; it is shown once. An existing token of that name is replaced.
  Result<std::string> CreateToken(const std::string& actor, const std::string& name, Role role);
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
  Status Insert(const std::string& name, Role role, const std::string& password);
  Status CheckWait(const std::string& key);
  void Failed(const std::string& key);
  Result<int64_t> Admins() const;

  storage::Records& records_;
  const Clock& clock_;
  AuditLog& audit_;
  mutable std::mutex mutex_;
  std::string setup_token_;
  std::map<std::string, Wait> waits_;  // Bounded; by name and by address.
};

}  // namespace penstock::trust
