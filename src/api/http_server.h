// The HTTP/1.1 listener: one I/O thread for all connections, a few threads for the handlers.
// Bodies, headers, idle time and connections are bounded; a request that breaks a bound is answered
// and its connection closed.
//
// With `tls` the port speaks TLS alone: plain HTTP there is answered with 400 and counted. A client
// may show a certificate (trust/tls.h); handshakes are bounded in time and number.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "api/http.h"
#include "base/site.h"

namespace penstock::api {

struct HttpServerOptions {
  Endpoint listen{"127.0.0.1", 8080};
  uint64_t body_bytes_max = 32ULL << 20;
  // Of all bodies at a time. Beyond, a body stays unread in its socket (the sender feels it) for
  // body_wait; then 429.
  uint64_t bodies_bytes_max = 96ULL << 20;
  std::chrono::milliseconds body_wait{5000};
  size_t connections_max = 2000;
  int handler_threads = 4;
  // Asked for each new connection, on the I/O thread; unset: plain HTTP.
  std::function<trust::Tls::Context()> tls;
  std::chrono::milliseconds handshake_timeout{10'000};
  size_t handshakes_max = 256;  // At a time; beyond, connections are closed at once.
};

// A request with this header is handed on, marked torn, also when its connection is cut within the
// body: what came can be kept and the rest asked for (docs/formats/uplink.md).
inline constexpr std::string_view kResumableHeader = "penstock-block";

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  // `handler` is called on the handler threads and answers through its Responder exactly once, from
  // any thread. kAlreadyExists when the port is in use; the error says what to do.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   AsyncHandler handler);
  virtual uint16_t port() const = 0;
  virtual void Stop() = 0;
};

}  // namespace penstock::api
