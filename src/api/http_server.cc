// HTTP over Boost.Beast, as coroutines: a connection is one loop of read, handle, write. The
// handler runs on a pool, since it may ask the history or the records; its answer comes back to the
// connection's strand by a posted completion.
//
// TLS is the same loop (byte_stream.h knows the difference): what differs is the handshake before
// it, of which the first bytes are read apart, so that a client that speaks plain HTTP is told so.
//
// A streamed body (a file, an export) is made on threads of its own: it may wait for the disk or
// for a query, and must not keep the handlers from answering. One block is in memory at a time.
//
// An event stream is the same connection with an endless answer: it writes what its EventClient has
// queued, and a comment each 15 s so that proxies and we find out about the dead.
#include "api/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/byte_stream.h"
#include "api/event_hub.h"
#include "api/http_head.h"
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
constexpr size_t kReadBytesMax = 64 << 10;
constexpr size_t kStreamThreads = 6;
constexpr uint64_t kReadDirectlyFrom = 16 << 10;  // Bytes of a body.
constexpr auto kGoodbye = std::chrono::seconds(2);
constexpr char kTlsHandshakeRecord = 0x16;  // RFC 8446, section 5.1.

using Parser = http::request_parser<http::string_body>;
// Who is at the other end of a connection.
struct Remote {
  std::string address;
  trust::TlsPeer peer;
};

