// Who did what, as a Merkle tree after RFC 6962: a leaf cannot change or vanish without the root
// telling. Bytes of a leaf: docs/formats/audit.md.
//
// Thread rule: any thread. Append may be called inside a Records::Transaction and goes or stays
// with it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

// All that somebody needs to check one leaf; of one state of the tree, also while leaves are added.
struct AuditProof {
  uint64_t size = 0;
  Sha256 root{}, leaf_hash{};  // The leaf's hash is made from the stored entry.
  std::vector<Sha256> path;
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;
  static Result<std::unique_ptr<AuditLog>> Open(storage::Records& records, const Clock& clock);
  // Durable when it returns. Returns the leaf's index.
  virtual Result<uint64_t> Append(const std::string& actor, const std::string& action,
                                  const std::string& subject, const std::string& trace,
                                  const Json& detail) = 0;
  virtual uint64_t size() const = 0;
  virtual Sha256 Root() const = 0;  // MTH(D[n]), RFC 6962 section 2.1.
  // Inclusion proof of a leaf in the present tree, checked against Root().
  virtual Result<std::vector<Sha256>> Prove(uint64_t leaf) const = 0;
  virtual Result<AuditProof> ProofOf(uint64_t leaf) const = 0;
  virtual Result<bool> Verify(
      uint64_t leaf) const = 0;  // Recomputes the leaf from the stored entry.
  // Leaves from `after` on, in order: 0 begins, the last leaf plus one goes on.
  virtual Result<std::vector<AuditEntry>> List(uint64_t after, size_t limit) const = 0;
  virtual Result<std::vector<AuditEntry>> OfTrace(const std::string& trace) const = 0;
};

// RFC 6962 section 2.1, for whoever checks a proof without the log.
Sha256 LeafHash(ByteView entry);
Sha256 NodeHash(const Sha256& left, const Sha256& right);
// The root that `path` leads to from `leaf_hash` at position `leaf` of `size`; nothing when the
// path has a wrong length.
std::optional<Sha256> RootOfPath(const Sha256& leaf_hash, uint64_t leaf, uint64_t size,
                                 std::span<const Sha256> path);

}  // namespace penstock::trust
