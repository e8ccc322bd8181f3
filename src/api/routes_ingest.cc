// The way in over HTTP: InfluxDB line protocol. 204 only after the log's group commit; a request
// with some bad lines stores the good ones and answers 400 with the list (a partial write, as line
// protocol's users expect).
#include "api/routes.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "api/gzip.h"
#include "base/metrics.h"
#include "protocols/line_protocol/line_protocol.h"
#include "protocols/line_protocol/point_table.h"

namespace penstock::api {
namespace {

using protocols::LineError;
using protocols::LineParser;
using protocols::LineResult;
using protocols::PointTable;
using protocols::Precision;

constexpr size_t kInflatedBytesMax = 64 << 20;

// Line parsers remember the series they saw; a request borrows one, best one that knows its series,
// so that a series is learnt once and not by every parser.
class ParserPool {
 public:
  explicit ParserPool(const things::Snapshot& snapshot)
      : table_(std::make_shared<const PointTable>(snapshot)) {}

  LineResult Parse(std::string_view body, Precision precision, const things::Snapshot& snapshot,
                   Time ingest, telemetry::SampleSink& texts) {
    std::unique_ptr<LineParser> parser = TakeFor(body, snapshot);
    LineResult result = parser->Parse(body, precision, snapshot, ingest, &texts);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(parser));  // As many as handler threads at most.
    return result;
  }

 private:
  std::unique_ptr<LineParser> TakeFor(std::string_view body, const things::Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    if (!table_->IsOf(snapshot)) table_ = std::make_shared<const PointTable>(snapshot);
    if (idle_.empty()) idle_.push_back(std::make_unique<LineParser>());
    auto best = std::ranges::find_if(idle_, [&](const auto& p) { return p->KnowsFirstOf(body); });
    if (best == idle_.end())
      best = std::ranges::min_element(idle_, {}, [](const auto& p) { return p->series(); });
    auto parser = std::move(*best);
    idle_.erase(best);
    parser->Use(table_);
    return parser;
  }
  std::mutex mutex_;
  std::vector<std::unique_ptr<LineParser>> idle_;
  std::shared_ptr<const PointTable> table_;  // Shared with the parsers; it never changes.
};

Json ErrorsJson(const LineResult& result) {
  Json errors = Json::array();
  for (const LineError& error : result.errors)
    errors.push_back({{"line", error.line},
                      {"column", error.column},
                      {"message", error.message},
                      {"text", error.text}});
  return errors;
}

Response PartialWrite(const LineResult& result) {
  const size_t bad = result.lines - result.good;
  Error error{Code::kInvalidArgument,
              fmt::format("partial write: {} of {} lines refused", bad, result.lines)};
  if (!result.errors.empty()) {
    const LineError& first = result.errors.front();
    error.message +=
        fmt::format("; first at line {}, column {}: {}", first.line, first.column, first.message);
  }
  Response response = Problem(error);
  auto body = ParseJson(response.body);
  if (body) {
    (*body)["errors"] = ErrorsJson(result);
    (*body)["error_count"] = result.error_count;
    (*body)["lines"] = result.lines;
    // What clients of either version of the write API look for.
    (*body)["error"] = error.message;
    (*body)["code"] = "invalid";
    (*body)["message"] = error.message;
    response.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return response;
}

// The lines of a body: as they came, or inflated into `inflated`.
Result<std::string_view> LinesOf(const Request& request, std::string& inflated) {
  const std::string encoding = request.Header("content-encoding");
  if (encoding.empty() || encoding == "identity") return request.body;
  if (encoding != "gzip" && encoding != "x-gzip")
    return InvalidArgument("content encoding \"{}\" is not known here: gzip, or none",
                           encoding.substr(0, 40));
  ASSIGN_OR_RETURN(inflated, Gunzip(request.body, kInflatedBytesMax));
  return inflated;
}

void Note(const Services& services, const Request& request, const LineResult& result, Time now) {
  Counter("penstock_line_protocol_refused_total", "Lines refused").Add(result.lines - result.good);
  Counter("penstock_line_protocol_errors_total", "Mistakes in lines; a line may have several")
      .Add(result.error_count);
  for (const LineError& error : result.errors) {
    Counter("penstock_line_protocol_mistakes_total",
            "Mistakes in lines by kind, of the first 100 of a request",
            fmt::format("rule=\"{}\"", error.rule))
        .Add();
    services.quarantine.Put({now, "POST " + request.path + " from " + request.remote, error.point,
                             error.rule, error.text, error.message});
  }
}

void Write(const Services& services, ParserPool& parsers, const Request& request,
           const Responder& respond) {
  const auto precision = protocols::ParsePrecision(request.Query("precision"));
  if (!precision) return respond(Problem(precision.error()));
  std::string inflated;
  const auto lines = LinesOf(request, inflated);
  if (!lines) {
    Counter("penstock_line_protocol_bodies_refused_total", "Bodies that are no gzip, or too long")
        .Add();
    return respond(lines.error().code == Code::kOutOfRange ? ProblemAs(413, lines.error())
                                                           : Problem(lines.error()));
  }
  const Time now = services.clock.Now();
  LineResult result =
      parsers.Parse(*lines, *precision, *services.directory.snapshot(), now, services.pipeline);
  Note(services, request, result, now);
  telemetry::Batch batch = std::move(result.batch);
  result.batch = {};
  if (batch.empty())
    return respond(result.error_count == 0 ? EmptyResponse() : PartialWrite(result));
  services.pipeline.Write(std::move(batch), [respond, result](const Status& durable) {
    if (!durable) return respond(Problem(durable.error()));
    respond(result.error_count == 0 ? EmptyResponse() : PartialWrite(result));
  });
}

}  // namespace

void AddIngestRoutes(Router& router, const Services& s) {
  // Shared by the two routes, which live as long as the router.
  const auto parsers = std::make_shared<ParserPool>(*s.directory.snapshot());
  for (const char* path : {"/write", "/api/v2/write"}) {
    Route route{"POST",
                path,
                trust::Role::kEngineer,
                "Write samples in line protocol; answered when they are durable",
                nullptr,
                nullptr,
                {"precision: ns, us, ms or s"}};
    route.handle_async = [&s, parsers](const Request& request, const Responder& respond) {
      Write(s, *parsers, request, respond);
    };
    router.Add(std::move(route));
  }
}

}  // namespace penstock::api
