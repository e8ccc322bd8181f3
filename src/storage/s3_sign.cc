#include "storage/s3_sign.h"

#include <openssl/hmac.h>

#include "base/check.h"

namespace penstock::storage {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Sha256 Hmac(ByteView key, std::string_view text) {
  Sha256 digest{};
  unsigned length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data(),
             &length) != nullptr);
  return digest;
}

// "2026-01-31T08:00:00.000000Z" -> "20260131T080000Z"
std::string CompactTime(Time now) {
  std::string text;
  for (const char c : FormatTime(now).substr(0, 19))
    if (c != '-' && c != ':') text += c;
  return text + "Z";
}

}  // namespace

std::string S3Escape(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (keep_slashes && c == '/');
    if (plain) {
      escaped += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      escaped += '%';
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    }
  }
  return escaped;
}

std::string S3QueryText(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    if (!text.empty()) text += '&';
    text += S3Escape(name, false) + "=" + S3Escape(value, false);
  }
  return text;
}

void SignS3Request(S3Request& request, ByteView content, const S3Credentials& credentials,
                   const std::string& region, Time now) {
  const std::string time = CompactTime(now), day = time.substr(0, 8);
  const std::string digest = ToHex(Sha256Of(content));
  request.headers["x-amz-date"] = time;
  request.headers["x-amz-content-sha256"] = digest;
  if (!credentials.session_token.empty())
    request.headers["x-amz-security-token"] = credentials.session_token;

  std::string header_lines, header_names;
  for (const auto& [name, value] : request.headers) {
    header_lines += name + ":" + value + "\n";
    header_names += (header_names.empty() ? "" : ";") + name;
  }
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, S3Escape(request.path, true),
                  S3QueryText(request.query), header_lines, header_names, digest);
  const std::string scope = fmt::format("{}/{}/s3/aws4_request", day, region);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, ToHex(Sha256Of(AsBytes(canonical))));
  Sha256 key = Hmac(AsBytes("AWS4" + credentials.secret_key), day);
  key = Hmac(key, region);
  key = Hmac(key, "s3");
  key = Hmac(key, "aws4_request");
  request.headers["authorization"] =
      fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                  credentials.access_key, scope, header_names, ToHex(Hmac(key, to_sign)));
}

}  // namespace penstock::storage
