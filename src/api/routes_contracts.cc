// Data contracts, how they are kept, and the quarantine of what broke them.
#include "api/routes_contracts.h"

#include "api/routes.h"

namespace penstock::api {
namespace {

using telemetry::QuarantineAct;
using telemetry::QuarantineItem;
using telemetry::QuarantineState;

constexpr size_t kReasonMax = 500;

// Both kinds of parts, as every function here needs them.
struct ContractParts {
  const Services& node;
  const ContractServices& contracts;
};

// --- The quarantine

Json NumberOrText(const Services& services, std::optional<double> value) {
  const auto text = value ? services.pipeline.TextOf(*value) : std::nullopt;
  return text ? Json(*text) : NumberOrNull(value);
}

Json ItemJson(const Services& services, const QuarantineItem& item) {
  Json body = {{"id", item.id},
               {"at", FormatTime(item.entry.at)},
               {"source", item.entry.source},
               {"point", item.entry.point},
               {"rule", item.entry.rule},
               {"value", item.entry.value},
               {"message", item.entry.message},
               {"state", telemetry::QuarantineStateName(item.state)},
               {"releasable", item.state == QuarantineState::kOpen}};
  if (item.rows > 0) {
    body["contract"] = item.contract;
    body["source_time"] = FormatTime(item.source_time);
    body["quality"] = telemetry::QualityName(item.quality);
    body["samples"] = item.rows;
  }
  if (item.resolved_at) {
    body["corrected"] = NumberOrText(services, item.corrected);
    body["by"] = item.actor;
    body["reason"] = item.reason;
    body["resolved_at"] = FormatTime(*item.resolved_at);
  }
  return body;
}

Result<std::optional<Time>> TimeOf(const Request& request, const char* name) {
  const std::string text = request.Query(name);
  if (text.empty()) return std::optional<Time>();
  auto time = ParseTime(text);
  if (!time) return std::unexpected(time.error().At(std::string("?") + name));
  return std::optional(*time);
}

Result<Response> ListQuarantine(const ContractParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const int64_t after, request.QueryInteger("after", 0, 0, INT64_MAX));
  ASSIGN_OR_RETURN(const int64_t limit, request.QueryInteger("limit", 100, 1, 1000));
  telemetry::QuarantineFilter filter;
  filter.contract = request.Query("contract");
  filter.point = request.Query("point");
  filter.rule = request.Query("rule");
  if (const std::string state = request.Query("state"); !state.empty()) {
    ASSIGN_OR_RETURN(filter.state, telemetry::ParseQuarantineState(state));
  }
  ASSIGN_OR_RETURN(filter.from, TimeOf(request, "from"));
  ASSIGN_OR_RETURN(filter.to, TimeOf(request, "to"));
  ASSIGN_OR_RETURN(
      const auto items,
      parts.node.quarantine.List(static_cast<uint64_t>(after), static_cast<size_t>(limit), filter));
  Json list = Json::array();
  for (const auto& item : items) list.push_back(ItemJson(parts.node, item));
  return ListResponse(std::move(list), static_cast<int64_t>(items.size()) == limit
                                           ? std::to_string(items.back().id)
                                           : "");
}

Result<uint64_t> EntryId(const Request& request) {
  Request number;
  number.query["id"] = request.At("id");
  const auto id = number.QueryInteger("id", 0, 1, INT64_MAX);
  if (!id) return NotFound("no entry {} in the quarantine", request.At("id").substr(0, 40));
  return static_cast<uint64_t>(*id);
}

Result<Response> OneEntry(const ContractParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const uint64_t id, EntryId(request));
  ASSIGN_OR_RETURN(const QuarantineItem item, parts.node.quarantine.Get(id));
  return JsonResponse(ItemJson(parts.node, item));
}

// A text for a point of text, else a number.
Result<double> CorrectedValue(const Services& services, const Json& body,
                              const QuarantineItem& item) {
  const auto snapshot = services.directory.snapshot();
  const things::Point* point = snapshot->FindPoint(item.entry.point);
  if (point == nullptr || point->type != things::ValueType::kString)
    return GetNumber(body, "value");
  ASSIGN_OR_RETURN(const std::string text, GetString(body, "value"));
  auto code = services.pipeline.Intern(point->id, text);
  if (!code) return std::unexpected(code.error().At("/value"));
  return code;
}

