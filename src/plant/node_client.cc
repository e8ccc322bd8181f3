// A new connection for each request: the crew asks twice a second, and a connection that broke with
// the node's restart is nothing to care for. The exchange is a chain of handlers; the stream's own
// timer bounds it from connect to the last byte.
#include "plant/node_client.h"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "base/site.h"

namespace penstock::plant {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr auto kTimeout = std::chrono::seconds(3);
constexpr size_t kBodyMax = 4 << 20;

using Request = http::request<http::string_body>;

class Client final : public NodeClient {
 public:
  Client(Endpoint endpoint, std::string token)
      : endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  Result<Json> Get(const std::string& path) override {
    return Exchange({http::verb::get, path, 11});
  }

  Result<Json> Post(const std::string& path, const Json& body, const std::string& key) override {
    Request request{http::verb::post, path, 11};
    request.set(http::field::content_type, "application/json");
    request.set("Idempotency-Key", key);
    request.body() = body.dump();
    return Exchange(std::move(request));
  }

 private:
  Result<Json> Exchange(Request request);

  Endpoint endpoint_;
  std::string token_;
};

// What one exchange needs, alive until its last handler ran.
struct Call {
  explicit Call(asio::io_context& io) : resolver(io), stream(io) { parser.body_limit(kBodyMax); }
  asio::ip::tcp::resolver resolver;
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  beast::error_code error = asio::error::timed_out;
};

void Begin(Call& call, const Endpoint& endpoint, Request& request) {
  call.stream.expires_after(kTimeout);
  const auto read = [&call](beast::error_code error, size_t) {
    call.error = error;
    if (error) return;
    http::async_read(call.stream, call.buffer, call.parser,
                     [&call](beast::error_code failed, size_t) { call.error = failed; });
  };
  const auto write = [&call, &request, read](beast::error_code error,
                                             const asio::ip::tcp::endpoint&) {
    call.error = error;
    if (!error) http::async_write(call.stream, request, read);
  };
  call.resolver.async_resolve(
      endpoint.host, std::to_string(endpoint.port),
      [&call, write](beast::error_code error, asio::ip::tcp::resolver::results_type found) {
        call.error = error;
        if (!error) call.stream.async_connect(found, write);
      });
}

Result<Json> Client::Exchange(Request request) {
  request.set(http::field::host, fmt::format("{}:{}", endpoint_.host, endpoint_.port));
  request.set(http::field::accept, "application/json");
  request.keep_alive(false);
  if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
  request.prepare_payload();
  asio::io_context io;
  Call call(io);
  Begin(call, endpoint_, request);
  io.run();
  const std::string target(request.target());
  if (call.error)
    return Unavailable("node {}:{}: {}: {}", endpoint_.host, endpoint_.port, target,
                       call.error.message());
  const auto& answer = call.parser.get();
  const unsigned status = answer.result_int();
  Json body = Json::object();
  if (!answer.body().empty()) {
    auto parsed = ParseJson(answer.body());
    if (parsed)
      body = std::move(*parsed);
    else if (status / 100 == 2)
      return std::unexpected(parsed.error().Where(target));
  }
  if (status / 100 != 2)
    return FailedPrecondition("node answers {} to {}: {}", status, target,
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
  ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(rest));
  return std::make_unique<Client>(std::move(endpoint), token);
}

}  // namespace penstock::plant
