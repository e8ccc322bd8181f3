#include "things/address.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/bytes.h"
#include "things/text.h"

namespace penstock::things {
namespace {

constexpr size_t kMaxAddress = 2048;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The length of "scheme:" or 0.
size_t SchemeLength(std::string_view uri) {
  if (uri.empty() || !IsAlpha(uri[0])) return 0;
  for (size_t i = 0; i < uri.size(); ++i) {
    if (uri[i] == ':') return i + 1;
    if (!IsAlpha(uri[i]) && !IsDigit(uri[i]) && uri[i] != '+' && uri[i] != '-' && uri[i] != '.')
      return 0;
  }
  return 0;
}

Result<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0))
      return InvalidArgument("\"%\" without two hexadecimal digits in \"{}\"", text.substr(0, 80));
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

Status ReadAuthority(std::string_view authority, Address& address) {
  if (authority.find('@') != authority.npos) {
    auto error = InvalidArgument("user name or password in an address");
    error.error().Fix("remove it; secrets are never in the file");
    return error;
  }
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == authority.npos)
      return InvalidArgument("\"]\" is missing in \"{}\"", authority.substr(0, 80));
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':'))
      return InvalidArgument("text behind \"]\" in \"{}\"", authority.substr(0, 80));
    if (!port.empty()) port.remove_prefix(1);
  } else if (const size_t colon = authority.find(':'); colon != authority.npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (port.empty()) return InvalidArgument("port missing in \"{}\"", authority.substr(0, 80));
  }
  if (host.empty()) return InvalidArgument("host missing");
  for (const char c : host)
    if (!IsAlpha(c) && !IsDigit(c) && c != '.' && c != '-' && c != '_' && c != ':')
      return InvalidArgument("no host: \"{}\"", host.substr(0, 80));
  address.host = Lower(host);
  if (port.empty()) return {};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc() || end != port.data() + port.size() || value < 1 || value > 65535)
    return InvalidArgument("port {} out of 1..65535", port.substr(0, 20));
  address.port = static_cast<uint16_t>(value);
  return {};
}

}  // namespace

bool HasScheme(std::string_view uri) { return SchemeLength(uri) > 0; }

std::string HostAndPort(const std::string& host, uint16_t port) {
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port)
                                     : fmt::format("[{}]:{}", host, port);
}

Result<Address> ParseAddress(std::string_view uri) {
  if (uri.size() > kMaxAddress)
    return InvalidArgument("address of {} bytes, at most {}", uri.size(), kMaxAddress);
  for (const char c : uri)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F)
      return InvalidArgument("space or control character in the address \"{}\"", uri.substr(0, 80));
  const size_t scheme = SchemeLength(uri);
  if (scheme == 0) return InvalidArgument("no protocol scheme in \"{}\"", uri.substr(0, 80));
  Address address;
  address.scheme = Lower(uri.substr(0, scheme - 1));
  std::string_view rest = uri.substr(scheme);
  if (rest.find('#') != rest.npos) {
    auto error = InvalidArgument("\"#\" in an address begins a fragment, which no form has");
    error.error().Fix("a topic filter with # goes into mqv:filter");
    return error;
  }
  if (const size_t question = rest.find('?'); question != rest.npos) {
    address.query = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t slash = std::min(rest.find('/'), rest.size());
    if (slash > 0 || address.scheme != "file") TRY(ReadAuthority(rest.substr(0, slash), address));
    rest.remove_prefix(slash);
  }
  if (rest.starts_with('/')) rest.remove_prefix(1);
  ASSIGN_OR_RETURN(address.path, PercentDecoded(rest));
  return address;
}

Result<std::string> ResolveAddress(std::string_view base, std::string_view href) {
  if (HasScheme(href)) return std::string(href);
  if (base.empty()) {
    auto error = FailedPrecondition("relative href \"{}\" without a base", href.substr(0, 80));
    error.error().Fix("give the thing a \"base\", such as modbus+tcp://10.0.0.7:502/1/");
    return error;
  }
  const size_t scheme = SchemeLength(base);
  if (scheme == 0) return InvalidArgument("no protocol scheme in base \"{}\"", base.substr(0, 80));
  if (href.starts_with("//")) return fmt::format("{}{}", base.substr(0, scheme), href);
  const size_t cut = std::min(base.find_first_of("?#"), base.size());
  std::string whole(base.substr(0, cut));
  if (href.starts_with('/')) {
    const size_t authority = whole.compare(scheme, 2, "//") == 0 ? scheme + 2 : scheme;
    whole.resize(std::min(whole.find('/', authority), whole.size()));
    return whole.append(href);
  }
  if (!whole.ends_with('/')) whole += '/';
  return whole.append(href);
}

}  // namespace penstock::things
