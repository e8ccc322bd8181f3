// Points, their present values, trends and samples; the line's quarantine.
#include "api/routes.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "api/burst_trend.h"
#include "base/bytes.h"

namespace penstock::api {
namespace {

constexpr size_t kTrendWidthMax = 4000;
constexpr size_t kPageTextBytesMax = 16 << 20;

std::string_view TypeName(things::ValueType type) {
  switch (type) {
    case things::ValueType::kNumber:
      return "number";
    case things::ValueType::kInteger:
      return "integer";
    case things::ValueType::kBoolean:
      return "boolean";
    case things::ValueType::kString:
      return "string";
    case things::ValueType::kWaveform:
      return "waveform";
  }
  return "number";
}

Json SparkJson(const Services& services, PointId id, Time now) {
  Json spark = Json::array();
  for (const auto& bucket : services.live.Spark(id, now)) spark.push_back(NumberOrNull(bucket));
  return spark;
}

}  // namespace

Json ValueJson(const Services& services, things::ValueType type, double value) {
  if (type == things::ValueType::kString) {
    const auto text = services.pipeline.TextOf(value);
    return text ? Json(*text) : Json(nullptr);
  }
  const bool whole = type == things::ValueType::kInteger || type == things::ValueType::kBoolean;
  if (whole && telemetry::IsExactInteger(value)) return static_cast<int64_t>(value);
  return NumberOrNull(value);
}

Json PointJson(const Services& services, const trust::Principal& who, const things::Point& point,
               bool with_spark) {
  Json body = {
      {"id", point.id.value},
      {"path", point.path()},
      {"thing", point.thing},
      {"property", point.property},
      {"title", point.title},
      {"asset", point.asset},
      {"unit", point.unit},
      {"type", TypeName(point.type)},
      {"minimum", NumberOrNull(point.quality.minimum)},
      {"maximum", NumberOrNull(point.quality.maximum)},
      {"sample_rate_hz", point.sample_rate_hz > 0 ? Json(point.sample_rate_hz) : Json(nullptr)},
      {"contract", point.contract},
      {"classification", point.classification},
      {"value", nullptr},
      {"quality", nullptr},
      {"time", nullptr},
      {"normal_low", nullptr},
      {"normal_high", nullptr}};
  const bool withheld = services.withholds && services.withholds(who, point);
  if (withheld) body["withheld"] = true;
  if (const auto live = services.live.Get(point.id); live && !withheld) {
    body["value"] = ValueJson(services, point.type, live->value);
    body["quality"] = telemetry::QualityName(live->quality);
    body["time"] = FormatTime(live->time);
  }
  if (const auto band = services.normal_band(point)) {
    body["normal_low"] = NumberOrNull(band->first);
    body["normal_high"] = NumberOrNull(band->second);
  }
  if (!point.words.empty()) {
    body["words"] = Json::array();
    for (const auto& [value, word] : point.words)
      body["words"].push_back({static_cast<int64_t>(value), word});
  }
  if (with_spark && !withheld && point.type != things::ValueType::kString)
    body["spark"] = SparkJson(services, point.id, services.clock.Now());
  return body;
}

namespace {

Result<const things::Point*> PointOf(const things::Snapshot& snapshot, const std::string& path) {
  const things::Point* point = snapshot.FindPoint(path);
  if (point != nullptr) return point;
  std::vector<std::string> known;
  for (const auto& [name, id] : snapshot.by_path) known.push_back(name);
  auto error = NotFound("point unknown: {}", path.substr(0, 200));
  if (const std::string nearest = Nearest(path, known); !nearest.empty())
    error.error().Fix("did you mean \"" + nearest + "\"?");
  return error;
}

Result<Response> ListPoints(const Services& services, const Request& request) {
  const auto snapshot = services.directory.snapshot();
  const std::string thing = request.Query("thing");
  const bool spark = request.Query("spark") == "1";
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", -1, -1, UINT32_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 1000, 1, 10000));
  Json items = Json::array();
  std::string next;
  for (const things::Property* property : snapshot->by_id) {
    if (property == nullptr || int64_t{property->point.id.value} <= after) continue;
    if (!thing.empty() && property->point.thing != thing) continue;
    if (static_cast<int64_t>(items.size()) == limit) {
      next = std::to_string(items.back()["id"].get<uint32_t>());
      break;
    }
    items.push_back(PointJson(services, request.principal, property->point, spark));
  }
  return ListResponse(std::move(items), next);
}

Result<bool> WantsRms(const things::Point& point, const std::string& of) {
  if (of == "value") return false;
  if (of != "rms") return InvalidArgument("?of={} is not value or rms", of.substr(0, 20));
  if (point.type == things::ValueType::kWaveform && point.sample_rate_hz > 0) return true;
  auto error = InvalidArgument("?of=rms is for waveforms; {} is none", point.path());
  error.error().Fix("leave ?of= out");
  return error;
}

// Pixels that begin on whole seconds, minutes or hours, where they are longer than that, so that
// the history need not look at the rows at each one's ends.
Result<std::vector<storage::TrendBucket>> ValueTrend(storage::History& history,
                                                     const std::string& path,
                                                     const TimeRange& range, size_t pixels) {
  const Duration whole = range.to - range.from;
  for (const Duration grain : {Duration(std::chrono::hours(1)), Duration(std::chrono::minutes(1)),
                               Duration(std::chrono::seconds(1))}) {
    // The first and the last pixel may be partial, so one less must hold the range.
    constexpr size_t kFewPixels = 16;  // Their ends are read quickly.
    if (pixels < kFewPixels || whole / grain < static_cast<int64_t>(pixels)) continue;
    const int64_t whole_steps = (whole + grain - Duration(1)) / grain;
    const auto between = static_cast<int64_t>(pixels - 1);
    const Duration step = grain * ((whole_steps + between - 1) / between);
    ASSIGN_OR_RETURN(auto series, history.Aggregate({&path, 1}, range.from, range.to, step));
    auto& buckets = series.at(0).buckets;
    if (!buckets.empty()) buckets.front().from = std::max(buckets.front().from, range.from);
    return std::move(buckets);
  }
  return history.Trend(path, range.from, range.to, pixels);
}

Result<Response> Trend(const Services& services, const Request& request) {
  const auto snapshot = services.directory.snapshot();
  ASSIGN_OR_RETURN(const things::Point* point,
                   PointOf(*snapshot, request.At("thing") + "/" + request.At("property")));
  if (services.may_read) TRY(services.may_read(request.principal, *point));
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, services.clock.Now(), std::chrono::hours(8)));
  ASSIGN_OR_RETURN(const int64_t width, request.QueryInteger("width", 800, 1, kTrendWidthMax));
  ASSIGN_OR_RETURN(const bool rms, WantsRms(*point, request.Query("of", "value")));
  const auto pixels = static_cast<size_t>(width);
  ASSIGN_OR_RETURN(const auto buckets,
                   rms ? BurstTrend(services.history, point->path(), point->sample_rate_hz,
                                    range.from, range.to, pixels)
                       : ValueTrend(services.history, point->path(), range, pixels));
  Json rows = Json::array();
  // Texts have no least and no greatest.
  const bool text = point->type == things::ValueType::kString;
  for (const auto& b : buckets)
    rows.push_back({ToMicros(b.from) / 1000, ValueJson(services, point->type, b.first),
                    text ? Json(nullptr) : NumberOrNull(b.min),
                    text ? Json(nullptr) : NumberOrNull(b.max),
                    ValueJson(services, point->type, b.last), b.count, b.bad});
  Json body = {{"type", TypeName(point->type)},
               {"path", point->path()},
               {"of", rms ? "rms" : "value"},
               {"unit", point->unit},
               {"from", FormatTime(range.from)},
               {"to", FormatTime(range.to)},
               {"width", width},
               {"normal_low", nullptr},
               {"normal_high", nullptr},
               {"points", std::move(rows)}};
  // What is normal for a waveform is said about its RMS, not about its samples.
  const bool comparable = rms || point->type != things::ValueType::kWaveform;
  if (const auto band = comparable ? services.normal_band(*point) : std::nullopt) {
    body["normal_low"] = NumberOrNull(band->first);
    body["normal_high"] = NumberOrNull(band->second);
  }
  return JsonResponse(body);
}

