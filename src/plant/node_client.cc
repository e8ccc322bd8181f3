// A new connection for each request: the crew asks twice a second, and a connection that broke with
// the node's restart is nothing to care for.
#include "plant/node_client.h"

#include "base/http.h"
#include "base/site.h"

namespace penstock::plant {
namespace {

constexpr std::chrono::seconds kTimeout{3};
constexpr size_t kBodyMax = 4 << 20;

class Client final : public NodeClient {
 public:
  Client(std::string url, const std::string& token)
      : url_(std::move(url)), headers_{"Accept: application/json"} {
    if (!token.empty()) headers_.push_back("Authorization: Bearer " + token);
  }

  Result<Json> Get(const std::string& path) override {
    return Exchange(path, {.headers = headers_});
  }

  Result<Json> Post(const std::string& path, const Json& body, const std::string& key) override {
    HttpRequest request{.method = "POST", .headers = headers_, .body = body.dump()};
    request.headers.insert(request.headers.end(),
                           {"Content-Type: application/json", "Idempotency-Key: " + key});
    return Exchange(path, std::move(request));
  }

 private:
  Result<Json> Exchange(const std::string& path, HttpRequest request) const;

  const std::string url_;
  std::vector<std::string> headers_;
};

Result<Json> Client::Exchange(const std::string& path, HttpRequest request) const {
  request.url = url_ + path;
  request.timeout = kTimeout;
  request.answer_max = kBodyMax;
  const auto answer = AskHttp(request);
  if (!answer) return Unavailable("node {}: {}: {}", url_, path, answer.error().message);
  const bool good = answer->status / 100 == 2;
  Json body = Json::object();
  if (!answer->body.empty()) {
    auto parsed = ParseJson(answer->body);
    if (!parsed && good) return std::unexpected(parsed.error().Where(path));
    if (parsed) body = std::move(*parsed);
  }
  if (!good)
    return FailedPrecondition("node answers {} to {}: {}", answer->status, path,
                              StringOr(body, "detail", ""));
  return body;
}

}  // namespace

Result<std::unique_ptr<NodeClient>> NodeClient::Make(const std::string& url,
                                                     const std::string& token) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme))
    return InvalidArgument("node url \"{}\" is not http://HOST[:PORT]", url);
  std::string rest = url.substr(kScheme.size());
  while (rest.ends_with('/')) rest.pop_back();
  if (rest.find(':') == rest.npos || rest.ends_with(']')) rest += ":80";
  TRY(ParseEndpoint(rest));
  return std::make_unique<Client>(std::string(kScheme) + rest, token);
}

}  // namespace penstock::plant