// `item`: what may be corrected; null: nothing.
Result<QuarantineAct> ActOf(const ContractParts& parts, const Request& request,
                            const QuarantineItem* item) {
  ASSIGN_OR_RETURN(const Json body, item != nullptr ? BodyObject(request, {"value", "reason"})
                                                    : BodyObject(request, {"reason"}));
  QuarantineAct act{request.principal.name, "", parts.node.clock.Now(), std::nullopt};
  ASSIGN_OR_RETURN(act.reason, GetString(body, "reason"));
  if (act.reason.empty() || act.reason.size() > kReasonMax) {
    auto error = InvalidArgument("the reason has {} characters", act.reason.size());
    error.error().At("/reason").Fix(fmt::format("1 to {}", kReasonMax));
    return error;
  }
  if (body.contains("value")) {
    ASSIGN_OR_RETURN(act.value, CorrectedValue(parts.node, body, *item));
  }
  return act;
}

// A corrected value keeps the contract; what is released as it came is a person's word against it.
Status CheckCorrection(const ContractParts& parts, const QuarantineItem& item,
                       const QuarantineAct& act) {
  if (!act.value) return {};
  const auto rules = parts.contracts.check.rules();
  const auto snapshot = parts.node.directory.snapshot();
  const things::Point* point = snapshot->FindPoint(item.entry.point);
  if (rules == nullptr || point == nullptr) return {};
  if (const auto breach = rules->Judge(point->id, *act.value)) {
    auto error = InvalidArgument("the corrected value breaks the contract {}, too: {}",
                                 rules->ContractOf(point->id), breach->message);
    error.error().At("/value").Fix("give one that keeps it, or release the sample as it is");
    return error;
  }
  return {};
}

// Texts that nothing stood for any more may have been forgotten since (telemetry/text_keeper.h).
Status CheckTexts(const ContractParts& parts, const QuarantineItem& item,
                  const QuarantineAct& act) {
  if (act.value || item.state != QuarantineState::kOpen) return {};
  ASSIGN_OR_RETURN(const telemetry::Batch rows, parts.node.quarantine.RowsOf(item.id));
  for (const double value : rows.value)
    if (telemetry::MayBeText(value) && !parts.node.pipeline.TextOf(value)) {
      auto error = FailedPrecondition("the text of entry {} has been forgotten", item.id);
      error.error().Fix("release it with the text as its value, or discard it");
      return error;
    }
  return {};
}

// Claimed with its audit entry in one transaction; nothing to store when it was done before.
Result<std::optional<telemetry::Batch>> ClaimEntry(const ContractParts& parts,
                                                   const Request& request, uint64_t id) {
  ASSIGN_OR_RETURN(const QuarantineItem item, parts.node.quarantine.Get(id));
  ASSIGN_OR_RETURN(const QuarantineAct act, ActOf(parts, request, &item));
  TRY(CheckCorrection(parts, item, act));
  TRY(CheckTexts(parts, item, act));
  std::optional<telemetry::Batch> rows;
  TRY(parts.node.records.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(rows, parts.node.quarantine.Claim(id, act));
    if (!rows) return {};
    return Audit(parts.node, request, "quarantine.release", std::to_string(id), "",
                 {{"point", item.entry.point},
                  {"contract", item.contract},
                  {"rule", item.entry.rule},
                  {"came", item.entry.value},
                  {"value", NumberOrText(parts.node, act.value)},
                  {"reason", act.reason}});
  }));
  return rows;
}

Response EntryAnswer(const ContractParts& parts, uint64_t id) {
  const auto item = parts.node.quarantine.Get(id);
  return item ? JsonResponse(ItemJson(parts.node, *item)) : Problem(item.error());
}

void Release(const ContractParts& parts, const Request& request, const Responder& respond) {
  const auto id = EntryId(request);
  if (!id) return respond(Problem(id.error()));
  auto rows = ClaimEntry(parts, request, *id);
  if (!rows) return respond(Problem(rows.error()));
  if (!*rows) return respond(EntryAnswer(parts, *id));
  parts.node.pipeline.Write(std::move(**rows), [parts, respond, id = *id](const Status& stored) {
    const Status settled = parts.node.quarantine.Settle(id, stored.has_value());
    if (!stored) return respond(Problem(stored.error()));
    if (!settled) return respond(Problem(settled.error()));
    respond(EntryAnswer(parts, id));
  });
}

