// AWS Signature Version 4 for S3 ("Authenticating Requests: Using the Authorization Header", AWS
// S3 API Reference): a request's method, path, query, headers and content, bound to a secret.
//
// Ours rather than libcurl's: what libcurl signs for empty query values and escaped paths differs
// between the versions of Debian 12 and 13.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"

namespace penstock::storage {

struct S3Credentials {
  std::string access_key, secret_key;
  std::string session_token;  // Empty for long-lived keys.
};

struct S3Request {
  std::string method = "GET";
  std::string path;                            // "/bucket/key", not escaped.
  std::map<std::string, std::string> query;    // Not escaped.
  std::map<std::string, std::string> headers;  // Lower-case names; "host" is among them.
};

// Escapes all but letters, digits, "-._~" (and "/" if kept), as SigV4 wants it.
std::string S3Escape(std::string_view text, bool keep_slashes);
std::string S3QueryText(const std::map<std::string, std::string>& query);

// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and authorization.
void SignS3Request(S3Request& request, ByteView content, const S3Credentials& credentials,
                   const std::string& region, Time now);

}  // namespace penstock::storage
