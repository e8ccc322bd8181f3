// Bytes: text forms, digests and secrets.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

int HexDigit(char c);               // 0 to 15 of either case; -1: none.
std::string ToHex(ByteView bytes);  // Lower case.
Result<Bytes> FromHex(std::string_view hex);
std::string ToBase64(ByteView bytes);             // RFC 4648 section 4, padded.
std::string ToBase64Url(ByteView bytes);          // RFC 4648 section 5, unpadded.
Result<Bytes> FromBase64(std::string_view text);  // Either alphabet, padding optional.

using Sha256 = std::array<uint8_t, 32>;
Sha256 Sha256Of(ByteView bytes);

// CRC-32C (Castagnoli, RFC 3720 appendix B.4); by the CPU instruction where there is one.
uint32_t Crc32c(ByteView bytes, uint32_t seed = 0);

Bytes RandomBytes(size_t count);  // From the operating system's generator.
bool ConstantTimeEqual(ByteView a, ByteView b);

}  // namespace penstock
