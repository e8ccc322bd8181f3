#include "protocols/uplink/credentials.h"

#include "base/file.h"
#include "base/log.h"
#include "protocols/uplink/hub_client.h"
#include "trust/certificate.h"
#include "trust/device_certificates.h"

namespace penstock::protocols::uplink {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;

// Certificate and key in one file, so that a renewal is one rename.
Status Store(const std::string& folder, const Credentials& c) {
  TRY(MakeFolders(folder));
  TRY(WriteFileAtomically(folder + "/hub-ca.pem", c.authority));
  TRY(WriteFileAtomically(folder + "/hub.json", Json{{"edge", c.edge}, {"hub", c.hub}}.dump(2)));
  return trust::WriteSecretFile(folder + "/edge.pem", c.certificate + c.key);
}

// The certificate and the key of the file that has both.
Status Split(const std::string& pem, Credentials* c) {
  const size_t key = pem.find("-----BEGIN PRIVATE KEY-----");
  if (key == std::string::npos) return DataLoss("no private key in edge.pem");
  c->certificate = pem.substr(0, key);
  c->key = pem.substr(key);
  return trust::CheckPair(c->certificate, c->key);
}

Result<std::string> AskForCertificate(const Credentials& c, const std::string& path,
                                      const Json& body) {
  HubClient client(c.hub, c);
  ASSIGN_OR_RETURN(const HubAnswer answer,
                   client.Ask("POST", path, body.dump(), {"Content-Type: application/json"}));
  if (!answer.ok()) return std::unexpected(answer.error());
  return GetString(answer.body, "certificate");
}

}  // namespace

Result<Credentials> ReadCredentials(const std::string& folder) {
  const auto pem = ReadFile(folder + "/edge.pem", kFileBytesMax);
  if (!pem) {
    auto error = NotFound("this edge has not enrolled at a hub");
    error.error().Where(folder).Fix(
        "on the hub: penstock hub enroll NAME --json > edge.json; here: penstock edge enroll "
        "edge.json");
    return error;
  }
  Credentials c;
  if (auto split = Split(*pem, &c); !split)
    return std::unexpected(split.error().Where(folder + "/edge.pem").Fix("enrol again"));
  ASSIGN_OR_RETURN(c.authority, ReadFile(folder + "/hub-ca.pem", kFileBytesMax));
  ASSIGN_OR_RETURN(const Json hub, ReadDocument(folder + "/hub.json"));
  ASSIGN_OR_RETURN(c.edge, GetString(hub, "edge"));
  ASSIGN_OR_RETURN(c.hub, GetString(hub, "hub"));
  TRY(trust::CheckDeviceName(c.edge));
  return c;
}

Result<Credentials> Enrol(const std::string& folder, const Json& invitation) {
  TRY(CheckKeys(invitation, {"edge", "hub", "authority", "token", "until"}));
  Credentials c;
  ASSIGN_OR_RETURN(c.edge, GetString(invitation, "edge"));
  ASSIGN_OR_RETURN(c.hub, GetString(invitation, "hub"));
  ASSIGN_OR_RETURN(c.authority, GetString(invitation, "authority"));
  ASSIGN_OR_RETURN(const std::string token, GetString(invitation, "token"));
  TRY(trust::CheckDeviceName(c.edge));
  if (!c.hub.starts_with("https://"))
    return InvalidArgument("the invitation's hub \"{}\" is no https:// address", c.hub);
  ASSIGN_OR_RETURN(const std::string key, trust::MakeKey());
  ASSIGN_OR_RETURN(const std::string request, trust::MakeRequest(key, c.edge));
  ASSIGN_OR_RETURN(c.certificate, AskForCertificate(c, "/api/v1/enrollments",
                                                    {{"token", token}, {"request", request}}));
  c.key = key;
  TRY(trust::CheckPair(c.certificate, c.key));
  TRY(Store(folder, c));
  return c;
}

Result<bool> RenewWhenDue(const std::string& folder, const Credentials& credentials, Time now) {
  ASSIGN_OR_RETURN(const trust::Certificate facts, trust::ReadCertificate(credentials.certificate));
  if ((facts.to - now) * 3 > facts.to - facts.from) return false;
  Credentials fresh = credentials;
  ASSIGN_OR_RETURN(fresh.key, trust::MakeKey());
  ASSIGN_OR_RETURN(const std::string request, trust::MakeRequest(fresh.key, fresh.edge));
  ASSIGN_OR_RETURN(fresh.certificate, AskForCertificate(credentials, "/api/v1/enrollments/renew",
                                                        {{"request", request}}));
  TRY(trust::CheckPair(fresh.certificate, fresh.key));
  TRY(Store(folder, fresh));
  LogInfo("uplink: renewed the certificate of {}", fresh.edge);
  return true;
}

}  // namespace penstock::protocols::uplink
