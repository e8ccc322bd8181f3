// Addresses in forms: "modbus+tcp://10.0.0.7:502/1/40?quantity=2". Only what the forms need of RFC
// 3986, with no user name or password, because a secret never belongs into a file under version
// control.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::things {

struct Address {
  std::string scheme;  // Lower case: "modbus+tcp".
  std::string host;    // Lower case; an IPv6 address without brackets.
  uint16_t port = 0;   // 0: none given.
  std::string path;    // Without the leading "/", percent-decoded.
  std::string query;   // Behind "?", as written.
};

// Error messages name the part that is wrong. At most 2048 bytes.
Result<Address> ParseAddress(std::string_view uri);

// `href` against `base` (RFC 3986, 5.2, with a base read as if it ended in "/"; no "." and ".."
// segments). kFailedPrecondition for a relative href without a base.
Result<std::string> ResolveAddress(std::string_view base, std::string_view href);

bool HasScheme(std::string_view uri);
// "host:port", an IPv6 host in brackets.
std::string HostAndPort(const std::string& host, uint16_t port);

}  // namespace penstock::things
