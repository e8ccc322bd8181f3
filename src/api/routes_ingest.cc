// The way in over HTTP: InfluxDB line protocol. 204 only after the log's group commit; a request with some bad lines stores the
// good ones and answers 400 with the list (a partial write, as line protocol's users expect).
#include "api/routes.h"

#include "base/metrics.h"
#include "protocols/line_protocol/line_protocol.h"

namespace penstock::api {
namespace {

using protocols::LineError;
using protocols::LineResult;
using protocols::Precision;

Result<Precision> PrecisionOf(const Request& request) {
  const std::string text = request.Query("precision", "ns");
  if (text == "ns" || text == "n") return Precision::kNanoseconds;
  if (text == "us" || text == "u") return Precision::kMicroseconds;
  if (text == "ms") return Precision::kMilliseconds;
  if (text == "s") return Precision::kSeconds;
  return InvalidArgument("?precision={} is not ns, us, ms or s", text.substr(0, 20));
}

Json ErrorsJson(const LineResult& result) {
  Json errors = Json::array();
  for (const LineError& error : result.errors)
    errors.push_back({{"line", error.line}, {"column", error.column}, {"message", error.message}, {"text", error.text}});
  return errors;
}

Response PartialWrite(const LineResult& result) {
  const size_t bad = result.lines - result.good;
  Error error{Code::kInvalidArgument, fmt::format("partial write: {} of {} lines refused", bad, result.lines)};
  if (!result.errors.empty()) {
    const LineError& first = result.errors.front();
    error.message += fmt::format("; first at line {}, column {}: {}", first.line, first.column, first.message);
  }
  Response response = Problem(error);
  auto body = ParseJson(response.body);
  if (body) {
    (*body)["errors"] = ErrorsJson(result);
    response.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return response;
}

void Write(const Services& services, const Request& request, const Responder& respond) {
  const auto precision = PrecisionOf(request);
  if (!precision) return respond(Problem(precision.error()));
  if (request.Header("content-encoding").find("gzip") != std::string::npos)
    return respond(Problem(InvalidArgument("a gzip body is not taken here: send it plain").error()));
  const Time now = services.clock.Now();
  LineResult result = protocols::ParseLines(request.body, *precision, *services.directory.snapshot(), now);
  Counter("penstock_line_protocol_refused_total", "Lines refused").Add(result.lines - result.good);
  for (const LineError& error : result.errors)
    services.quarantine.Put({now, "POST " + request.path + " from " + request.remote, error.point, error.rule,
                             error.text, error.message});
  telemetry::Batch batch = std::move(result.batch);
  result.batch = {};
  if (batch.empty()) return respond(result.errors.empty() ? EmptyResponse() : PartialWrite(result));
  services.pipeline.Write(std::move(batch), [respond, result](const Status& durable) {
    if (!durable) return respond(Problem(durable.error()));
    respond(result.errors.empty() ? EmptyResponse() : PartialWrite(result));
  });
}

}  // namespace

void AddIngestRoutes(Router& router, const Services& s) {
  for (const char* path : {"/write", "/api/v2/write"}) {
    Route route{"POST", path, trust::Role::kEngineer, "Write samples in line protocol; answered when they are durable",
                nullptr, nullptr, {"precision: ns, us, ms or s"}};
    route.handle_async = [&s](Request request, const Responder& respond) { Write(s, request, respond); };
    router.Add(std::move(route));
  }
}

}  // namespace penstock::api
