// Who did what, as a Merkle tree after RFC 6962: a leaf cannot change or vanish without the root telling.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"

namespace penstock::trust {

struct AuditEntry {
  uint64_t leaf = 0;
  Time at;
  std::string actor;
  std::string action;   // "alarm.verdict", "user.login", "model.activate" ...
  std::string subject;  // "A-1042"
  std::string trace;    // Hex trace id, or "".
  Json detail;
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;
  static Result<std::unique_ptr<AuditLog>> Open(storage::Records& records, const Clock& clock);
  // Durable when it returns. Returns the leaf's index.
  virtual Result<uint64_t> Append(const std::string& actor, const std::string& action,
                                  const std::string& subject, const std::string& trace, const Json& detail) = 0;
  virtual uint64_t size() const = 0;
  virtual Sha256 Root() const = 0;  // MTH(D[n]), RFC 6962 section 2.1.
  // Inclusion proof of a leaf in the present tree, checked against Root().
  virtual Result<std::vector<Sha256>> Prove(uint64_t leaf) const = 0;
  virtual Result<bool> Verify(uint64_t leaf) const = 0;  // Recomputes the leaf from the stored entry.
  virtual Result<std::vector<AuditEntry>> List(uint64_t after, size_t limit) const = 0;
  virtual Result<std::vector<AuditEntry>> OfTrace(const std::string& trace) const = 0;
};

}  // namespace penstock::trust
