// A certificate is let in when two things hold: OpenSSL found it signed by our authority and in
// time, and its fingerprint stands in the table as not revoked. The second makes a revocation work
// on the next request of a connection that is open already, and shuts out whatever the authority's
// key might sign behind our back.
//
// Tokens are kept as SHA-256 of a random 256-bit secret, as all tokens here.
#include "trust/device_certificates.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/metrics.h"
#include "trust/certificate.h"

namespace penstock::trust {
namespace {

std::string HashOf(const std::string& secret) { return ToHex(Sha256Of(AsBytes(secret))); }

std::unexpected<Error> NoSuchToken() {
  auto error = Unauthenticated("the enrolment token is not known, was used, or is too old");
  error.error().Fix("make a new one on the hub: penstock hub enroll NAME");
  return error;
}

}  // namespace

Status CheckDeviceName(const std::string& name) {
  const bool good = !name.empty() && name.size() <= kDeviceNameMax && name[0] != '-' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (good) return {};
  auto error = InvalidArgument("\"{}\" is no name of an edge or device", name.substr(0, 40));
  error.error().Fix("1 to 24 of a-z, 0-9 and -, for example edge-7");
  return error;
}

Result<std::unique_ptr<DeviceCertificates>> DeviceCertificates::Open(storage::Records& records,
                                                                     const Clock& real_clock,
                                                                     AuditLog& audit) {
  std::unique_ptr<DeviceCertificates> all(new DeviceCertificates(records, real_clock, audit));
  TRY(all->Load());
  return all;
}

Status DeviceCertificates::Load() {
  TRY(records_.Migrate(
      "device_certificates",
      {{1,
        "CREATE TABLE device_invitations (name TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE, "
        "until INTEGER NOT NULL);"
        "CREATE TABLE device_certificates (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, "
        "serial TEXT NOT NULL, issued INTEGER NOT NULL, until INTEGER NOT NULL, revoked "
        "INTEGER)"}}));
  ASSIGN_OR_RETURN(const auto rows, records_.Query("SELECT fingerprint, name FROM "
                                                   "device_certificates WHERE revoked IS NULL"));
  for (const storage::SqlRow& row : rows) names_[row.Text(0)] = row.Text(1);
  return {};
}

Result<std::string> DeviceCertificates::Invite(const std::string& actor, const std::string& name) {
  TRY(CheckDeviceName(name));
  const std::string secret = ToBase64Url(RandomBytes(32));
  const Time until = clock_.Now() + kInvitationLifetime;
  TRY(records_.Transaction([&]() -> Status {
    TRY(
        records_.Run("INSERT INTO device_invitations (name, token, until) VALUES (?, ?, ?) ON "
                     "CONFLICT (name) DO UPDATE SET token = excluded.token, until = excluded.until",
                     {name, HashOf(secret), ToMicros(until)}));
    TRY(audit_.Append(actor, "device.invite", name, "", {{"until", FormatTime(until)}}));
    return {};
  }));
  return secret;
}

// In one transaction: the certificate, the end of the invitation and of older certificates, the
// audit.
Result<DeviceCertificates::Issued> DeviceCertificates::Store(const std::string& actor,
                                                             const std::string& action,
                                                             const std::string& name,
                                                             const std::string& certificate,
                                                             const std::string& token_hash) {
  ASSIGN_OR_RETURN(const Certificate facts, ReadCertificate(certificate));
  const bool enrols = !token_hash.empty();
  const std::lock_guard lock(mutex_);
  TRY(records_.Transaction([&]() -> Status {
    if (enrols) {
      ASSIGN_OR_RETURN(
          const int64_t used,
          records_.Run("DELETE FROM device_invitations WHERE token = ?", {token_hash}));
      if (used != 1) return NoSuchToken();  // Another request was quicker.
      TRY(records_.Run(
          "UPDATE device_certificates SET revoked = ? WHERE name = ? AND revoked IS NULL",
          {ToMicros(clock_.Now()), name}));
    }
    TRY(records_.Run(
        "INSERT INTO device_certificates (fingerprint, name, serial, issued, until) "
        "VALUES (?, ?, ?, ?, ?)",
        {facts.fingerprint, name, facts.serial, ToMicros(clock_.Now()), ToMicros(facts.to)}));
    TRY(audit_.Append(actor, action, name, "",
                      {{"serial", facts.serial}, {"until", FormatTime(facts.to)}}));
    return {};
  }));
  if (enrols) std::erase_if(names_, [&](const auto& entry) { return entry.second == name; });
  names_[facts.fingerprint] = name;
  return Issued{name, certificate};
}

Result<DeviceCertificates::Issued> DeviceCertificates::Enrol(const std::string& token,
                                                             const std::string& request_pem,
                                                             const CertificateAuthority& authority,
                                                             const std::string& remote) {
  const std::string hash = HashOf(token);
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query("SELECT name, until FROM device_invitations WHERE token = ?", {hash}));
  if (rows.empty() || FromMicros(rows[0].Integer(1)) < clock_.Now()) {
    Counter("penstock_enrolments_refused_total", "Enrolments with a bad token").Add();
    return NoSuchToken();
  }
  const std::string name = rows[0].Text(0);
  ASSIGN_OR_RETURN(const std::string certificate, authority.IssueDevice(request_pem, name));
  return Store("device:" + name + " from " + remote, "device.enrol", name, certificate, hash);
}

