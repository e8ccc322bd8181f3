// OpenSSL's objects live only inside these functions; texts go in and out, so that nothing else of
// the program depends on how the library counts its references.
//
// A signing request is a stranger's text: it is bounded, its own signature must be right (so that
// nobody has a certificate made for a key that is not his), and of all it asks for only the public
// key is taken. Name, use and lifetime are the issuer's.
#include "trust/certificate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "base/bytes.h"
#include "base/file.h"
#include "trust/openssl.h"

namespace penstock::trust {

using namespace openssl;

namespace {

constexpr size_t kPemBytesMax = 64 << 10;

Result<Bio> PemBio(std::string_view text, std::string_view what) {
  if (text.size() > kPemBytesMax)
    return InvalidArgument("{} of {} bytes; at most {}", what, text.size(), kPemBytesMax);
  Bio bio = TextBio(text);
  if (!bio) return Failed("out of memory");
  return bio;
}

Result<Key> ReadKey(std::string_view pem) {
  ASSIGN_OR_RETURN(const Bio bio, PemBio(pem, "private key"));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (!key) return Failed("not a private key in PEM without a password");
  return key;
}

Result<Cert> ReadCert(std::string_view pem) {
  ASSIGN_OR_RETURN(const Bio bio, PemBio(pem, "certificate"));
  Cert cert(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  if (!cert) return Failed("not a certificate in PEM");
  return cert;
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string CommonName(X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return "";
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return "";
  std::string result(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return result;
}

Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return Time();
  return Time(std::chrono::seconds(timegm(&parts)));
}

Status SetTime(ASN1_TIME* field, Time time) {
  if (ASN1_TIME_set(field, static_cast<time_t>(ToMicros(time) / 1'000'000)) == nullptr)
    return Failed("cannot set a certificate's time");
  return {};
}

std::string AddressText(const ASN1_OCTET_STRING* bytes) {
  const unsigned char* b = ASN1_STRING_get0_data(bytes);
  if (ASN1_STRING_length(bytes) == 4) return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
  return "[" + ToHex(ByteView(b, static_cast<size_t>(ASN1_STRING_length(bytes)))) + "]";
}

std::vector<std::string> NamesOf(X509* cert) {
  std::vector<std::string> result;
  const Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS)
      result.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                          static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    else if (name->type == GEN_IPADD)
      result.push_back(AddressText(name->d.iPAddress));
  }
  return result;
}

Status AddExtension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(cert, extension.get(), -1) != 1)
    return Failed("cannot add an extension to a certificate");
  return {};
}

// Names reach OpenSSL's little configuration language: nothing but these may.
bool IsPlainName(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (const char c : name)
    if (!(std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == ':' ||
          c == '_'))
      return false;
  return true;
}

bool IsAddress(const std::string& name) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str());
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return address != nullptr;
}

Status AddExtensions(X509* cert, X509* issuer, const IssueOptions& options) {
  using Use = IssueOptions::Use;
  const bool authority = options.use == Use::kAuthority;
  TRY(AddExtension(cert, issuer, NID_basic_constraints,
                   authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"));
  TRY(AddExtension(cert, issuer, NID_key_usage,
                   authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"));
  TRY(AddExtension(cert, issuer, NID_subject_key_identifier, "hash"));
  if (!authority) {
    TRY(AddExtension(cert, issuer, NID_authority_key_identifier, "keyid:always"));
    TRY(AddExtension(cert, issuer, NID_ext_key_usage,
                     options.use == Use::kServer ? "serverAuth" : "clientAuth"));
  }
  std::string names;
  for (const std::string& name : options.names) {
    if (!IsPlainName(name))
      return InvalidArgument("\"{}\" is no host name or address for a certificate",
                             name.substr(0, 80));
    names += (names.empty() ? "" : ",") + std::string(IsAddress(name) ? "IP:" : "DNS:") + name;
  }
  if (names.empty()) return {};
  return AddExtension(cert, issuer, NID_subject_alt_name, names);
}

// 159 random bits: positive, and within RFC 5280's 20 octets.
Status SetSerial(X509* cert) {
  const Number serial(BN_new());
  if (!serial || BN_rand(serial.get(), 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(cert)) == nullptr)
    return Failed("cannot make a serial number");
  return {};
}

Result<std::string> Issue(const IssueOptions& options, EVP_PKEY* subject_key,
                          std::string_view issuer_pem, EVP_PKEY* issuer_key) {
  if (options.name.empty() || options.name.size() > 64)
    return InvalidArgument("a certificate's name has 1 to 64 characters, not {}",
                           options.name.size());
  Cert cert(X509_new()), issuer;
  if (!issuer_pem.empty()) {
    ASSIGN_OR_RETURN(issuer, ReadCert(issuer_pem));
  }
  X509* signer = issuer ? issuer.get() : cert.get();
  if (!cert || X509_set_version(cert.get(), X509_VERSION_3) != 1) return Failed("out of memory");
  TRY(SetSerial(cert.get()));
  TRY(SetTime(X509_getm_notBefore(cert.get()), options.from));
  TRY(SetTime(X509_getm_notAfter(cert.get()), options.to));
  if (X509_NAME_add_entry_by_NID(X509_get_subject_name(cert.get()), NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(options.name.data()),
                                 static_cast<int>(options.name.size()), -1, 0) != 1 ||
      X509_set_issuer_name(cert.get(), X509_get_subject_name(signer)) != 1 ||
      X509_set_pubkey(cert.get(), subject_key) != 1)
    return Failed("cannot fill a certificate");
  TRY(AddExtensions(cert.get(), signer, options));
  if (X509_sign(cert.get(), issuer_key, EVP_sha256()) == 0)
    return Failed("cannot sign a certificate");
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), cert.get()) != 1)
    return Failed("cannot write a certificate");
  return TextOf(bio.get());
}

bool StrongEnough(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      return bits >= 256;
    case EVP_PKEY_RSA:
      return bits >= 2048 && bits <= 8192;
    case EVP_PKEY_ED25519:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Certificate> ReadCertificate(std::string_view pem) {
  ASSIGN_OR_RETURN(const Cert cert, ReadCert(pem));
  Certificate facts;
  facts.subject = CommonName(X509_get_subject_name(cert.get()));
  facts.issuer = CommonName(X509_get_issuer_name(cert.get()));
  const Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert.get()), nullptr));
  if (serial) {
    Bytes bytes(static_cast<size_t>(BN_num_bytes(serial.get())));
    BN_bn2bin(serial.get(), bytes.data());
    facts.serial = ToHex(bytes);
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(cert.get(), EVP_sha256(), digest, &size) != 1)
    return Failed("cannot take a certificate's fingerprint");
  facts.fingerprint = ToHex(ByteView(digest, size));
  facts.from = TimeOf(X509_get0_notBefore(cert.get()));
  facts.to = TimeOf(X509_get0_notAfter(cert.get()));
  facts.names = NamesOf(cert.get());
  facts.authority = X509_check_ca(cert.get()) == 1;
  return facts;
}

