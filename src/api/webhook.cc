#include "api/webhook.h"

#include "base/http.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::api {
namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr int kTries = 3;

bool Post(const std::string& url, const std::string& body, std::string* problem) {
  const auto answer = AskHttp({.method = "POST",
                               .url = url,
                               .headers = {"Content-Type: application/json"},
                               .body = body,
                               .timeout = kTimeout,
                               .proxy = true});
  if (answer && answer->status / 100 == 2) return true;
  *problem = answer ? fmt::format("answered {}", answer->status) : answer.error().message;
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
