#include "trust/certificate_authority.h"

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "trust/certificate.h"

namespace penstock::trust {
namespace {

// Clocks of devices are often behind: a fresh certificate is already valid there.
constexpr Duration kBackdate = std::chrono::hours(1);

}  // namespace

Result<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Open(const std::string& folder,
                                                                         const std::string& site,
                                                                         const Clock& real_clock) {
  namespace fs = std::filesystem;
  TRY(MakeFolders(folder));
  std::unique_ptr<CertificateAuthority> authority(
      new CertificateAuthority(folder + "/ca.pem", real_clock));
  const std::string key_file = folder + "/ca.key";
  const bool has_key = fs::exists(key_file), has_certificate = fs::exists(authority->file_);
  if (!has_key && !has_certificate) {
    ASSIGN_OR_RETURN(authority->key_, MakeKey());
    IssueOptions options;
    options.name = ("Penstock CA " + site).substr(0, 64);
    options.from = real_clock.Now() - kBackdate;
    options.to = options.from + kAuthorityLifetime;
    options.use = IssueOptions::Use::kAuthority;
    ASSIGN_OR_RETURN(authority->certificate_, IssueForKey(options, authority->key_, "", ""));
    // The certificate last: a crash in between leaves a key alone, which the next start replaces.
    TRY(WriteSecretFile(key_file, authority->key_));
    TRY(WriteFileAtomically(authority->file_, authority->certificate_));
    LogInfo("tls: made the certificate authority \"{}\" in {}", options.name, folder);
    return authority;
  }
  if (has_key && !has_certificate) {
    std::error_code ignored;
    fs::remove(key_file, ignored);  // Never used: its certificate was not written.
    return Open(folder, site, real_clock);
  }
  if (!has_key) {
    auto error = DataLoss("the certificate authority's key is gone: {}", key_file);
    error.error().Fix("restore it from a backup, or remove ca.pem too and enrol every edge again");
    return error;
  }
  ASSIGN_OR_RETURN(authority->key_, ReadFile(key_file, 64 << 10));
  ASSIGN_OR_RETURN(authority->certificate_, ReadFile(authority->file_, 64 << 10));
  if (auto pair = CheckPair(authority->certificate_, authority->key_); !pair) {
    pair.error().code = Code::kDataLoss;
    pair.error().Where(authority->file_).Fix("restore ca.pem and ca.key from one backup");
    return std::unexpected(pair.error());
  }
  return authority;
}

Result<std::string> CertificateAuthority::IssueServer(const std::string& key_pem,
                                                      const std::vector<std::string>& names) const {
  IssueOptions options;
  options.name = names.empty() ? "penstock" : names.front().substr(0, 64);
  options.names = names;
  options.from = clock_.Now() - kBackdate;
  options.to = clock_.Now() + kServerLifetime;
  options.use = IssueOptions::Use::kServer;
  return IssueForKey(options, key_pem, certificate_, key_);
}

Result<std::string> CertificateAuthority::IssueDevice(const std::string& request_pem,
                                                      const std::string& name,
                                                      Duration lifetime) const {
  IssueOptions options;
  options.name = name;
  options.from = clock_.Now() - kBackdate;
  options.to = clock_.Now() + lifetime;
  options.use = IssueOptions::Use::kClient;
  return IssueForRequest(options, request_pem, certificate_, key_);
}

}  // namespace penstock::trust
