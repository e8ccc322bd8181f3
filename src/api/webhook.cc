#include "api/webhook.h"

#include <curl/curl.h>

#include <memory>

#include "base/log.h"
#include "base/metrics.h"

namespace penstock::api {
namespace {

constexpr long kTimeoutSeconds = 10;
constexpr int kTries = 3;

size_t Swallow(char*, size_t size, size_t count, void*) { return size * count; }

bool Post(const std::string& url, const std::string& body, std::string* problem) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kTimeoutSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Swallow);
  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK && status >= 200 && status < 300) return true;
  *problem = code == CURLE_OK ? fmt::format("answered {}", status) : curl_easy_strerror(code);
  return false;
}

}  // namespace

Webhooks::Webhooks() : thread_([this](const std::stop_token& stop) { Run(stop); }) {}

Webhooks::~Webhooks() {
  thread_.request_stop();
  queue_.Close();
}

void Webhooks::Send(const std::string& url, const Json& body) {
  Message message{url, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
  if (queue_.TryPush(std::move(message))) return;
  Counter("penstock_webhooks_dropped_total", "Notifications dropped because the queue was full")
      .Add();
  if (queue_.Pop(std::chrono::microseconds(0))) queue_.TryPush({url, body.dump()});
}

void Webhooks::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto message = queue_.Pop(std::chrono::seconds(1));
    if (!message) continue;
    std::string problem;
    bool sent = false;
    for (int i = 0; i < kTries && !sent && !stop.stop_requested(); ++i)
      sent = Post(message->url, message->body, &problem);
    if (sent) continue;
    Counter("penstock_webhooks_failed_total", "Notifications that no server took").Add();
    LogSometimes(LogLevel::kWarn, "webhook " + message->url,
                 fmt::format("webhook {}: {}", message->url, problem));
  }
}

}  // namespace penstock::api
