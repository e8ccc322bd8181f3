// One number, or one per step of time, over many points at once: the mean over all hosts, the
// highest bearing temperature of a line. The points are those whose property has one name,
// narrowed by product or asset, and only those that the asker may read; bad samples do not count,
// and a mean is over samples, not over the points' means.
#include "api/routes.h"

#include <algorithm>
#include <cmath>

namespace penstock::api {
namespace {

constexpr size_t kStepsMax = 4000;
constexpr size_t kTextsMax = 1000;  // Of one step.

struct Chosen {
  std::vector<std::string> paths;
  bool texts = false;  // Points of type string; all of them are.
};

Result<Chosen> PathsOf(const Services& services, const Request& request) {
  const auto snapshot = services.directory.snapshot();
  const std::string property = request.Query("property"), product = request.Query("product"),
                    asset = request.Query("asset");
  Chosen chosen;
  auto& paths = chosen.paths;
  for (const things::Property* known : snapshot->by_id) {
    if (known == nullptr || known->point.property != property) continue;
    const things::Point& point = known->point;
    if (!product.empty() && point.product != product) continue;
    const bool below = asset.empty() || point.asset == asset ||
                       (point.asset.starts_with(asset) && point.asset[asset.size()] == '/');
    if (!below) continue;
    const Status allowed =
        services.may_read ? services.may_read(request.principal, point) : Status();
    if (!allowed && allowed.error().code != Code::kPermissionDenied)
      return std::unexpected(allowed.error());
    if (!allowed) continue;
    const bool text = point.type == things::ValueType::kString;
    if (!paths.empty() && text != chosen.texts) {
      auto error = InvalidArgument("{} is {} and {} is {}: they have nothing in common",
                                   paths.front().substr(0, 80), chosen.texts ? "text" : "no text",
                                   point.path().substr(0, 80), text ? "text" : "no text");
      error.error().Fix("narrow it by ?product= or ?asset=");
      return error;
    }
    chosen.texts = text;
    paths.push_back(point.path());
  }
  return chosen;
}

struct Total {
  double sum = 0, min = NAN, max = NAN;
  uint64_t good = 0, bad = 0, points = 0;

  void Add(const storage::TrendBucket& bucket) {
    bad += bucket.bad;
    if (bucket.good == 0) return;
    ++points;
    good += bucket.good;
    sum += bucket.mean * static_cast<double>(bucket.good);
    min = std::fmin(min, bucket.min);
    max = std::fmax(max, bucket.max);
  }
};

// How many points say what at the end of a step.
struct TextTotal {
  std::map<double, uint64_t> last;  // Points, by the code of their last text.
  uint64_t good = 0, bad = 0;

  void Add(const storage::TrendBucket& bucket) {
    bad += bucket.bad;
    good += bucket.good;
    if (bucket.good > 0) ++last[bucket.last];
  }
};

Json TextItems(const Services& services, std::span<const storage::TrendSeries> series) {
  std::map<Time, TextTotal> totals;
  for (const storage::TrendSeries& one : series)
    for (const storage::TrendBucket& bucket : one.buckets) totals[bucket.from].Add(bucket);
  Json items = Json::array();
  for (const auto& [from, total] : totals) {
    Json last = Json::object();
    uint64_t points = 0;
    for (const auto& [code, count] : total.last) {
      points += count;
      if (const auto text = services.pipeline.TextOf(code); text && last.size() < kTextsMax)
        last[std::string(*text)] = count;
    }
    items.push_back({{"from", FormatTime(from)},
                     {"last", std::move(last)},
                     {"samples", total.good},
                     {"bad", total.bad},
                     {"points", points}});
  }
  return items;
}

Status CheckTake(const Request& request, const Chosen& chosen) {
  const std::string take = request.Query("take");
  if (take.empty() || take == "count" || (chosen.texts && take == "last")) return {};
  const bool of_numbers = take == "mean" || take == "min" || take == "max";
  if (of_numbers && !chosen.texts) return {};
  auto error = of_numbers
                   ? InvalidArgument("take={} of {}: of texts there is a count and the last alone",
                                     take, request.Query("property").substr(0, 200))
                   : InvalidArgument("take={} is not known here", take.substr(0, 40));
  error.error().Fix(chosen.texts ? "take=last or take=count" : "mean, min, max or count");
  return error;
}

// The counts stay: a figure without them says little.
void LeaveOut(Json& items, const std::string& take) {
  if (take.empty()) return;
  for (const char* other : {"mean", "min", "max", "last"})
    for (Json& item : items)
      if (take != other) item.erase(other);
}

Result<Duration> StepOf(const Request& request, const TimeRange& range) {
  const std::string text = request.Query("every");
  if (text.empty()) return Duration(0);
  ASSIGN_OR_RETURN(const Duration every, ParseDuration(text));
  if (every > Duration(0) && (range.to - range.from) / every <= static_cast<int64_t>(kStepsMax))
    return every;
  auto error =
      InvalidArgument("every={} gives more than {} steps, or none", text.substr(0, 40), kStepsMax);
  error.error().Fix("a longer step, for example every=5min, or a shorter range");
  return error;
}

Result<Response> Aggregate(const Services& services, const Request& request) {
  if (request.Query("property").empty()) {
    auto error = InvalidArgument("?property= is missing: the points' name within their things");
    error.error().Fix("for example /api/v1/aggregate?property=bearing_temperature");
    return error;
  }
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, services.clock.Now(), std::chrono::hours(1)));
  ASSIGN_OR_RETURN(const Duration every, StepOf(request, range));
  ASSIGN_OR_RETURN(const Chosen chosen, PathsOf(services, request));
  const std::vector<std::string>& paths = chosen.paths;
  if (paths.empty())
    return NotFound("no point that you may read has the property \"{}\" there",
                    request.Query("property").substr(0, 200));
  TRY(CheckTake(request, chosen));
  ASSIGN_OR_RETURN(const auto series,
                   services.history.Aggregate(paths, range.from, range.to, every));
  const auto answer = [&](Json items) {
    LeaveOut(items, request.Query("take"));
    return JsonResponse({{"property", request.Query("property")},
                         {"points", paths.size()},
                         {"from", FormatTime(range.from)},
                         {"to", FormatTime(range.to)},
                         {"items", std::move(items)}});
  };
  if (chosen.texts) return answer(TextItems(services, series));
  std::map<Time, Total> totals;
  for (const storage::TrendSeries& one : series)
    for (const storage::TrendBucket& bucket : one.buckets) totals[bucket.from].Add(bucket);
  Json items = Json::array();
  for (const auto& [from, total] : totals)
    items.push_back(
        {{"from", FormatTime(from)},
         {"mean", total.good == 0 ? Json(nullptr)
                                  : NumberOrNull(total.sum / static_cast<double>(total.good))},
         {"min", NumberOrNull(total.min)},
         {"max", NumberOrNull(total.max)},
         {"samples", total.good},
         {"bad", total.bad},
         {"points", total.points}});
  return answer(std::move(items));
}

}  // namespace

void AddAggregateRoutes(Router& router, const Services& s) {
  router.Add({"GET",
              "/api/v1/aggregate",
              trust::Role::kViewer,
              "Mean, minimum and maximum over all points of one property, by steps of time",
              [&s](const Request& r) { return Aggregate(s, r); },
              nullptr,
              {"property: name of the property", "product: only of this data product",
               "asset: only of this asset and below", "from: RFC 3339 time", "to: RFC 3339 time",
               "every: length of a step, 5min; left out: one for all",
               "take: mean, min, max, count (left out: all); of texts count or last"}});
}

}  // namespace penstock::api
