// The text before an answer's body (RFC 9112), with the headers that every answer carries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/http.h"

namespace penstock::api {

// How the peer learns where the body ends, and what comes after it.
struct Framing {
  unsigned version = 11;  // The request's: 10 or 11.
  bool keep_alive = false;
  bool chunked = false;
  std::optional<uint64_t> length;  // Absent and not chunked: the body ends with the connection.
};

// Ends with the empty line. A header whose name or value would break out of its line is left out.
std::string HeadOf(const Response& response, const Framing& framing);

// What goes before a block of a chunked body: "1f4\r\n"; after it comes kChunkEnd.
std::string ChunkHead(size_t bytes);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace penstock::api