Result<DeviceCertificates::Issued> DeviceCertificates::Renew(
    const Principal& device, const std::string& request_pem,
    const CertificateAuthority& authority) {
  if (device.role != Role::kDevice)
    return PermissionDenied("only a device with a certificate can renew it");
  const std::string name = device.name.substr(device.name.find(':') + 1);
  ASSIGN_OR_RETURN(const std::string certificate, authority.IssueDevice(request_pem, name));
  return Store(device.name, "device.renew", name, certificate, "");
}

Status DeviceCertificates::Revoke(const std::string& actor, const std::string& name) {
  const std::lock_guard lock(mutex_);
  TRY(records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(
        const int64_t certificates,
        records_.Run(
            "UPDATE device_certificates SET revoked = ? WHERE name = ? AND revoked IS NULL",
            {ToMicros(clock_.Now()), name}));
    ASSIGN_OR_RETURN(const int64_t invitations,
                     records_.Run("DELETE FROM device_invitations WHERE name = ?", {name}));
    if (certificates + invitations == 0)
      return NotFound("no edge or device \"{}\" is invited or enrolled", name.substr(0, 40));
    TRY(audit_.Append(actor, "device.revoke", name, "", {{"certificates", certificates}}));
    return {};
  }));
  std::erase_if(names_, [&](const auto& entry) { return entry.second == name; });
  return {};
}

Result<Principal> DeviceCertificates::Resolve(const TlsPeer& peer) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(peer.fingerprint);
  if (found != names_.end()) return Principal{"device:" + found->second, Role::kDevice};
  Counter("penstock_tls_refused_total", "TLS handshakes that ended without a connection",
          "reason=\"certificate revoked\"")
      .Add();
  auto error = Unauthenticated("the certificate of \"{}\" was revoked, or not issued here",
                               peer.name.substr(0, 40));
  error.error().Fix("enrol again: penstock hub enroll NAME on the hub");
  return error;
}

Result<Json> DeviceCertificates::ToJson() const {
  std::map<std::string, Json> all;
  ASSIGN_OR_RETURN(const auto certificates,
                   records_.Query("SELECT name, serial, issued, until, revoked FROM "
                                  "device_certificates ORDER BY issued"));
  for (const storage::SqlRow& row : certificates) {  // The latest of a name counts.
    const bool revoked = !row.IsNull(4);
    const Time until = FromMicros(row.Integer(3));
    all[row.Text(0)] = {{"name", row.Text(0)},
                        {"state", revoked                ? "revoked"
                                  : until < clock_.Now() ? "expired"
                                                         : "enrolled"},
                        {"serial", row.Text(1)},
                        {"since", FormatTime(FromMicros(row.Integer(2)))},
                        {"until", FormatTime(until)}};
  }
  ASSIGN_OR_RETURN(const auto invitations,
                   records_.Query("SELECT name, until FROM device_invitations"));
  for (const storage::SqlRow& row : invitations) {
    Json& entry = all[row.Text(0)];
    if (entry.is_null() || entry["state"] != "enrolled")
      entry = {{"name", row.Text(0)},
               {"state", "invited"},
               {"until", FormatTime(FromMicros(row.Integer(1)))}};
  }
  Json items = Json::array();
  for (auto& [name, entry] : all) items.push_back(std::move(entry));
  return items;
}

}  // namespace penstock::trust
