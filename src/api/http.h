// One HTTP exchange as the routes see it, without the library that carries it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "trust/principal.h"
#include "trust/tls.h"

namespace penstock::api {

class EventClient;
struct Response;

struct Request {
  std::string method;  // "GET"
  std::string path;    // Decoded, without the query: "/api/v1/alarms/A-1042".
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::string body;
  std::string remote;                              // Peer's address without port.
  std::map<std::string, std::string> path_values;  // "{id}" -> "A-1042"
  trust::Principal principal;                      // role kNone when nobody is logged in.
  trust::TlsPeer peer;                             // Its certificate, checked in the handshake.
  bool torn = false;  // The connection was cut within the body; nobody reads the answer.

  std::string Header(std::string_view name) const;
  std::string Query(std::string_view name, std::string_view otherwise = "") const;
  Result<int64_t> QueryInteger(std::string_view name, int64_t otherwise, int64_t low,
                               int64_t high) const;
  std::string Cookie(std::string_view name) const;
  const std::string& At(
      const std::string& name) const;  // A path value; it is there by the pattern.
  bool WantsEvents() const {
    return Header("accept").find("text/event-stream") != std::string::npos;
  }
};

// A body that is made while it is sent, block by block. Called from threads that may wait, never
// two at a time.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // Once, before the header goes out: may still turn the answer into another, also a problem.
  virtual Response Head(Response planned);
  // The next block, at most 1 MiB; "" is the end. After an error the connection is cut, so that
  // the client sees that something is missing.
  virtual Result<std::string> Next() = 0;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<EventClient> events;  // Set: the connection becomes an event stream.
  std::shared_ptr<BodyStream> stream;   // Set: instead of `body`; only the server holds it then.
  std::optional<uint64_t> length;       // Of the stream's bytes; absent: sent in chunks.
};

Response JsonResponse(const Json& body, int status = 200);
Response EmptyResponse(int status = 204);
// RFC 9457. The HTTP status comes from the error's code.
Response Problem(const Error& error);
// The same with a status that no code has (405, 413, 415).
Response ProblemAs(int status, const Error& error);
// `next` is "" on the last page.
Response ListResponse(Json items, const std::string& next = "");

using Responder = std::function<void(Response)>;
using AsyncHandler = std::function<void(Request, Responder)>;

// "%41b+c" -> "Ab c" in queries, "Ab+c" in paths. Torn escapes stay as they are.
std::string PercentDecode(std::string_view text, bool plus_is_space);

}  // namespace penstock::api