Result<std::string> MakeKey() {
  const Key key(EVP_EC_gen("P-256"));
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!key || !bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1)
    return Failed("cannot make a key");
  return TextOf(bio.get());
}

Result<std::string> MakeRequest(std::string_view key_pem, const std::string& name) {
  ASSIGN_OR_RETURN(const Key key, ReadKey(key_pem));
  const Csr request(X509_REQ_new());
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!request || !bio ||
      X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request.get()), NID_commonName,
                                 MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return Failed("cannot make a signing request");
  return TextOf(bio.get());
}

Status CheckPair(std::string_view certificate_pem, std::string_view key_pem) {
  ASSIGN_OR_RETURN(const Cert cert, ReadCert(certificate_pem));
  ASSIGN_OR_RETURN(const Key key, ReadKey(key_pem));
  if (X509_check_private_key(cert.get(), key.get()) == 1) return {};
  ERR_clear_error();
  return InvalidArgument("the private key is not that of the certificate");
}

Result<std::string> IssueForKey(const IssueOptions& options, std::string_view subject_key_pem,
                                std::string_view issuer_pem, std::string_view issuer_key_pem) {
  ASSIGN_OR_RETURN(const Key subject_key, ReadKey(subject_key_pem));
  if (issuer_pem.empty()) return Issue(options, subject_key.get(), "", subject_key.get());
  ASSIGN_OR_RETURN(const Key issuer_key, ReadKey(issuer_key_pem));
  return Issue(options, subject_key.get(), issuer_pem, issuer_key.get());
}

Result<std::string> IssueForRequest(const IssueOptions& options, std::string_view request_pem,
                                    std::string_view issuer_pem, std::string_view issuer_key_pem) {
  ASSIGN_OR_RETURN(const Bio bio, PemBio(request_pem, "signing request"));
  const Csr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassword, nullptr));
  if (!request) return Failed("not a signing request in PEM (PKCS#10)");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) return Failed("the signing request has no public key that is known here");
  if (!StrongEnough(key))
    return InvalidArgument(
        "the signing request's key is too weak or of a strange kind ({} bits); use EC P-256",
        EVP_PKEY_get_bits(key));
  if (X509_REQ_verify(request.get(), key) != 1)
    return Failed("the signing request is not signed by its own key");
  ASSIGN_OR_RETURN(const Key issuer_key, ReadKey(issuer_key_pem));
  return Issue(options, key, issuer_pem, issuer_key.get());
}

Status WriteSecretFile(const std::string& path, std::string_view content) {
  // The temporary file of WriteFileAtomically is made first, with the mode that it then keeps.
  const std::string temporary = path + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    auto error = FromErrno(errno, "cannot create");
    error.error().Where(temporary);
    return error;
  }
  const bool closed = fchmod(fd, 0600) == 0;
  close(fd);
  if (!closed) return InvalidArgument("cannot keep {} from others", temporary);
  return WriteFileAtomically(path, content);
}

}  // namespace penstock::trust
