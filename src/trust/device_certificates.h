// Which devices and edges may come in by certificate: invitations (one-time tokens), what was
// issued for them, what was revoked. A name is fixed by whoever invites; the device only proves
// that it has a key.
//
// Thread rule: any thread. Resolve is asked for every request and looks only into memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "storage/records.h"
#include "trust/audit_log.h"
#include "trust/certificate_authority.h"
#include "trust/principal.h"
#include "trust/tls.h"

namespace penstock::trust {

inline constexpr Duration kInvitationLifetime = std::chrono::hours(24);
inline constexpr size_t kDeviceNameMax = 24;  // a-z, 0-9 and -, as an edge's name in frames.

Status CheckDeviceName(const std::string& name);

class DeviceCertificates {
 public:
  // All three outlive the result. `real_clock`: certificates live on real time.
  static Result<std::unique_ptr<DeviceCertificates>> Open(storage::Records& records,
                                                          const Clock& real_clock, AuditLog& audit);

  // Returns the token's secret; it is shown once and replaces an earlier invitation of that name.
  Result<std::string> Invite(const std::string& actor, const std::string& name);
  // Uses the invitation up. What the name had before is revoked: a device has one key.
  // kUnauthenticated for a token that is unknown, used or too old, without telling which.
  struct Issued {
    std::string name, certificate;  // PEM.
  };
  Result<Issued> Enrol(const std::string& token, const std::string& request_pem,
                       const CertificateAuthority& authority, const std::string& remote);
  // A new certificate for a name that has a valid one; the old one stays valid until it expires.
  Result<Issued> Renew(const Principal& device, const std::string& request_pem,
                       const CertificateAuthority& authority);
  // All certificates and invitations of a name, from the next request on. kNotFound: has none.
  Status Revoke(const std::string& actor, const std::string& name);

  // Who shows this certificate. kUnauthenticated when it is not one of ours, or revoked.
  Result<Principal> Resolve(const TlsPeer& peer) const;

  // [{"name", "state": "invited" | "enrolled" | "revoked" | "expired", "until", ...}]
  Result<Json> ToJson() const;

 private:
  DeviceCertificates(storage::Records& records, const Clock& clock, AuditLog& audit)
      : records_(records), clock_(clock), audit_(audit) {}
  Status Load();
  Result<Issued> Store(const std::string& actor, const std::string& action, const std::string& name,
                       const std::string& certificate, const std::string& token_hash);

  storage::Records& records_;
  const Clock& clock_;
  AuditLog& audit_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> names_;  // Fingerprint -> name; of those in force.
};

}  // namespace penstock::trust