Result<Response> Discard(const ContractParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const uint64_t id, EntryId(request));
  ASSIGN_OR_RETURN(const QuarantineAct act, ActOf(parts, request, nullptr));
  ASSIGN_OR_RETURN(const QuarantineItem item, parts.node.quarantine.Get(id));
  if (item.state != QuarantineState::kDiscarded)
    TRY(parts.node.records.Transaction([&]() -> Status {
      TRY(parts.node.quarantine.Discard(id, act));
      return Audit(parts.node, request, "quarantine.discard", std::to_string(id), "",
                   {{"point", item.entry.point},
                    {"contract", item.contract},
                    {"rule", item.entry.rule},
                    {"came", item.entry.value},
                    {"reason", act.reason}});
    }));
  return EntryAnswer(parts, id);
}

// --- Contracts

Json ContractJson(const ContractParts& parts, const things::DataContract& contract) {
  size_t fields = 0, points = 0;
  for (const auto& object : contract.objects) fields += object.fields.size();
  const auto snapshot = parts.node.directory.snapshot();
  const auto set = parts.contracts.directory.set();
  for (const auto* property : snapshot->by_id) {
    if (property == nullptr) continue;
    const auto governing = set->Of(property->point);
    points += governing != nullptr && governing->id == contract.id ? 1 : 0;
  }
  const auto refusal = parts.contracts.directory.Refusal(contract.id);
  return {{"id", contract.id},
          {"refused", refusal ? Json{{"message", refusal->message},
                                     {"pointer", refusal->pointer},
                                     {"fix", refusal->fix}}
                              : Json(nullptr)},
          {"version", contract.version},
          {"name", contract.name},
          {"status", contract.status},
          {"domain", contract.domain},
          {"purpose", contract.purpose},
          {"team", contract.team},
          {"owner", contract.owner},
          {"thing_model", contract.thing_model},
          {"classification", contract.classification},
          {"file", contract.file},
          {"fields", fields},
          {"points", points}};
}

Result<std::shared_ptr<const things::DataContract>> ContractAt(const ContractParts& parts,
                                                               const Request& request) {
  const auto set = parts.contracts.directory.set();
  const auto found = set->by_id.find(request.At("id"));
  if (found != set->by_id.end()) return found->second;
  auto error = NotFound("contract unknown: {}", request.At("id").substr(0, 100));
  error.error().Fix("GET /api/v1/contracts lists them");
  return error;
}

Result<Response> ListContracts(const ContractParts& parts) {
  Json items = Json::array();
  for (const auto& [id, contract] : parts.contracts.directory.set()->by_id)
    items.push_back(ContractJson(parts, *contract));
  return ListResponse(std::move(items));
}

Json FieldJson(const things::DataContract& contract, const things::ContractField& field) {
  const auto bound = [](double value) { return NumberOrNull(value); };
  Json rules = Json::array();
  for (const auto& rule : field.rules)
    rules.push_back({{"metric", things::MetricName(rule.metric)},
                     {"name", rule.name},
                     {"rule", OperatorText(rule)},
                     {"per_sample", rule.PerSample()}});
  const auto fresh = contract.SlaOf(things::ContractSla::Kind::kFreshness, field.name);
  return {{"name", field.name},
          {"unit", field.unit},
          {"minimum", bound(field.range.low)},
          {"maximum", bound(field.range.high)},
          {"required", field.required},
          {"classification",
           field.classification.empty() ? contract.classification : field.classification},
          {"personal_data", field.personal},
          {"freshness", fresh ? Json(FormatDuration(fresh->limit)) : Json(nullptr)},
          {"rules", rules},
          {"pointer", field.pointer}};
}

Result<Response> OneContract(const ContractParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto contract, ContractAt(parts, request));
  Json body = ContractJson(parts, *contract);
  body["field_list"] = Json::array();
  for (const auto& object : contract->objects)
    for (const auto& field : object.fields)
      body["field_list"].push_back(FieldJson(*contract, field));
  body["document"] = contract->document;
  return JsonResponse(body);
}

