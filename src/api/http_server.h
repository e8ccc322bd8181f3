// The HTTP/1.1 listener: one I/O thread for all connections, a few threads for the handlers.
// Bodies, headers, idle time and connections are bounded; a request that breaks a bound is answered
// and its connection closed.
#pragma once

#include <memory>
#include <string>

#include "api/http.h"
#include "base/site.h"

namespace penstock::api {

struct HttpServerOptions {
  Endpoint listen{"127.0.0.1", 8080};
  uint64_t body_bytes_max = 32ULL << 20;
  uint64_t bodies_bytes_max = 256ULL << 20;  // Of all bodies at a time; beyond, 429.
  size_t connections_max = 2000;
  int handler_threads = 4;
};

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
