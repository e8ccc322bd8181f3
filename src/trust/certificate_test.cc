#include "trust/certificate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "storage/temporary_folder.h"
#include "trust/certificate_authority.h"
#include "trust/device_certificates.h"
#include "trust/tls.h"

namespace penstock::trust {
namespace {

using std::chrono::hours;

const Time kIssuedAt = ParseTime("2026-03-01T00:00:00Z").value();

class CertificateTest : public testing::Test {
 protected:
  std::unique_ptr<CertificateAuthority> Authority() {
    return std::move(CertificateAuthority::Open(folder_.path(), "acme/cologne", clock_).value());
  }
  ManualClock clock_{kIssuedAt};
  storage::TemporaryFolder folder_;
};

TEST_F(CertificateTest, TheAuthorityIsMadeOnceAndKeptSecret) {
  const std::string first = Authority()->certificate();
  EXPECT_EQ(Authority()->certificate(), first);
  const auto facts = ReadCertificate(first).value();
  EXPECT_EQ(facts.subject, "Penstock CA acme/cologne");
  EXPECT_TRUE(facts.authority);
  struct stat info {};
  ASSERT_EQ(stat((folder_.path() + "/ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(CertificateTest, AnAuthorityWithoutItsKeyIsNotReplacedInSilence) {
  Authority();
  std::filesystem::remove(folder_.path() + "/ca.key");
  const auto lost = CertificateAuthority::Open(folder_.path(), "acme/cologne", clock_);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kDataLoss);
  EXPECT_NE(lost.error().fix.find("backup"), std::string::npos);
}

TEST_F(CertificateTest, IssuesForServersByNameAndAddress) {
  const auto authority = Authority();
  const std::string key = MakeKey().value();
  const std::string pem = authority->IssueServer(key, {"hub.acme.example", "127.0.0.1"}).value();
  const auto facts = ReadCertificate(pem).value();
  EXPECT_EQ(facts.names, (std::vector<std::string>{"hub.acme.example", "127.0.0.1"}));
  EXPECT_EQ(facts.issuer, "Penstock CA acme/cologne");
  EXPECT_EQ(facts.to, kIssuedAt + kServerLifetime);
  EXPECT_TRUE(CheckPair(pem, key));
  EXPECT_FALSE(CheckPair(pem, MakeKey().value()));
  EXPECT_FALSE(authority->IssueServer(key, {"x,DNS:evil.example"}));
}

TEST_F(CertificateTest, TakesOnlyTheKeyOfASigningRequest) {
  const auto authority = Authority();
  const std::string key = MakeKey().value();
  const std::string request = MakeRequest(key, "somebody-else").value();
  const std::string pem = authority->IssueDevice(request, "edge-7").value();
  EXPECT_EQ(ReadCertificate(pem).value().subject, "edge-7");
  EXPECT_FALSE(ReadCertificate(pem).value().authority);
  EXPECT_TRUE(CheckPair(pem, key));
  std::string forged = request;
  forged[request.size() / 2] = forged[request.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(authority->IssueDevice(forged, "edge-7"));
  EXPECT_FALSE(authority->IssueDevice("", "edge-7"));
  EXPECT_FALSE(authority->IssueDevice(std::string(100'000, 'x'), "edge-7"));
}

class DeviceCertificatesTest : public CertificateTest {
 protected:
  std::string Request() { return MakeRequest(MakeKey().value(), "edge").value(); }
  static TlsPeer PeerWith(const std::string& pem) {
    const auto facts = ReadCertificate(pem).value();
    return {facts.subject, facts.fingerprint};
  }
  std::unique_ptr<DeviceCertificates> Open() {
    return std::move(DeviceCertificates::Open(*records_, clock_, *audit_).value());
  }
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<AuditLog> audit_ = std::move(AuditLog::Open(*records_, clock_).value());
  std::unique_ptr<CertificateAuthority> authority_ = Authority();
  std::unique_ptr<DeviceCertificates> devices_ = Open();
};

TEST_F(DeviceCertificatesTest, ATokenWorksOnceAndFixesTheName) {
  const std::string token = devices_->Invite("ada", "edge-7").value();
  const auto issued = devices_->Enrol(token, Request(), *authority_, "10.0.0.7").value();
  EXPECT_EQ(issued.name, "edge-7");
  const auto who = devices_->Resolve(PeerWith(issued.certificate)).value();
  EXPECT_EQ(who.name, "device:edge-7");
  EXPECT_TRUE(who.Has(Role::kDevice) && !who.Has(Role::kViewer));
  EXPECT_EQ(devices_->Enrol(token, Request(), *authority_, "").error().code,
            Code::kUnauthenticated);
  EXPECT_EQ(Open()->Resolve(PeerWith(issued.certificate)).value().name, "device:edge-7");
}

TEST_F(DeviceCertificatesTest, ATokenAgesAndABadRequestDoesNotUseItUp) {
  const std::string token = devices_->Invite("ada", "edge-7").value();
  EXPECT_EQ(devices_->Enrol(token, "nonsense", *authority_, "").error().code,
            Code::kInvalidArgument);
  EXPECT_TRUE(devices_->Enrol(token, Request(), *authority_, ""));
  const std::string late = devices_->Invite("ada", "edge-8").value();
  clock_.Advance(hours(25));
  EXPECT_EQ(devices_->Enrol(late, Request(), *authority_, "").error().code, Code::kUnauthenticated);
  EXPECT_FALSE(devices_->Invite("ada", "Edge_8"));
}

TEST_F(DeviceCertificatesTest, RevocationAndEnrolmentAgainShutTheOldOneOut) {
  const auto first =
      devices_->Enrol(devices_->Invite("ada", "edge-7").value(), Request(), *authority_, "")
          .value();
  const auto renewed =
      devices_
          ->Renew(devices_->Resolve(PeerWith(first.certificate)).value(), Request(), *authority_)
          .value();
  EXPECT_TRUE(devices_->Resolve(PeerWith(first.certificate)));  // Until it expires.
  EXPECT_TRUE(devices_->Resolve(PeerWith(renewed.certificate)));
  const auto second =
      devices_->Enrol(devices_->Invite("ada", "edge-7").value(), Request(), *authority_, "")
          .value();
  EXPECT_FALSE(devices_->Resolve(PeerWith(renewed.certificate)));
  ASSERT_TRUE(devices_->Revoke("ada", "edge-7"));
  EXPECT_FALSE(devices_->Resolve(PeerWith(second.certificate)));
  EXPECT_FALSE(Open()->Resolve(PeerWith(second.certificate)));
  EXPECT_EQ(devices_->Revoke("ada", "edge-7").error().code, Code::kNotFound);
  EXPECT_EQ(devices_->ToJson().value()[0]["state"], "revoked");
  EXPECT_EQ(audit_->size(), 6U);
}

TEST_F(CertificateTest, TheServersCertificateIsRenewedInTime) {
  TlsOptions options;
  options.folder = folder_.path();
  options.site = "acme/cologne";
  options.names = {"localhost"};
  const auto tls = std::move(Tls::Open(options, clock_).value());
  const auto context = tls->context();
  EXPECT_FALSE(tls->Refresh().value());
  clock_.Advance(hours(24 * 61));
  EXPECT_TRUE(tls->Refresh().value());
  EXPECT_NE(tls->context(), context);
  const auto facts = ReadCertificate(ReadFile(tls->certificate_file()).value()).value();
  EXPECT_EQ(facts.to, clock_.Now() + kServerLifetime);
}

TEST_F(CertificateTest, FilesAreReadAgainAndBadOnesKeepTheOldContext) {
  const auto authority = Authority();
  const std::string key = MakeKey().value(), file = folder_.path() + "/a.pem",
                    key_file = folder_.path() + "/a.key";
  ASSERT_TRUE(WriteFileAtomically(file, authority->IssueServer(key, {"localhost"}).value()));
  ASSERT_TRUE(WriteSecretFile(key_file, key));
  TlsOptions options;
  options.folder = folder_.path() + "/tls";
  options.certificate_file = file;
  options.key_file = key_file;
  const auto tls = std::move(Tls::Open(options, clock_).value());
  const auto first = tls->context();
  ASSERT_TRUE(WriteFileAtomically(file, "not a certificate"));
  EXPECT_FALSE(tls->Refresh());
  ASSERT_TRUE(
      WriteFileAtomically(file, authority->IssueServer(MakeKey().value(), {"localhost"}).value()));
  const auto other = tls->Refresh();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("not that of the certificate"), std::string::npos);
  EXPECT_EQ(tls->context(), first);
  ASSERT_TRUE(WriteFileAtomically(file, authority->IssueServer(key, {"hub"}).value()));
  EXPECT_TRUE(tls->Refresh().value());
  EXPECT_NE(tls->context(), first);
}

}  // namespace
}  // namespace penstock::trust
