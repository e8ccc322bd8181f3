// An answer's head is written by hand: it is one string of a dozen lines, and the library's
// serializers cost the compiler more than this file has letters.
#include "api/http_head.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <boost/beast/http/status.hpp>

namespace penstock::api {
namespace {

// What every answer carries: the console is the only page that may script, frame or send.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kOnEveryAnswer = {{
    {"Content-Security-Policy",
     "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; "
     "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
}};

bool SameHeader(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool StaysInItsLine(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

bool IsOurs(std::string_view name) {
  for (const auto& [ours, value] : kOnEveryAnswer)
    if (SameHeader(name, ours)) return true;
  return false;
}

void AppendHeader(std::string& head, std::string_view name, std::string_view value) {
  if (!StaysInItsLine(name) || !StaysInItsLine(value)) return;
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string HeadOf(const Response& response, const Framing& framing) {
  const auto reason =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(response.status));
  std::string head;
  head.reserve(768);
  fmt::format_to(std::back_inserter(head), "HTTP/1.{} {} {}\r\n", framing.version == 10 ? 0 : 1,
                 response.status, std::string_view(reason.data(), reason.size()));
  if (!response.content_type.empty()) AppendHeader(head, "Content-Type", response.content_type);
  bool says_caching = false;
  for (const auto& [name, value] : response.headers) {
    if (IsOurs(name)) continue;
    says_caching = says_caching || SameHeader(name, "Cache-Control");
    AppendHeader(head, name, value);
  }
  for (const auto& [name, value] : kOnEveryAnswer) AppendHeader(head, name, value);
  if (!says_caching) AppendHeader(head, "Cache-Control", "no-store");
  if (framing.keep_alive != (framing.version != 10))
    AppendHeader(head, "Connection", framing.keep_alive ? "keep-alive" : "close");
  if (framing.chunked) AppendHeader(head, "Transfer-Encoding", "chunked");
  if (framing.length) AppendHeader(head, "Content-Length", std::to_string(*framing.length));
  return head.append("\r\n");
}

std::string ChunkHead(size_t bytes) { return fmt::format("{:x}\r\n", bytes); }

}  // namespace penstock::api
