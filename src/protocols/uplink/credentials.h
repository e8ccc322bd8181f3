// What an edge needs to be known by its hub: key, certificate, the hub's authority. Made by an
// invitation (`penstock hub enroll NAME` on the hub), kept in DATA/uplink: edge.pem (certificate
// and key, mode 0600), hub-ca.pem, hub.json.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace penstock::protocols::uplink {

struct Credentials {
  std::string edge;         // The name that the hub gave.
  std::string hub;          // "https://hub.acme.example:8443", from the invitation.
  std::string certificate;  // PEM; "" before enrolment.
  std::string key;          // PEM.
  std::string authority;    // PEM: who signs the hub's certificate.
};

// kNotFound when the edge has not enrolled; the fix says how.
Result<Credentials> ReadCredentials(const std::string& folder);

// Uses an invitation (the JSON document that the hub printed): makes a key, has the hub sign a
// certificate for it, stores all. An old enrolment is replaced only when the new one is whole.
Result<Credentials> Enrol(const std::string& folder, const Json& invitation);

// When a third of the certificate's life is left: a new certificate for a new key. True: renewed.
Result<bool> RenewWhenDue(const std::string& folder, const Credentials& credentials, Time now);

}  // namespace penstock::protocols::uplink
