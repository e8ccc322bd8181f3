// Titles: what somebody answers for at the plant ("plant-manager"), beside the access role. A title
// gives no access; it says whose signature a stage gate takes.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/records.h"
#include "trust/audit_log.h"

namespace penstock::trust {

inline constexpr size_t kTitlesMax = 16;  // Of one user.

class Titles {
 public:
  // After Users::Open, whose table it refers to: a removed user holds nothing. Both outlive it.
  static Result<std::unique_ptr<Titles>> Open(storage::Records& records, AuditLog& audit);

  // Replaces what the user holds, with an audit entry "user.titles" that says from what to what.
  // kNotFound: no such user. kInvalidArgument with a pointer into `titles`: not 1 to 64 of a-z, 0-9
  // and -, or the name of an access role.
  Status Set(const std::string& actor, const std::string& user, std::vector<std::string> titles);
  Result<std::vector<std::string>> Of(const std::string& user) const;
  Result<std::vector<std::string>> Holders(const std::string& title) const;  // Users, by name.

 private:
  Titles(storage::Records& records, AuditLog& audit) : records_(records), audit_(audit) {}
  storage::Records& records_;
  AuditLog& audit_;
};

}  // namespace penstock::trust
