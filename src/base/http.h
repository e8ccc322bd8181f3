// One request over HTTP(S) and its whole answer, for what asks now and then; who streams or keeps a
// connection uses libcurl itself.
//
// Thread rule: any thread; the caller waits.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock {

struct HttpRequest {
  std::string method = "GET";
  std::string url;                   // http:// or https://
  std::vector<std::string> headers;  // "Content-Type: application/json"
  std::string body;
  std::chrono::seconds timeout{60};  // From resolving the name to the last byte.
  size_t answer_max = 64 << 20;      // Bytes of its body.
  // PEM file of the only certificate that is trusted, whatever names it has; "": the system's
  // authorities, and the name of the URL.
  std::string certificate;
  bool proxy = false;  // By the environment's http_proxy and so on.
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// kUnavailable with the reason: no answer, or not a whole one. Redirects are not followed.
Result<HttpAnswer> AskHttp(const HttpRequest& request);

}  // namespace penstock
