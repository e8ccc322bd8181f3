// What a listener needs to speak TLS: the present certificate, key and rules, renewed while the
// node runs. TLS 1.2 (ECDHE with AEAD ciphers only) and 1.3; no session is resumed, so a revoked
// device cannot come back by an old ticket.
//
// A client may show a certificate; it is checked against the authority, and a bad one ends the
// handshake and is counted with its reason (penstock_tls_refused_total). Who needs one is decided
// above, by route.
//
// Thread rule: context() from any thread; Refresh from one.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "trust/certificate_authority.h"

struct ssl_ctx_st;
struct ssl_st;

namespace penstock::trust {

struct TlsOptions {
  std::string folder;              // Of ca.key, ca.pem, server.key, server.pem: DATA/tls.
  std::string site;                // For the authority's name.
  std::vector<std::string> names;  // Host names and addresses that clients will use.
  // Both set: these files instead of a certificate of the own authority.
  std::string certificate_file, key_file;
};

// A client's certificate that was checked in the handshake.
struct TlsPeer {
  std::string name;         // Its common name; "" when the client showed none.
  std::string fingerprint;  // SHA-256, lower-case hex.
};

class Tls {
 public:
  using Context = std::shared_ptr<ssl_ctx_st>;

  static Result<std::unique_ptr<Tls>> Open(TlsOptions options, const Clock& real_clock);

  // For new connections. Shared with the connections that were begun with it.
  Context context() const;
  // Renews the certificate when a third of its life is left or the names changed; reads files again
  // that changed. What is bad keeps the old one, and the error says why. True: there is a new
  // context.
  Result<bool> Refresh();

  const CertificateAuthority& authority() const { return *authority_; }
  // What a client on this machine may trust to reach this node.
  std::string certificate_file() const;

 private:
  Tls(TlsOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  Result<bool> RenewOwn();
  Result<bool> ReadAgain();
  Status Use(const std::string& certificate, const std::string& key);
  bool own() const { return options_.certificate_file.empty(); }

  const TlsOptions options_;
  const Clock& clock_;
  std::unique_ptr<CertificateAuthority> authority_;
  std::string in_use_;  // The certificate's text, to see a change.
  mutable std::mutex mutex_;
  Context context_;
};

// Of a connection after its handshake.
TlsPeer PeerOf(ssl_st* connection);
// Counts a handshake that failed; `reason` in a few words, as a metric's label.
void CountTlsRefusal(std::string_view reason);

}  // namespace penstock::trust