asio::const_buffer BufferOf(std::string_view text) { return {text.data(), text.size()}; }

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
      asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
    }
  }

  awaitable<void> Serve(tcp::socket socket) {
    ++connections_;
    try {
      ByteStream stream(std::move(socket));
      Remote remote{stream.Address(), {}};
      bool open = true;
      if (options_.tls) open = co_await Handshake(stream);
      if (open) {
        remote.peer = stream.Peer();
        beast::flat_buffer buffer;
        while (co_await ServeOne(stream, buffer, remote)) {
        }
        stream.ExpiresAfter(kGoodbye);
        co_await stream.End();
      }
    } catch (const std::exception& error) {  // The peer went away, or idled too long.
      LogDebug("http: connection ended: {}", error.what());
    }
    --connections_;
  }

  // False when there will be no TLS here; the client was told what can be told.
  awaitable<bool> Handshake(ByteStream& stream) {
    if (handshakes_ >= options_.handshakes_max) {
      trust::CountTlsRefusal("too many handshakes");
      co_return false;
    }
    ++handshakes_;
    // Also when the coroutine is destroyed by the end of the server.
    const auto leave = [](size_t* count) { --*count; };
    const std::unique_ptr<size_t, decltype(leave)> counted(&handshakes_, leave);
    stream.ExpiresAfter(options_.handshake_timeout);
    std::vector<char> first(4096);
    boost::system::error_code error;
    const size_t size = co_await stream.ReadSome(asio::buffer(first), error);
    if (!error && first[0] != kTlsHandshakeRecord) {
      trust::CountTlsRefusal("not tls");
      const Response refusal = ProblemAs(
          400, InvalidArgument("this port speaks TLS: use https:// instead of http://").error());
      co_await Refuse(stream, refusal);
      co_return false;
    }
    const trust::Tls::Context context = options_.tls();
    if (!error) co_await stream.StartTls(context, asio::const_buffer(first.data(), size), error);
    if (!error) co_return true;
    const bool refused = error.category() == asio::error::get_ssl_category() &&
                         ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
                             SSL_R_CERTIFICATE_VERIFY_FAILED;  // Counted with its reason.
    if (!refused)
      trust::CountTlsRefusal(error == beast::error::timeout ? "timeout" : "handshake failed");
    LogDebug("https: no handshake: {}", error.message());
    co_return false;
  }

  // For whom there is no second request.
  awaitable<void> Refuse(ByteStream& stream, const Response& refusal) {
    co_await Write(stream, refusal, 11, false, false);
    co_await Drain(stream);
  }

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
  awaitable<boost::system::error_code> ReadBody(ByteStream& stream, beast::flat_buffer& buffer,
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
    size_t read = early;
    while (read < length && !error) {
      const asio::mutable_buffer rest(body.data() + read, length - read);
      read += co_await stream.ReadSome(rest, error);
    }
    body.resize(read);
    co_return error;
  }

  // Gives the parser what comes until `done` says that it has enough.
  static awaitable<boost::system::error_code> Parse(ByteStream& stream, beast::flat_buffer& buffer,
                                                    Parser& parser, bool (Parser::*done)() const) {
    boost::system::error_code error = http::error::need_more;
    while (!(parser.*done)()) {
      if (buffer.size() > 0) {
        buffer.consume(parser.put(buffer.data(), error));
        if (!error) continue;
        if (error != http::error::need_more) co_return error;
      }
      const size_t room = std::clamp<size_t>(buffer.capacity() - buffer.size(), 512, kReadBytesMax);
      const size_t read = co_await stream.ReadSome(buffer.prepare(room), error);
      buffer.commit(read);
      if (error == asio::error::eof) {
        if (!parser.got_some()) co_return http::error::end_of_stream;
        error = {};
        parser.put_eof(error);
      }
      if (error) co_return error;
    }
    co_return boost::system::error_code();
  }

  // Back-pressure: while what others have sent fills the bound, nothing is read from this socket.
  awaitable<bool> WaitForRoom(ByteStream& stream, uint64_t bytes) {
    const auto fits = [&] { return body_bytes_ + bytes <= options_.bodies_bytes_max; };
    if (bytes == 0 || fits()) co_return true;
    Counter("penstock_http_bodies_waited_total", "Bodies left unread while others fill the bound")
        .Add();
    stream.ExpiresNever();
    const auto until = std::chrono::steady_clock::now() + options_.body_wait;
    asio::steady_timer pause(io_);
    while (!fits() && std::chrono::steady_clock::now() < until) {
      pause.expires_after(std::chrono::milliseconds(5));
      boost::system::error_code ignored;
      co_await pause.async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    stream.ExpiresAfter(kIdle);
    co_return fits();
  }

  // One request and its answer; false when the connection ends.
  awaitable<bool> ServeOne(ByteStream& stream, beast::flat_buffer& buffer, const Remote& remote) {
    Parser parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(options_.body_bytes_max);
    stream.ExpiresAfter(kIdle);
    parser.eager(false);  // The body stays in the buffer for ReadBody.
    boost::system::error_code error =
        co_await Parse(stream, buffer, parser, &Parser::is_header_done);
    const uint64_t bytes = error ? 0 : BytesOf(parser);
    const bool room = co_await WaitForRoom(stream, bytes);
    BodyClaim claim(body_bytes_, bytes);
    if (!room) {
      Counter("penstock_http_bodies_refused_total", "Bodies refused while others fill the bound")
          .Add();
      const Response refusal =
          Problem(ResourceExhausted("too many large requests at a time").error());
      co_await Refuse(stream, refusal);
      co_return false;
    }
    if (!error && parser.get()[http::field::expect] == "100-continue") {
      co_await stream.Write(BufferOf("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    const bool in_body = !error;
    if (in_body && bytes >= kReadDirectlyFrom && !parser.chunked()) {
      error = co_await ReadBody(stream, buffer, parser);
    } else if (in_body) {
      parser.eager(true);
      error = co_await Parse(stream, buffer, parser, &Parser::is_done);
    }
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
      co_await Refuse(stream, refusal);
      co_return false;
    }
    if (error) {
      Counter("penstock_http_malformed_total", "Requests that are no HTTP").Add();
      const Response refusal =
          Problem(InvalidArgument("not an HTTP request: {}", error.message()).error());
      co_await Write(stream, refusal, 11, false, false);
      co_return false;
    }
    const unsigned version = parser.get().version();
    const bool keep_alive = parser.get().keep_alive(),
               head = parser.get().method() == http::verb::head;
    stream.ExpiresNever();
    Response response = co_await Handle(ToRequest(parser.release(), remote));
    claim.Release();
    if (response.events) {
      co_await WriteEvents(stream, response);
      co_return false;
    }
    if (response.stream) {
      const auto body = response.stream;
      const std::function<void()> make_head = [&] { response = body->Head(std::move(response)); };
      co_await OnStreams(make_head);
      if (response.stream)
        co_return co_await WriteStream(stream, std::move(response), version, keep_alive, head);
    }
    co_await Write(stream, response, version, keep_alive, head);
    co_return keep_alive;
  }

  // Takes what a refused client still sends, for a while: a socket closed over unread bytes is
  // reset, and the client would never read why it was refused.
  static awaitable<void> Drain(ByteStream& stream) {
    stream.StopSending();
    stream.ExpiresAfter(kDrain);
    boost::system::error_code error;
    std::vector<char> sink(64 << 10);
    for (uint64_t taken = 0; !error && taken < kDrainBytesMax;)
      taken += co_await stream.ReadSome(asio::buffer(sink), error);
  }

  // Waits until what `begin` started calls its argument, from any thread, once. What both write
  // and read lives in the caller's frame, which that argument keeps. `begin` is a variable of the
  // caller: g++ 12 destroys a temporary twice in a co_await expression.
  awaitable<void> Await(const std::function<void(std::function<void()>)>& begin) {
    auto initiate = [this, &begin](auto handler) {
      // Shared by the copies: std::function wants to be copyable, a completion handler is not.
      auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
      begin([this, waiting] { asio::post(io_, [waiting] { std::move (*waiting)(); }); });
    };
    co_return co_await asio::async_initiate<decltype(use_awaitable), void()>(initiate,
                                                                             use_awaitable);
  }

  awaitable<Response> Handle(Request request) {
    Response answer;
    const std::function<void(std::function<void()>)> begin = [&](std::function<void()> done) {
      asio::post(pool_, [this, &request, &answer, done = std::move(done)] {
        handler_(std::move(request), [&answer, done](Response response) {
          answer = std::move(response);
          done();
        });
      });
    };
    co_await Await(begin);
    co_return answer;
  }

  // Does the work on a thread that may wait.
  awaitable<void> OnStreams(const std::function<void()>& work) {
    const std::function<void(std::function<void()>)> begin = [&](std::function<void()> done) {
      asio::post(streams_, [&work, done = std::move(done)] {
        work();
        done();
      });
    };
    co_await Await(begin);
  }

  awaitable<void> Write(ByteStream& stream, const Response& response, unsigned version,
                        bool keep_alive, bool head_only) {
    const bool has_body = response.status != 204 && response.status != 304;
    Framing framing{.version = version, .keep_alive = keep_alive};
    if (has_body || head_only) framing.length = response.body.size();
    const std::string head = HeadOf(response, framing);
    stream.ExpiresAfter(kIdle);
    co_await stream.Write(BufferOf(head),
                          BufferOf(has_body && !head_only ? response.body : std::string_view()));
  }

  // False when the connection ends: the body has no known end otherwise, or broke off.
  awaitable<bool> WriteStream(ByteStream& stream, Response response, unsigned version,
                              bool keep_alive, bool head_only) {
    const bool chunked = !response.length && version >= 11;
    keep_alive = keep_alive && (chunked || response.length);
    const std::string head = HeadOf(response, {.version = version,
                                               .keep_alive = keep_alive,
                                               .chunked = chunked,
                                               .length = response.length});
    stream.ExpiresAfter(kIdle);
    co_await stream.Write(BufferOf(head));
    if (head_only) co_return keep_alive;
    const auto body = std::exchange(response.stream, nullptr);
    Result<std::string> block;
    const std::function<void()> make_block = [&] { block = body->Next(); };
    while (true) {
      stream.ExpiresNever();
      co_await OnStreams(make_block);
      if (!block) {
        Counter("penstock_http_streams_cut_total", "Streamed answers that broke off").Add();
        LogSometimes(LogLevel::kWarn, "http-stream", "answer cut: " + block.error().ToString());
        co_return false;
      }
      if (block->empty()) break;
      stream.ExpiresAfter(kIdle);
      const std::string chunk_head = chunked ? ChunkHead(block->size()) : "";
      co_await stream.Write(BufferOf(chunk_head), BufferOf(*block),
                            BufferOf(chunked ? kChunkEnd : std::string_view()));
    }
    if (chunked) co_await stream.Write(BufferOf(kLastChunk));
    co_return keep_alive;
  }

  awaitable<void> WriteEvents(ByteStream& stream, Response& response) {
    response.status = 200;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("X-Accel-Buffering", "no");
    const std::string head = HeadOf(response, {});
    stream.ExpiresAfter(kIdle);
    co_await stream.Write(BufferOf(head));
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
      stream.ExpiresAfter(kIdle);
      co_await stream.Write(BufferOf(text));
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
