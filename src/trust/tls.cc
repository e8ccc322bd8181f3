// Each refresh makes a whole new SSL_CTX and swaps a shared pointer: connections keep the one that
// they began with, new ones take the new, and no half-changed state exists in between.
//
// Verification happens inside the handshake. The callback keeps OpenSSL's verdict and counts why;
// the client reads the matching TLS alert ("certificate expired", "unknown ca").
#include "trust/tls.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "trust/certificate.h"
#include "trust/openssl.h"

namespace penstock::trust {

using namespace openssl;

namespace {

constexpr size_t kTlsFileBytesMax = 256 << 10;
constexpr char kCiphers12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// A few reasons by name, so that the metric has few series.
std::string_view ReasonOf(int code) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate not yet valid";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "certificate self-signed";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "certificate of a foreign authority";
    case X509_V_ERR_INVALID_PURPOSE:
      return "certificate not for a client";
    default:
      return "certificate not valid";
  }
}

int OnVerify(int accepted, X509_STORE_CTX* context) {
  if (accepted == 0) {
    const auto reason = ReasonOf(X509_STORE_CTX_get_error(context));
    CountTlsRefusal(reason);
    LogSometimes(LogLevel::kWarn, "tls-client", fmt::format("tls: client refused: {}", reason));
  }
  return accepted;
}

int OnAlpn(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
           unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kHttp11, sizeof kHttp11, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301, section 3.2.
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// The leaf, then what else the text has: intermediates, in their order.
Status UseChain(SSL_CTX* context, const std::string& pem) {
  const Bio bio = TextBio(pem);
  const Cert leaf(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return Failed("tls: the certificate cannot be used");
  while (X509* more = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    if (SSL_CTX_add0_chain_cert(context, more) != 1) {
      X509_free(more);
      return Failed("tls: the certificate's chain cannot be used");
    }
  ERR_clear_error();  // The end of the text.
  return {};
}

Status UseKey(SSL_CTX* context, const std::string& pem) {
  const Bio bio = TextBio(pem);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return Failed("tls: the private key cannot be used with the certificate");
  return {};
}

Status TrustForClients(SSL_CTX* context, const std::string& authority_pem) {
  const Bio bio = TextBio(authority_pem);
  const Cert authority(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  if (!authority || X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
      SSL_CTX_add_client_CA(context, authority.get()) != 1)
    return Failed("tls: the authority's certificate cannot be used");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, OnVerify);
  return {};
}

Result<Tls::Context> MakeContext(const std::string& certificate, const std::string& key,
                                 const std::string& authority) {
  Tls::Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return Failed("tls: out of memory");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // Many idle connections: no buffers between records.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers12) != 1)
    return Failed("tls: no such ciphers");
  SSL_CTX_set_alpn_select_cb(context.get(), OnAlpn, nullptr);
  TRY(UseChain(context.get(), certificate));
  TRY(UseKey(context.get(), key));
  TRY(TrustForClients(context.get(), authority));
  return context;
}

Result<std::string> ReadPem(const std::string& path) {
  auto text = ReadFile(path, kTlsFileBytesMax);
  if (!text) text.error().Fix("tls: {mode: files, certificate: PATH, key: PATH}, PEM files");
  return text;
}

bool HasAll(const std::vector<std::string>& have, const std::vector<std::string>& wanted) {
  for (const std::string& name : wanted)
    if (name.find(':') == std::string::npos &&  // IPv6 is printed in many ways.
        std::find(have.begin(), have.end(), name) == have.end())
      return false;
  return true;
}

}  // namespace

void CountTlsRefusal(std::string_view reason) {
  Counter("penstock_tls_refused_total", "TLS handshakes that ended without a connection",
          fmt::format("reason=\"{}\"", reason))
      .Add();
}

Result<std::unique_ptr<Tls>> Tls::Open(TlsOptions options, const Clock& real_clock) {
  std::unique_ptr<Tls> tls(new Tls(std::move(options), real_clock));
  ASSIGN_OR_RETURN(tls->authority_, CertificateAuthority::Open(tls->options_.folder,
                                                               tls->options_.site, real_clock));
  TRY(tls->Refresh());
  return tls;
}

Tls::Context Tls::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

std::string Tls::certificate_file() const {
  return own() ? options_.folder + "/server.pem" : options_.certificate_file;
}

Result<bool> Tls::Refresh() { return own() ? RenewOwn() : ReadAgain(); }

Result<bool> Tls::RenewOwn() {
  const std::string file = certificate_file(), key_file = options_.folder + "/server.key";
  auto certificate = ReadFile(file, kTlsFileBytesMax), key = ReadFile(key_file, kTlsFileBytesMax);
  bool fresh = false;
  if (certificate && key && CheckPair(*certificate, *key)) {
    ASSIGN_OR_RETURN(const Certificate facts, ReadCertificate(*certificate));
    fresh = facts.to - clock_.Now() > kServerLifetime / 3 && HasAll(facts.names, options_.names);
  }
  if (!fresh) {
    if (!key) {
      ASSIGN_OR_RETURN(key, MakeKey());
      TRY(WriteSecretFile(key_file, *key));
    }
    ASSIGN_OR_RETURN(certificate, authority_->IssueServer(*key, options_.names));
    TRY(WriteFileAtomically(file, *certificate));
    LogInfo("tls: made a certificate for {}", fmt::join(options_.names, ", "));
  }
  if (*certificate == in_use_) return false;
  TRY(Use(*certificate, *key));
  return true;
}

Result<bool> Tls::ReadAgain() {
  ASSIGN_OR_RETURN(const std::string certificate, ReadPem(options_.certificate_file));
  ASSIGN_OR_RETURN(const std::string key, ReadPem(options_.key_file));
  if (certificate == in_use_) return false;
  if (auto pair = CheckPair(certificate, key); !pair)
    return std::unexpected(pair.error().Where(options_.key_file));
  ASSIGN_OR_RETURN(const Certificate facts, ReadCertificate(certificate));
  if (facts.to < clock_.Now()) {
    auto error = InvalidArgument("the certificate expired at {}", FormatTime(facts.to));
    error.error().Where(options_.certificate_file).Fix("put a newer one there; it is read again");
    // At the start this ends the node; later the old one stays, which cannot be better.
    if (in_use_.empty()) return error;
  }
  TRY(Use(certificate, key));
  return true;
}

Status Tls::Use(const std::string& certificate, const std::string& key) {
  ASSIGN_OR_RETURN(Context fresh, MakeContext(certificate, key, authority_->certificate()));
  const bool first = in_use_.empty();
  in_use_ = certificate;
  {
    const std::lock_guard lock(mutex_);
    context_ = std::move(fresh);
  }
  if (!first) LogInfo("tls: new certificate in use, from {}", certificate_file());
  return {};
}

TlsPeer PeerOf(ssl_st* connection) {
  TlsPeer peer;
  const std::unique_ptr<X509, decltype(&X509_free)> cert(SSL_get1_peer_certificate(connection),
                                                         X509_free);
  if (!cert || SSL_get_verify_result(connection) != X509_V_OK) return peer;
  const int at = X509_NAME_get_index_by_NID(X509_get_subject_name(cert.get()), NID_commonName, -1);
  if (at < 0) return peer;
  const ASN1_STRING* name =
      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(cert.get()), at));
  peer.name.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name)),
                   static_cast<size_t>(ASN1_STRING_length(name)));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(cert.get(), EVP_sha256(), digest.data(), &size) != 1) return {};
  peer.fingerprint = ToHex(ByteView(digest.data(), size));
  return peer;
}

}  // namespace penstock::trust