Result<Response> Versions(const ContractParts& parts, const Request& request) {
  const std::string& id = request.At("id");
  ASSIGN_OR_RETURN(const auto versions, parts.contracts.versions.All(id));
  if (versions.empty()) return NotFound("contract unknown: {}", id.substr(0, 100));
  const auto periods = parts.contracts.periods.Of(id);
  Json items = Json::array();
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    Json applied = Json::array();
    for (const auto& period : periods)
      if (period.version == it->version)
        applied.push_back(
            {{"first_sequence", period.first_sequence}, {"since", FormatTime(period.since)}});
    items.push_back({{"version", it->version},
                     {"accepted_at", FormatTime(it->accepted_at)},
                     {"digest", "sha256:" + it->digest},
                     {"applied", std::move(applied)},
                     {"changes", it->diff}});
  }
  return ListResponse(std::move(items));
}

Result<Response> Compliance(const ContractParts& parts, const Request& request) {
  ASSIGN_OR_RETURN(const auto contract, ContractAt(parts, request));
  ASSIGN_OR_RETURN(const TimeRange range,
                   RangeOf(request, parts.node.clock.Now(), std::chrono::hours(24)));
  ASSIGN_OR_RETURN(Json body,
                   ComplianceJson(parts.node, parts.contracts, *contract, range.from, range.to));
  ASSIGN_OR_RETURN(const auto counts, parts.node.quarantine.CountsOf(contract->id));
  body["violations_ever"] = Json::array();
  for (const auto& count : counts)
    body["violations_ever"].push_back({{"contract", count.contract},
                                       {"point", count.point},
                                       {"rule", count.rule},
                                       {"samples", count.rows},
                                       {"last", FormatTime(count.last)}});
  return JsonResponse(body);
}

void AddQuarantineRoutes(Router& router, const ContractParts& s) {
  using trust::Role;
  const Json reason = {{"type", "string"}, {"maxLength", kReasonMax}};
  router.Add(
      {"GET",
       "/api/v1/quarantine",
       Role::kViewer,
       "Values that could not become samples and samples that broke a contract, newest first",
       [s](const Request& r) { return ListQuarantine(s, r); },
       nullptr,
       {"contract: pump, or pump@1.2.0", "point: thing/property", "rule: minimum, type ...",
        "state: noted, open, releasing, released or discarded", "from: RFC 3339 time",
        "to: RFC 3339 time", "after: cursor", "limit: 1 to 1000"}});
  router.Add({"GET", "/api/v1/quarantine/{id}", Role::kViewer, "One entry of the quarantine",
              [s](const Request& r) { return OneEntry(s, r); }});
  Route release{"POST",
                "/api/v1/quarantine/{id}/release",
                Role::kEngineer,
                "Store the sample after all, as it is or with a corrected value; twice is once",
                nullptr,
                {{"type", "object"},
                 {"required", {"reason"}},
                 {"properties", {{"reason", reason}, {"value", {{"type", "number"}}}}}}};
  release.handle_async = [s](const Request& request, const Responder& respond) {
    Release(s, request, respond);
  };
  router.Add(std::move(release));
  router.Add(
      {"POST",
       "/api/v1/quarantine/{id}/discard",
       Role::kEngineer,
       "Close an entry without storing it; twice is once",
       [s](const Request& r) { return Discard(s, r); },
       {{"type", "object"}, {"required", {"reason"}}, {"properties", {{"reason", reason}}}}});
}

}  // namespace

void AddContractRoutes(Router& router, const Services& services,
                       const ContractServices& contracts) {
  using trust::Role;
  const ContractParts s{services, contracts};
  AddQuarantineRoutes(router, s);
  router.Add({"GET", "/api/v1/contracts", Role::kViewer, "The data contracts in force",
              [s](const Request&) { return ListContracts(s); }});
  router.Add({"GET", "/api/v1/contracts/{id}", Role::kViewer,
              "One contract: its promises and the document (ODCS 3.1)",
              [s](const Request& r) { return OneContract(s, r); }});
  router.Add({"GET", "/api/v1/contracts/{id}/versions", Role::kViewer,
              "Accepted versions, newest first, with their changes and the samples they apply to",
              [s](const Request& r) { return Versions(s, r); }});
  router.Add({"GET",
              "/api/v1/contracts/{id}/compliance",
              Role::kViewer,
              "Every promise beside its measure: range, rules, freshness, completeness",
              [s](const Request& r) { return Compliance(s, r); },
              nullptr,
              {"from: RFC 3339 time", "to: RFC 3339 time"}});
}

}  // namespace penstock::api
