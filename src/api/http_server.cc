// HTTP over Boost.Beast, as coroutines: a connection is one loop of read, handle, write. The
// handler runs on a pool, since it may ask the history or the records; its answer comes back to the
// connection's strand by a posted completion.
//
// TLS is the same loop over another stream: what differs is the handshake before it, of which the
// first bytes are read apart, so that a client that speaks plain HTTP is told so.
//
// A streamed body (a file, an export) is made on threads of its own: it may wait for the disk or
// for a query, and must not keep the handlers from answering. One block is in memory at a time.
//
// An event stream is the same connection with an endless answer: it writes what its EventClient has
// queued, and a comment each 15 s so that proxies and we find out about the dead.
#include "api/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/event_hub.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

constexpr auto kIdle = std::chrono::seconds(60);
constexpr auto kEventHeartbeat = std::chrono::seconds(15);
constexpr uint32_t kHeaderBytesMax = 32 << 10;
constexpr auto kDrain = std::chrono::seconds(5);
constexpr uint64_t kDrainBytesMax = 256 << 20;
constexpr size_t kStreamThreads = 6;
constexpr uint64_t kReadDirectlyFrom = 16 << 10;  // Bytes of a body.
constexpr auto kGoodbye = std::chrono::seconds(2);
constexpr char kTlsHandshakeRecord = 0x16;  // RFC 8446, section 5.1.

using Parser = http::request_parser<http::string_body>;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

// Who is at the other end of a connection.
struct Remote {
  std::string address;
  trust::TlsPeer peer;
};

beast::tcp_stream& TcpOf(PlainStream& stream) { return stream; }
beast::tcp_stream& TcpOf(TlsStream& stream) { return stream.next_layer(); }

