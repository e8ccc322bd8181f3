#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/ids.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace penstock {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kBase64Url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string Encode64(ByteView bytes, const char* alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t word = (uint32_t{bytes[i]} << 16) |
                          (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                          (left > 2 ? uint32_t{bytes[i + 2]} : 0);
    const size_t letters = left > 2 ? 4 : left + 1;
    for (size_t k = 0; k < letters; ++k) out += alphabet[(word >> (18 - 6 * k)) & 63];
    if (pad) out.append(4 - letters, '=');
  }
  return out;
}

int Digit64(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

// CRC-32C bit by bit over a table made at compile time, for CPUs without the instruction.
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = crc;
  }
  return table;
}

[[maybe_unused]] uint32_t CrcByTable(const uint8_t* data, size_t size, uint32_t crc) {
  static constexpr auto kTable = MakeCrcTable();
  for (size_t i = 0; i < size; ++i) crc = kTable[(crc ^ data[i]) & 0xFF] ^ (crc >> 8);
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t CrcByCpu(const uint8_t* data, size_t size,
                                                    uint32_t crc) {
  uint64_t wide = crc;
  while (size >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
    data += 8;
    size -= 8;
  }
  crc = static_cast<uint32_t>(wide);
  while (size-- > 0) crc = _mm_crc32_u8(crc, *data++);
  return crc;
}

// What a register becomes when kStretch zero bytes follow: linear in its bits, so a table for each
// of its bytes.
constexpr size_t kStretch = 1024;
using CrcShift = std::array<std::array<uint32_t, 256>, 4>;
CrcShift MakeCrcShift() {
  const std::array<uint8_t, kStretch> zeros{};
  CrcShift shift{};
  for (size_t byte = 0; byte < shift.size(); ++byte)
    for (uint32_t value = 0; value < 256; ++value)
      shift[byte][value] = CrcByCpu(zeros.data(), zeros.size(), value << (8 * byte));
  return shift;
}
uint32_t Shifted(const CrcShift& shift, uint32_t crc) {
  return shift[0][crc & 0xFF] ^ shift[1][crc >> 8 & 0xFF] ^ shift[2][crc >> 16 & 0xFF] ^
         shift[3][crc >> 24];
}

// Three stretches at once: the instruction takes three cycles, and one can begin in each.
__attribute__((target("sse4.2"))) uint32_t CrcByStretches(const uint8_t* data, size_t size,
                                                          uint32_t crc) {
  static const CrcShift shift = MakeCrcShift();
  for (; size >= 3 * kStretch; size -= 3 * kStretch, data += 3 * kStretch) {
    uint64_t first = crc, second = 0, third = 0;
    for (size_t i = 0; i < kStretch; i += 8) {
      uint64_t words[3];
      std::memcpy(&words[0], data + i, 8);
      std::memcpy(&words[1], data + kStretch + i, 8);
      std::memcpy(&words[2], data + 2 * kStretch + i, 8);
      first = _mm_crc32_u64(first, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    crc = Shifted(shift,
                  Shifted(shift, static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second)) ^
          static_cast<uint32_t>(third);
  }
  return CrcByCpu(data, size, crc);
}
#endif

}  // namespace

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string ToHex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

Result<Bytes> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return InvalidArgument("odd number of hex digits: {}", hex.size());
  Bytes out(hex.size() / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = HexDigit(hex[2 * i]), low = HexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return InvalidArgument("not a hex digit at offset {}", 2 * i);
    out[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return out;
}

std::string ToBase64(ByteView bytes) { return Encode64(bytes, kBase64, true); }
std::string ToBase64Url(ByteView bytes) { return Encode64(bytes, kBase64Url, false); }

Result<Bytes> FromBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return InvalidArgument("base64 of impossible length {}", text.size());
  Bytes out;
  out.reserve(text.size() * 3 / 4);
  uint32_t word = 0;
  int bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int digit = Digit64(text[i]);
    if (digit < 0) return InvalidArgument("not base64 at offset {}", i);
    word = (word << 6) | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<uint8_t>(word >> bits));
    }
  }
  return out;
}

Sha256 Sha256Of(ByteView bytes) {
  Sha256 digest{};
  unsigned length = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1);
  return digest;
}

uint32_t Crc32c(ByteView bytes, uint32_t seed) {
  const uint32_t crc = ~seed;
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~CrcByStretches(bytes.data(), bytes.size(), crc);
#endif
  return ~CrcByTable(bytes.data(), bytes.size(), crc);
}

Bytes RandomBytes(size_t count) {
  Bytes out(count);
  size_t done = 0;
  while (done < count) {
    const ssize_t got = getrandom(out.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);
    done += static_cast<size_t>(got);
  }
  return out;
}

bool ConstantTimeEqual(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

TraceId TraceId::Random() {
  TraceId id;
  do {
    const Bytes random = RandomBytes(id.bytes.size());
    std::copy(random.begin(), random.end(), id.bytes.begin());
  } while (!id.valid());
  return id;
}

Result<TraceId> TraceId::Parse(std::string_view hex) {
  if (hex.size() != 32) return InvalidArgument("a trace id has 32 hex digits, not {}", hex.size());
  ASSIGN_OR_RETURN(const Bytes raw, FromHex(hex));
  TraceId id;
  std::copy(raw.begin(), raw.end(), id.bytes.begin());
  if (!id.valid()) return InvalidArgument("a trace id of all zeros is not valid");
  return id;
}

std::string TraceId::ToString() const { return ToHex(bytes); }

}  // namespace penstock
