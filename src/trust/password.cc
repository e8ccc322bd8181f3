#include "trust/password.h"

#include <argon2.h>

#include <algorithm>
#include <cctype>

#include "base/bytes.h"
#include "trust/users.h"

namespace penstock::trust {
namespace {

// OWASP Password Storage Cheat Sheet: m = 19 MiB, t = 2, p = 1.
constexpr uint32_t kMemoryKiB = 19456, kPasses = 2, kLanes = 1;
constexpr size_t kSaltBytes = 16, kHashBytes = 32, kPasswordMax = 1024;

}  // namespace

Result<std::string> HashPassword(const std::string& password) {
  const Bytes salt = RandomBytes(kSaltBytes);
  char encoded[256];
  const int code =
      argon2id_hash_encoded(kPasses, kMemoryKiB, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, encoded, sizeof encoded);
  if (code != ARGON2_OK) return Internal("argon2: {}", argon2_error_message(code));
  return std::string(encoded);
}

bool VerifyPassword(const std::string& hash, const std::string& password) {
  return password.size() <= kPasswordMax &&
         argon2id_verify(hash.c_str(), password.data(), password.size()) == ARGON2_OK;
}

Status CheckPassword(const std::string& name, const std::string& password) {
  const auto lower = [](std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  const auto characters = std::count_if(password.begin(), password.end(), [](char c) {
    return (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  });
  std::string problem;
  if (static_cast<size_t>(characters) < kPasswordMin)
    problem = fmt::format("a password has at least {} characters", kPasswordMin);
  if (password.size() > kPasswordMax)
    problem = fmt::format("a password has at most {} bytes", kPasswordMax);
  if (lower(password) == lower(name)) problem = "a password is not the user's name";
  if (problem.empty()) return {};
  auto error = InvalidArgument("{}", problem);
  error.error().At("/password");
  return error;
}

}  // namespace penstock::trust