Request ToRequest(http::request<http::string_body>&& message, const Remote& remote) {
  Request request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const size_t mark = target.find('?');
  request.path = PercentDecode(target.substr(0, mark), false);
  if (mark != target.npos) {
    std::string_view rest = target.substr(mark + 1);
    while (!rest.empty()) {
      const size_t end = rest.find('&');
      const std::string_view pair = rest.substr(0, end);
      const size_t equals = pair.find('=');
      if (!pair.empty() && request.query.size() < 64)
        request.query[PercentDecode(pair.substr(0, equals), true)] =
            equals == pair.npos ? "" : PercentDecode(pair.substr(equals + 1), true);
      rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string& value = request.headers[name];
    if (!value.empty()) value += ", ";
    value += std::string(field.value());
  }
  request.body = std::move(message.body());
  request.remote = remote.address;
  request.peer = remote.peer;
  return request;
}

const beast::string_view kResumable(kResumableHeader.data(), kResumableHeader.size());

// The peer or the time ended the connection, not a mistake in what it said.
bool WasCut(const boost::system::error_code& error) {
  return error == http::error::partial_message || error == http::error::end_of_stream ||
         error == beast::error::timeout || error == asio::error::eof ||
         error == asio::error::connection_reset || error == asio::ssl::error::stream_truncated;
}

// Headers that every answer carries: the console is the only page that may script, frame or send.
template <typename Body>
void SetCommonHeaders(http::response<Body>& message) {
  message.set("Content-Security-Policy",
              "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
              "connect-src 'self'; "
              "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Referrer-Policy", "no-referrer");
  message.set("Cross-Origin-Opener-Policy", "same-origin");
  if (message.find(http::field::cache_control) == message.end())
    message.set(http::field::cache_control, "no-store");
}

class Server final : public HttpServer {
 public:
  Server(const HttpServerOptions& options, AsyncHandler handler)
      : options_(options),
        handler_(std::move(handler)),
        acceptor_(io_),
        pool_(static_cast<size_t>(options.handler_threads)),
        streams_(kStreamThreads) {}
  ~Server() override { StopAll(); }

  Status Listen() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(
        options_.listen.host == "localhost" ? "127.0.0.1" : options_.listen.host, error);
    if (error)
      return InvalidArgument("\"{}\" is no numeric address to listen on", options_.listen.host);
    const tcp::endpoint endpoint(address, options_.listen.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(512, error);
    if (error) {
      auto failed = FromErrno(
          error.value(),
          fmt::format("cannot listen on http {}:{}", options_.listen.host, options_.listen.port));
      failed.error().Fix(
          "stop the other program, or choose another port: listen: {http: 127.0.0.1:8081} or "
          "--http");
      return failed;
    }
    port_ = acceptor_.local_endpoint().port();
    return {};
  }

  void Run() {
    asio::co_spawn(io_, Accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }

  uint16_t port() const override { return port_; }
  void Stop() override { StopAll(); }

 private:
  void StopAll() {
    if (stopped_.exchange(true)) return;
    io_.stop();
    if (thread_.joinable()) thread_.join();
    pool_.stop();
    streams_.stop();
    pool_.join();
    streams_.join();
  }

  awaitable<void> Accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // Out of descriptors: wait a little, the others go on.
        LogSometimes(LogLevel::kWarn, "http-accept", "http: cannot accept: " + error.message());
        asio::steady_timer pause(io_, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::redirect_error(use_awaitable, error));
        continue;
      }
      if (connections_ >= options_.connections_max) {
        Counter("penstock_http_refused_total", "Connections refused at the limit").Add();
        continue;  // The socket closes.
      }
      if (options_.tls)
        asio::co_spawn(io_, ServeTls(beast::tcp_stream(std::move(socket))), asio::detached);
      else
        asio::co_spawn(io_, Serve(beast::tcp_stream(std::move(socket))), asio::detached);
    }
  }

  awaitable<void> Serve(PlainStream stream) {
    ++connections_;
    try {
      stream.socket().set_option(tcp::no_delay(true));
      const Remote remote{stream.socket().remote_endpoint().address().to_string(), {}};
      co_await ServeAll(stream, remote);
      boost::system::error_code ignored;
      stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    } catch (const std::exception& error) {  // The peer went away, or idled too long.
      LogDebug("http: connection ended: {}", error.what());
    }
    --connections_;
  }

  awaitable<void> ServeTls(beast::tcp_stream tcp_stream) {
    ++connections_;
    try {
      tcp_stream.socket().set_option(tcp::no_delay(true));
      Remote remote{tcp_stream.socket().remote_endpoint().address().to_string(), {}};
      // Asio's context takes a reference of its own and gives it back.
      const trust::Tls::Context shared = options_.tls();
      SSL_CTX_up_ref(shared.get());
      asio::ssl::context context(shared.get());
      std::optional<TlsStream> stream(std::in_place, std::move(tcp_stream), context);
      if (co_await Handshake(*stream)) {
        remote.peer = trust::PeerOf(stream->native_handle());
        co_await ServeAll(*stream, remote);
        TcpOf(*stream).expires_after(kGoodbye);
        boost::system::error_code ignored;
        co_await stream->async_shutdown(asio::redirect_error(use_awaitable, ignored));
      }
    } catch (const std::exception& error) {
      LogDebug("https: connection ended: {}", error.what());
    }
    --connections_;
  }

  // False when there will be no TLS here; the client was told what can be told.
  awaitable<bool> Handshake(TlsStream& stream) {
    if (handshakes_ >= options_.handshakes_max) {
      trust::CountTlsRefusal("too many handshakes");
      co_return false;
    }
    ++handshakes_;
    // Also when the coroutine is destroyed by the end of the server.
    const auto leave = [](size_t* count) { --*count; };
    const std::unique_ptr<size_t, decltype(leave)> counted(&handshakes_, leave);
    TcpOf(stream).expires_after(options_.handshake_timeout);
    std::vector<char> first(4096);
    boost::system::error_code error;
    const size_t size = co_await TcpOf(stream).async_read_some(
        asio::buffer(first), asio::redirect_error(use_awaitable, error));
    if (!error && first[0] != kTlsHandshakeRecord) {
      trust::CountTlsRefusal("not tls");
      co_await WritePlainRefusal(TcpOf(stream));
      co_return false;
    }
    if (!error)
      co_await stream.async_handshake(asio::ssl::stream_base::server,
                                      asio::buffer(first.data(), size),
                                      asio::redirect_error(use_awaitable, error));
    if (!error) co_return true;
    const bool refused = error.category() == asio::error::get_ssl_category() &&
                         ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
                             SSL_R_CERTIFICATE_VERIFY_FAILED;  // Counted with its reason.
    if (!refused)
      trust::CountTlsRefusal(error == beast::error::timeout ? "timeout" : "handshake failed");
    LogDebug("https: no handshake: {}", error.message());
    co_return false;
  }

  // For a client that speaks HTTP without TLS; for any other, closing says as much.
  static awaitable<void> WritePlainRefusal(beast::tcp_stream& stream) {
    const Response refusal = ProblemAs(
        400, InvalidArgument("this port speaks TLS: use https:// instead of http://").error());
    http::response<http::string_body> message(http::status::bad_request, 11);
    message.set(http::field::content_type, refusal.content_type);
    message.body() = refusal.body;
    message.keep_alive(false);
    message.prepare_payload();
    boost::system::error_code error;
    co_await http::async_write(stream, message, asio::redirect_error(use_awaitable, error));
    co_await Drain(stream);
  }

  template <typename Stream>
  awaitable<void> ServeAll(Stream& stream, const Remote& remote) {
    beast::flat_buffer buffer;
    while (co_await ServeOne(stream, buffer, remote)) {
    }
  }

  // One request and its answer; false when the connection ends.
  // What a body may come to, counted against bodies_bytes_max until its answer is there. I/O thread
  // only.
  class BodyClaim {
   public:
    BodyClaim(uint64_t& total, uint64_t bytes) : total_(total), bytes_(bytes) { total_ += bytes_; }
    ~BodyClaim() { Release(); }
    BodyClaim(const BodyClaim&) = delete;
    BodyClaim& operator=(const BodyClaim&) = delete;
    void Release() { total_ -= std::exchange(bytes_, 0); }

   private:
    uint64_t& total_;
    uint64_t bytes_;
  };

  uint64_t BytesOf(const Parser& parser) const {
    if (parser.chunked()) return options_.body_bytes_max;
    const auto length = parser.content_length();
    return length ? std::min<uint64_t>(*length, options_.body_bytes_max) : 0;
  }

  // A large body of known length goes from the socket into its place, in reads as large as the
  // socket has; the parser would take it in small pieces through a buffer. What did not come is cut
  // off.
  template <typename Stream>
  awaitable<boost::system::error_code> ReadBody(Stream& stream, beast::flat_buffer& buffer,
                                                Parser& parser) {
    std::string& body = parser.get().body();
    const auto length = static_cast<size_t>(*parser.content_length());
    if (length > options_.body_bytes_max) co_return http::error::body_limit;
    const size_t early = std::min(buffer.size(), length);
    body.resize_and_overwrite(length, [&](char* to, size_t size) {
      if (early > 0) std::memcpy(to, buffer.data().data(), early);
      return size;
    });
    buffer.consume(early);
    boost::system::error_code error;
    const size_t read =
        co_await asio::async_read(stream, asio::buffer(body.data() + early, length - early),
                                  asio::redirect_error(use_awaitable, error));
    if (error) body.resize(early + read);
    co_return error;
  }

  // Back-pressure: while what others have sent fills the bound, nothing is read from this socket.
  awaitable<bool> WaitForRoom(beast::tcp_stream& stream, uint64_t bytes) {
    const auto fits = [&] { return body_bytes_ + bytes <= options_.bodies_bytes_max; };
    if (bytes == 0 || fits()) co_return true;
    Counter("penstock_http_bodies_waited_total", "Bodies left unread while others fill the bound")
        .Add();
    stream.expires_never();
    const auto until = std::chrono::steady_clock::now() + options_.body_wait;
    asio::steady_timer pause(io_);
    while (!fits() && std::chrono::steady_clock::now() < until) {
      pause.expires_after(std::chrono::milliseconds(5));
      boost::system::error_code ignored;
      co_await pause.async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    stream.expires_after(kIdle);
    co_return fits();
  }

  template <typename Stream>
  awaitable<bool> ServeOne(Stream& stream, beast::flat_buffer& buffer, const Remote& remote) {
    Parser parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(options_.body_bytes_max);
    TcpOf(stream).expires_after(kIdle);
    boost::system::error_code error;
    co_await http::async_read_header(stream, buffer, parser,
                                     asio::redirect_error(use_awaitable, error));
    const uint64_t bytes = error ? 0 : BytesOf(parser);
    const bool room = co_await WaitForRoom(TcpOf(stream), bytes);
    BodyClaim claim(body_bytes_, bytes);
    if (!room) {
      Counter("penstock_http_bodies_refused_total", "Bodies refused while others fill the bound")
          .Add();
      co_await Write(stream,
                     Problem(ResourceExhausted("too many large requests at a time").error()), 11,
                     false, false);
      co_await Drain(stream);
      co_return false;
    }
    if (!error && parser.get()[http::field::expect] == "100-continue") {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      co_await http::async_write(stream, go_on, use_awaitable);
    }
    const bool in_body = !error;
    if (in_body && bytes >= kReadDirectlyFrom && !parser.chunked())
      error = co_await ReadBody(stream, buffer, parser);
    else if (in_body)
      co_await http::async_read(stream, buffer, parser, asio::redirect_error(use_awaitable, error));
    if (error && in_body && WasCut(error) && parser.get().count(kResumable) > 0) {
      Request torn = ToRequest(parser.release(), remote);
      torn.torn = true;
      co_await Handle(std::move(torn));
      co_return false;
    }
    if (error == http::error::end_of_stream || error == beast::error::timeout) co_return false;
    if (error == http::error::body_limit) {
      const Response refusal =
          ProblemAs(413, OutOfRange("body larger than {} bytes", options_.body_bytes_max).error());
      co_await Write(stream, refusal, 11, false, false);
      co_await Drain(stream);
      co_return false;
    }
    if (error) {
      Counter("penstock_http_malformed_total", "Requests that are no HTTP").Add();
      co_await Write(stream,
                     Problem(InvalidArgument("not an HTTP request: {}", error.message()).error()),
                     11, false, false);
      co_return false;
    }
    const unsigned version = parser.get().version();
    const bool keep_alive = parser.get().keep_alive(),
               head = parser.get().method() == http::verb::head;
    TcpOf(stream).expires_never();
    Response response = co_await Handle(ToRequest(parser.release(), remote));
    claim.Release();
    if (response.events) {
      co_await WriteEvents(stream, response);
      co_return false;
    }
    if (response.stream) {
      const auto body = response.stream;
      const std::function<Response()> make_head = [&] { return body->Head(std::move(response)); };
      response = co_await OnStreams<Response>(make_head);
      if (response.stream)
        co_return co_await WriteStream(stream, std::move(response), version, keep_alive, head);
    }
    co_await Write(stream, std::move(response), version, keep_alive, head);
    co_return keep_alive;
  }

  // Takes what a refused client still sends, for a while: a socket closed over unread bytes is
  // reset, and the client would never read why it was refused.
  template <typename Stream>
  static awaitable<void> Drain(Stream& stream) {
    boost::system::error_code error;
    if constexpr (std::is_same_v<Stream, PlainStream>)
      stream.socket().shutdown(tcp::socket::shutdown_send, error);
    TcpOf(stream).expires_after(kDrain);
    std::vector<char> sink(64 << 10);
    for (uint64_t taken = 0; !error && taken < kDrainBytesMax;)
      taken += co_await stream.async_read_some(asio::buffer(sink),
                                               asio::redirect_error(use_awaitable, error));
  }

  awaitable<Response> Handle(Request request) {
    auto initiate = [this](auto handler, Request request_moved) {
      // Shared by the responder's copies: std::function wants to be copyable, a completion handler
      // is not.
      auto done = std::make_shared<decltype(handler)>(std::move(handler));
      asio::post(pool_, [this, done, request_in = std::move(request_moved)]() mutable {
        handler_(std::move(request_in), [this, done](Response response) {
          auto shared = std::make_shared<Response>(std::move(response));
          asio::post(io_, [done, shared] { std::move (*done)(std::move(*shared)); });
        });
      });
    };
    co_return co_await asio::async_initiate<decltype(use_awaitable), void(Response)>(
        initiate, use_awaitable, std::move(request));
  }

  template <typename Stream>
  awaitable<void> Write(Stream& stream, Response response, unsigned version, bool keep_alive,
                        bool head) {
    http::response<http::string_body> message(static_cast<http::status>(response.status), version);
    if (!response.content_type.empty())
      message.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) message.insert(name, value);
    SetCommonHeaders(message);
    message.keep_alive(keep_alive);
    if (head) {
      message.content_length(response.body.size());
    } else {
      message.body() = std::move(response.body);
      if (response.status != 204 && response.status != 304)
        message.content_length(message.body().size());
    }
    TcpOf(stream).expires_after(kIdle);
    if (head) {
      http::response_serializer<http::string_body> serializer(message);
      co_await http::async_write_header(stream, serializer, use_awaitable);
    } else {
      co_await http::async_write(stream, message, use_awaitable);
    }
  }

  // Does the work on a thread that may wait, and goes on here with what it gave. `work` is a
  // variable of the caller: g++ 12 destroys a temporary twice in a co_await expression.
  template <typename T>
  awaitable<T> OnStreams(const std::function<T()>& work) {
    auto initiate = [this, &work](auto handler) {
      auto done = std::make_shared<decltype(handler)>(std::move(handler));
      asio::post(streams_, [this, done, &work] {
        auto shared = std::make_shared<T>(work());
        asio::post(io_, [done, shared] { std::move (*done)(std::move(*shared)); });
      });
    };
    co_return co_await asio::async_initiate<decltype(use_awaitable), void(T)>(initiate,
                                                                              use_awaitable);
  }

  // False when the connection ends: the body has no known end otherwise, or broke off.
  template <typename Stream>
  awaitable<bool> WriteStream(Stream& stream, Response response, unsigned version, bool keep_alive,
                              bool head) {
    const bool chunked = !response.length && version >= 11;
    keep_alive = keep_alive && (chunked || response.length);
    http::response<http::empty_body> message(static_cast<http::status>(response.status), version);
    message.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) message.insert(name, value);
    SetCommonHeaders(message);
    message.keep_alive(keep_alive);
    if (response.length)
      message.content_length(*response.length);
    else
      message.chunked(chunked);
    http::response_serializer<http::empty_body> serializer(message);
    TcpOf(stream).expires_after(kIdle);
    co_await http::async_write_header(stream, serializer, use_awaitable);
    if (head) co_return keep_alive;
    const auto body = std::exchange(response.stream, nullptr);
    const std::function<Result<std::string>()> make_block = [&] { return body->Next(); };
    while (true) {
      TcpOf(stream).expires_never();
      const auto block = co_await OnStreams<Result<std::string>>(make_block);
      if (!block) {
        Counter("penstock_http_streams_cut_total", "Streamed answers that broke off").Add();
        LogSometimes(LogLevel::kWarn, "http-stream", "answer cut: " + block.error().ToString());
        co_return false;
      }
      if (block->empty()) break;
      TcpOf(stream).expires_after(kIdle);
      if (chunked)
        co_await asio::async_write(stream, http::make_chunk(asio::buffer(*block)), use_awaitable);
      else
        co_await asio::async_write(stream, asio::buffer(*block), use_awaitable);
    }
    if (chunked) co_await asio::async_write(stream, http::make_chunk_last(), use_awaitable);
    co_return keep_alive;
  }

  template <typename Stream>
  awaitable<void> WriteEvents(Stream& stream, Response& response) {
    http::response<http::string_body> head(http::status::ok, 11);
    head.set(http::field::content_type, "text/event-stream");
    head.set("X-Accel-Buffering", "no");
    for (const auto& [name, value] : response.headers) head.insert(name, value);
    SetCommonHeaders(head);
    head.keep_alive(false);
    http::response_serializer<http::string_body> serializer(head);
    TcpOf(stream).expires_after(kIdle);
    co_await http::async_write_header(stream, serializer, use_awaitable);
    const auto timer = std::make_shared<asio::steady_timer>(io_);
    response.events->OnWake([this, weak = std::weak_ptr(timer)] {
      asio::post(io_, [weak] {
        if (const auto alive = weak.lock()) alive->cancel();
      });
    });
    while (!response.events->dropped()) {
      std::string text = response.events->Take();
      if (text.empty()) {
        timer->expires_after(kEventHeartbeat);
        boost::system::error_code error;
        // A wake between Take and here is posted to this thread, so it runs after the wait began.
        co_await timer->async_wait(asio::redirect_error(use_awaitable, error));
        if (error) continue;
        text = ": still here\n\n";
      }
      TcpOf(stream).expires_after(kIdle);
      co_await asio::async_write(stream, asio::buffer(text), use_awaitable);
    }
    response.events->OnWake(nullptr);
  }

  const HttpServerOptions options_;
  const AsyncHandler handler_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::thread_pool pool_;
  asio::thread_pool streams_;
  std::thread thread_;
  std::atomic<bool> stopped_{false};
  size_t connections_ = 0, handshakes_ = 0;  // I/O thread only.
  uint64_t body_bytes_ = 0;
  uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      AsyncHandler handler) {
  auto server = std::make_unique<Server>(options, std::move(handler));
  TRY(server->Listen());
  server->Run();
  return server;
}

}  // namespace penstock::api
