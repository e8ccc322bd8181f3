// The gap ledger: the whole, a range by point, and a certificate of a range. The certificate's hash
// is a leaf of the audit log, so nobody can later show another one for the same moment. Format:
// docs/formats/ledger.md.
#include <algorithm>

#include "api/routes.h"
#include "telemetry/ledger.h"

namespace penstock::api {
namespace {

using telemetry::LedgerCounts;
using telemetry::LedgerInterval;

Json CountsJson(const LedgerCounts& counts) {
  Json json = {{"stored", counts.stored()}, {"gap", counts.gap()}};
  for (const telemetry::LedgerField& field : telemetry::LedgerFields())
    json[std::string(field.name)] = counts.*field.field;
  json["quarantined"] = counts.kept_apart();
  return json;
}

// The points by path, and how many of them do not add up.
Json PointsJson(const things::Snapshot& snapshot,
                std::span<const std::pair<PointId, LedgerCounts>> points) {
  Json items = Json::array();
  for (const auto& [id, counts] : points) {
    const things::Point* point = snapshot.FindPoint(id);
    Json item = CountsJson(counts);
    item["point"] = point != nullptr ? point->path() : fmt::format("unknown/point-{}", id.value);
    items.push_back(std::move(item));
  }
  return items;
}

Json IntervalJson(const LedgerInterval& interval) {
  Json json = CountsJson(interval.total);
  json["number"] = interval.number;
  json["epoch"] = interval.epoch;
  json["from"] = FormatTime(interval.from);
  json["to"] = FormatTime(interval.to);
  json["first_sequence"] = interval.first_sequence;
  json["end_sequence"] = interval.end_sequence;
  json["first_record"] = interval.first_record;
  json["end_record"] = interval.end_record;
  return json;
}

Result<const telemetry::PointLedger*> LedgerOfNode(const Services& services) {
  const telemetry::PointLedger* ledger = services.pipeline.point_ledger();
  if (ledger == nullptr) return FailedPrecondition("this node keeps no ledger by point");
  return ledger;
}

// What came in the whole hours that touch the range.
Result<Json> RangeJson(const Services& services, const TimeRange& range) {
  ASSIGN_OR_RETURN(const telemetry::PointLedger* ledger, LedgerOfNode(services));
  ASSIGN_OR_RETURN(const auto intervals, ledger->Read(range.from, range.to));
  LedgerInterval sum{.from = range.from, .to = range.to};
  std::map<PointId, LedgerCounts> points;
  Json hours = Json::array();
  for (const LedgerInterval& interval : intervals) {
    sum.total += interval.total;
    for (const auto& [id, counts] : interval.points) points[id] += counts;
    sum.from = std::min(sum.from, interval.from);
    sum.to = std::max(sum.to, interval.to);
    hours.push_back(IntervalJson(interval));
  }
  sum.points.assign(points.begin(), points.end());
  return Json{{"from", FormatTime(sum.from)},
              {"to", FormatTime(sum.to)},
              {"total", CountsJson(sum.total)},
              {"intervals", hours},
              {"points", PointsJson(*services.directory.snapshot(), sum.points)}};
}

Json WholeJson(const Services& services) {
  const telemetry::Ledger ledger = services.pipeline.ledger();
  Json rules = Json::object();
  for (const auto& [rule, count] : services.quarantine.PerRule()) rules[rule] = count;
  Json json = {{"produced", ledger.produced},
               {"stored", ledger.stored},
               {"forwarded", ledger.forwarded},
               {"evicted", ledger.evicted},
               {"quarantined", ledger.quarantined},
               {"duplicates", ledger.duplicates},
               {"refused", ledger.refused},
               {"pending", ledger.pending},
               {"gap", ledger.gap},
               {"quarantined_by_rule", rules},
               {"epoch", services.pipeline.epoch()},
               {"next_sequence", services.pipeline.next_sequence()},
               {"log_durable_ms", services.pipeline.log_durable_ms()},
               {"log_failing", services.pipeline.log_failing()}};
  const telemetry::PointLedger* points = services.pipeline.point_ledger();
  if (points == nullptr) return json;
  uint64_t known = 0, with_gap = 0;
  for (const LedgerCounts& counts : points->Points()) {
    if (counts == LedgerCounts()) continue;
    ++known;
    if (counts.gap() != 0) ++with_gap;
  }
  json["points"] = known;
  json["points_with_gap"] = with_gap;
  json["lost"] = points->total().lost;
  json["released"] = points->total().released;
  return json;
}

Result<Response> GetLedger(const Services& services, const Request& request) {
  if (request.Query("from").empty() && request.Query("to").empty())
    return JsonResponse(WholeJson(services));
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, services.clock.Now(), std::chrono::hours(24)));
  ASSIGN_OR_RETURN(const Json json, RangeJson(services, range));
  return JsonResponse(json);
}

// The certificate with its hash, and the hash in the audit log with the proof that it is there.
Result<Response> GetCertificate(const Services& services, const Request& request) {
  const Time now = services.clock.Now();
  ASSIGN_OR_RETURN(const TimeRange range, RangeOf(request, now, std::chrono::hours(24)));
  ASSIGN_OR_RETURN(Json certificate, RangeJson(services, range));
  certificate["format"] = "penstock-ledger-1";
  certificate["node"] = services.node_name;
  certificate["site"] = services.settings.site;
  certificate["made_at"] = FormatTime(now);
  const std::string hash = ToHex(Sha256Of(AsBytes(certificate.dump())));
  ASSIGN_OR_RETURN(const uint64_t leaf,
                   services.audit.Append(request.principal.name, "ledger.certificate", hash, "",
                                         {{"sha256", hash},
                                          {"from", certificate["from"]},
                                          {"to", certificate["to"]},
                                          {"produced", certificate["total"]["produced"]},
                                          {"gap", certificate["total"]["gap"]}}));
  ASSIGN_OR_RETURN(const trust::AuditProof proof, services.audit.ProofOf(leaf));
  Json path = Json::array();
  for (const Sha256& each : proof.path) path.push_back(ToHex(each));
  return JsonResponse({{"certificate", std::move(certificate)},
                       {"sha256", hash},
                       {"audit",
                        {{"leaf", leaf},
                         {"size", proof.size},
                         {"root", ToHex(proof.root)},
                         {"leaf_hash", ToHex(proof.leaf_hash)},
                         {"path", path}}}});
}

}  // namespace

void AddLedgerRoutes(Router& router, const Services& s) {
  using trust::Role;
  const std::vector<std::string> range = {"from: RFC 3339 time", "to: RFC 3339 time"};
  router.Add({"GET", "/api/v1/ledger", Role::kViewer,
              "Where every sample is, or by point what came in a range; the gap must be 0",
              [&s](const Request& r) { return GetLedger(s, r); }, nullptr, range});
  router.Add({"GET", "/api/v1/ledger/certificate", Role::kEngineer,
              "What came in a range and where it is, with its hash in the audit log",
              [&s](const Request& r) { return GetCertificate(s, r); }, nullptr, range});
}

}  // namespace penstock::api