// From which row on a page of texts fits; of numbers from the first.
size_t PageBegin(const Services& services, std::span<const storage::HistoryRow> rows) {
  size_t bytes = 0, begin = rows.size();
  while (begin > 0) {
    const auto text = services.pipeline.TextOf(rows[begin - 1].value);
    bytes += text ? text->size() : 0;
    if (bytes > kPageTextBytesMax) break;
    --begin;
  }
  return begin;
}

Result<Response> Samples(const Services& services, const Request& request) {
  const auto snapshot = services.directory.snapshot();
  ASSIGN_OR_RETURN(const things::Point* point, PointOf(*snapshot, request.Query("point")));
  if (services.may_read) TRY(services.may_read(request.principal, *point));
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, services.clock.Now(), std::chrono::hours(1)));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 1000, 1, 100000));
  ASSIGN_OR_RETURN(const auto rows, services.history.Read(point->path(), range.from, range.to,
                                                          static_cast<size_t>(limit)));
  const size_t begin =
      point->type == things::ValueType::kString ? PageBegin(services, rows) : size_t{0};
  Json items = Json::array();
  for (const auto& row : std::span(rows).subspan(begin))
    items.push_back({{"time", FormatTime(row.time)},
                     {"value", ValueJson(services, point->type, row.value)},
                     {"quality", telemetry::QualityName(row.quality)}});
  // Pages go back in time: the next one ends where this one begins.
  const bool more = begin > 0 || static_cast<int64_t>(rows.size()) == limit;
  return ListResponse(std::move(items), more ? FormatTime(rows[begin].time) : "");
}

}  // namespace

void AddPointRoutes(Router& router, const Services& s) {
  using trust::Role;
  const std::vector<std::string> range = {"from: RFC 3339 time", "to: RFC 3339 time"};
  router.Add({"GET",
              "/api/v1/points",
              Role::kViewer,
              "Points with their present value and quality",
              [&s](const Request& r) { return ListPoints(s, r); },
              nullptr,
              {"thing: only of this thing", "spark: 1 adds 48 means over 8 h", "after: cursor",
               "limit: 1 to 10000"}});
  router.Add({"GET",
              "/api/v1/points/{thing}/{property}/trend",
              Role::kViewer,
              "First, min, max and last per pixel; empty pixels are left out",
              [&s](const Request& r) { return Trend(s, r); },
              nullptr,
              {range[0], range[1], "width: pixels, 1 to 4000",
               "of: value, or rms (of a waveform's bursts)"}});
  router.Add({"GET",
              "/api/v1/samples",
              Role::kViewer,
              "Samples of one point, the latest of the range",
              [&s](const Request& r) { return Samples(s, r); },
              nullptr,
              {"point: thing/property", range[0], range[1], "limit: 1 to 100000"}});
  AddLedgerRoutes(router, s);
  AddAggregateRoutes(router, s);
  AddBackupRoutes(router, s);
}

}  // namespace penstock::api
