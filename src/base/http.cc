#include "base/http.h"

#include <curl/curl.h>

#include <memory>

namespace penstock {
namespace {

struct AnswerSink {
  std::string body;
  size_t max;
};

size_t TakeAnswer(char* data, size_t size, size_t count, void* into) {
  auto& sink = *static_cast<AnswerSink*>(into);
  if (size * count > sink.max - sink.body.size()) return 0;  // Ends the exchange.
  sink.body.append(data, size * count);
  return size * count;
}

}  // namespace

Result<HttpAnswer> AskHttp(const HttpRequest& request) {
  const std::unique_ptr<CURL, void (*)(CURL*)> owned(curl_easy_init(), curl_easy_cleanup);
  CURL* curl = owned.get();
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(list, curl_slist_free_all);
  AnswerSink sink{"", request.answer_max};
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (!request.proxy) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  if (!request.certificate.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, request.certificate.c_str());
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request.body.empty() || request.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, TakeAnswer);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_WRITE_ERROR)
    return Unavailable("an answer of more than {} bytes", request.answer_max);
  if (code != CURLE_OK) return Unavailable("{}", curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return HttpAnswer{static_cast<int>(status), std::move(sink.body)};
}

}  // namespace penstock
