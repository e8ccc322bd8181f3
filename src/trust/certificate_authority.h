// The node's own certificate authority: one key that issues the certificates of this node's
// listeners and of the devices and edges that enrolled here.
//
// FOLDER/ca.key (mode 0600) and FOLDER/ca.pem. Issuing is audited by the caller.
// Thread rule: any thread; it never changes once open.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::trust {

inline constexpr Duration kAuthorityLifetime = std::chrono::hours(24 * 3650);
inline constexpr Duration kServerLifetime = std::chrono::hours(24 * 90);
inline constexpr Duration kDeviceLifetime = std::chrono::hours(24 * 90);

class CertificateAuthority {
 public:
  // Makes key and certificate when the folder has neither. kDataLoss when only one is there or they
  // do not belong together: a new authority would shut out every device, so a person decides.
  static Result<std::unique_ptr<CertificateAuthority>> Open(const std::string& folder,
                                                            const std::string& site,
                                                            const Clock& real_clock);

  const std::string& certificate() const { return certificate_; }  // PEM; not secret.
  const std::string& file() const { return file_; }

  // A server's certificate for its names and addresses.
  Result<std::string> IssueServer(const std::string& key_pem,
                                  const std::vector<std::string>& names) const;
  // A device's or an edge's, for the key of its signing request. `name` is the issuer's choice.
  Result<std::string> IssueDevice(const std::string& request_pem, const std::string& name,
                                  Duration lifetime = kDeviceLifetime) const;

 private:
  CertificateAuthority(std::string file, const Clock& clock)
      : file_(std::move(file)), clock_(clock) {}
  const std::string file_;
  const Clock& clock_;
  std::string certificate_, key_;
};

}  // namespace penstock::trust
