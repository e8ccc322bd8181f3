// The routes of the node: one table from which requests are answered, roles are checked and
// OpenAPI 3.1 is made.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/http.h"
#include "base/clock.h"

namespace penstock::api {

using Handler = std::function<Result<Response>(const Request&)>;

struct Route {
  std::string method;   // "GET"
  std::string pattern;  // "/api/v1/alarms/{id}/verdict"; "{path*}" takes the rest.
  trust::Role role;     // The least role that may; kNone = open to all.
  std::string summary;  // One sentence, shown in OpenAPI.
  Handler handle;
  Json body = nullptr;                  // JSON schema of the request's body, if it has one.
  std::vector<std::string> query = {};  // "from: RFC 3339 time", by name and meaning.
  AsyncHandler handle_async =
      nullptr;              // Instead of `handle`, when the answer comes from another thread.
  bool wants_json = true;   // Body must be JSON (else any bytes).
  bool devices = false;     // Also for a device, known by its certificate.
  bool takes_torn = false;  // Also a request whose connection was cut within the body.
};

class Router {
 public:
  void Add(Route route);
  // Finds the route and fills path_values. kNotFound; kUnimplemented-like 405 with Allow is given
  // as a Response.
  struct Match {
    const Route* route = nullptr;
    std::string allow;  // Methods that the path knows when the method does not fit.
  };
  Match Find(Request& request) const;
  const std::vector<Route>& routes() const { return routes_; }
  Json OpenApi(const std::string& version) const;

 private:
  std::vector<Route> routes_;
};

// The body as a JSON object; unknown keys are an error (see CheckKeys).
Result<Json> BodyObject(const Request& request, std::initializer_list<std::string_view> known);
// ?from= and ?to= as times; defaults are given. kInvalidArgument when from >= to.
struct TimeRange {
  Time from, to;
};
Result<TimeRange> RangeOf(const Request& request, Time now, Duration otherwise);

}  // namespace penstock::api
