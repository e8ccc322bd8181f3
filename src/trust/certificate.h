// Keys, signing requests and X.509 certificates as PEM text, by OpenSSL.
//
// Keys are EC P-256 (FIPS 186-5), certificates RFC 5280 version 3 with SHA-256. Nothing here keeps
// a secret longer than the call; errors name what was wrong, never the key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::trust {

struct Certificate {
  std::string subject;             // Common name: "edge-7".
  std::string issuer;              // The issuer's common name.
  std::string serial;              // Lower-case hex.
  std::string fingerprint;         // SHA-256 of the DER form, lower-case hex.
  Time from, to;                   // Valid.
  std::vector<std::string> names;  // Subject alternative names: DNS names and addresses.
  bool authority = false;          // May issue others.
};

// The first certificate of a PEM text. kInvalidArgument when there is none.
Result<Certificate> ReadCertificate(std::string_view pem);

Result<std::string> MakeKey();  // A new private key, PKCS#8 PEM.
// A PKCS#10 signing request for `key`, with the common name `name`.
Result<std::string> MakeRequest(std::string_view key_pem, const std::string& name);
// kInvalidArgument unless `key` is the private key of the certificate.
Status CheckPair(std::string_view certificate_pem, std::string_view key_pem);

struct IssueOptions {
  std::string name;                // The common name.
  std::vector<std::string> names;  // Subject alternative names of a server.
  Time from, to;
  enum class Use { kAuthority, kServer, kClient } use = Use::kClient;
};

// Signs a certificate for the public key of `subject_key` (a private key's PEM).
// `issuer` empty: signed by itself.
Result<std::string> IssueForKey(const IssueOptions& options, std::string_view subject_key_pem,
                                std::string_view issuer_pem, std::string_view issuer_key_pem);
// The same for a signing request: only its public key is taken, after its signature was checked and
// its strength found enough (EC of 256 bits or more, RSA of 2048 or more, Ed25519).
Result<std::string> IssueForRequest(const IssueOptions& options, std::string_view request_pem,
                                    std::string_view issuer_pem, std::string_view issuer_key_pem);

// Writes a file that only its owner may read, from its first byte on.
Status WriteSecretFile(const std::string& path, std::string_view content);

}  // namespace penstock::trust
