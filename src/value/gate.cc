#include "value/gate.h"

#include <algorithm>

#include "value/gate_checks.h"

namespace penstock::value {
namespace {

constexpr const char* kG1 = "G1";
constexpr const char* kG1Title = "idea -> pilot";

}  // namespace

size_t GateResult::hold() const {
  return static_cast<size_t>(std::ranges::count(checks, true, &Check::ok));
}

Json GateResult::ToJson() const {
  Json list = Json::array();
  for (const auto& check : checks) {
    list.push_back({{"id", check.id},
                    {"title", check.title},
                    {"state", check.ok ? "ok" : "blocked"},
                    {"value", NumberOrNull(check.value)},
                    {"limit", NumberOrNull(check.limit)},
                    {"text", check.text},
                    {"query", check.query},
                    {"fix", check.fix},
                    {"since", FormatTime(check.since)}});
  }
  return {{"usecase", usecase},       {"gate", gate},
          {"title", title},           {"state", open() ? "open" : "blocked"},
          {"hold", hold()},           {"of", checks.size()},
          {"checks", std::move(list)}};
}

Result<std::unique_ptr<Gates>> Gates::Open(storage::Records& records, const Clock& clock,
                                           const UseCases& usecases, const Kpis& kpis,
                                           const AlarmFacts& facts, const States& states,
                                           const Evidence& evidence) {
  TRY(records.Migrate("value_gates", {{1, R"sql(
    CREATE TABLE value_signatures (
      id INTEGER PRIMARY KEY, usecase TEXT NOT NULL, gate TEXT NOT NULL, role TEXT NOT NULL,
      actor TEXT NOT NULL, note TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE value_checks (
      usecase TEXT NOT NULL, gate TEXT NOT NULL, check_id TEXT NOT NULL, ok INTEGER NOT NULL,
      since INTEGER NOT NULL,
      PRIMARY KEY (usecase, gate, check_id)) WITHOUT ROWID;
  )sql"}}));
  return std::unique_ptr<Gates>(new Gates(records, clock, usecases, kpis, facts, states, evidence));
}

Result<GateResult> Gates::Evaluate(const std::string& usecase, const std::string& gate) {
  ASSIGN_OR_RETURN(const auto use, usecases_.Get(usecase));
  if (gate != kG1) {
    auto error = NotFound("gate unknown: {}", gate);
    error.error().Fix("G1");
    return error;
  }
  GateContext context{.use = *use,
                      .kpis = kpis_,
                      .facts = facts_,
                      .states = states_,
                      .evidence = evidence_,
                      .now = clock_.Now()};
  ASSIGN_OR_RETURN(const auto signatures, Signatures(usecase));
  for (const auto& signature : signatures) {
    if (signature.gate == gate) context.signature = signature;
  }
  context.things = states_.ThingsOf(use->asset);
  for (const auto& point : use->points) {
    context.coverage.push_back(evidence_.Coverage(point, context.from(), context.now));
    auto& coverage = context.coverage.back();
    if (coverage && (!coverage->first || !coverage->last)) coverage->samples = 0;
  }
  GateResult result{.usecase = usecase, .gate = gate, .title = kG1Title};
  for (const CheckKind& kind : G1Checks()) {
    Check check;
    check.id = kind.id;
    check.title = kind.title;
    kind.ask(context, check);
    if (check.ok) check.fix.clear();
    result.checks.push_back(std::move(check));
  }
  TRY(Date(result));
  return result;
}

// Since when each check is as it is; kept, because nobody looks all the time.
Status Gates::Date(GateResult& result) {
  return records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(
        const auto rows,
        records_.Query(
            "SELECT check_id, ok, since FROM value_checks WHERE usecase = ? AND gate = ?",
            {result.usecase, result.gate}));
    for (auto& check : result.checks) {
      const auto known =
          std::ranges::find(rows, check.id, [](const auto& row) { return row.Text(0); });
      if (known != rows.end() && (known->Integer(1) != 0) == check.ok) {
        check.since = FromMicros(known->Integer(2));
        continue;
      }
      check.since = clock_.Now();
      TRY(records_.Run(
          "INSERT OR REPLACE INTO value_checks VALUES (?, ?, ?, ?, ?)",
          {result.usecase, result.gate, check.id, int64_t{check.ok}, ToMicros(check.since)}));
    }
    return {};
  });
}

Result<Signature> Gates::Sign(const std::string& usecase, const std::string& gate,
                              const std::string& role, const std::string& actor,
                              const std::string& note) {
  ASSIGN_OR_RETURN(const auto use, usecases_.Get(usecase));
  if (gate != kG1) return NotFound("gate unknown: {}", gate);
  if (role != use->sponsor && role != "admin") {
    auto error =
        PermissionDenied("{} cannot sign {}; its sponsor is {}", role, usecase, use->sponsor);
    error.error().Fix(fmt::format("sign as {}", use->sponsor));
    return error;
  }
  Signature signature{.usecase = usecase,
                      .gate = gate,
                      .role = role,
                      .actor = actor,
                      .note = note.substr(0, 1000),
                      .digest = use->digest,
                      .at = clock_.Now()};
  TRY(records_.Run(
      "INSERT INTO value_signatures (usecase, gate, role, actor, note, digest, at) VALUES (?, ?, "
      "?, ?, ?, ?, ?)",
      {usecase, gate, role, actor, signature.note, signature.digest, ToMicros(signature.at)}));
  return signature;
}

Result<std::vector<Signature>> Gates::Signatures(const std::string& usecase) const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT usecase, gate, role, actor, note, digest, at "
                                  "FROM value_signatures WHERE usecase = ? ORDER BY id",
                                  {usecase}));
  std::vector<Signature> signatures;
  for (const auto& row : rows) {
    signatures.push_back({row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4),
                          row.Text(5), FromMicros(row.Integer(6))});
  }
  return signatures;
}

Result<Json> Gates::Summary(const UseCase& use) {
  ASSIGN_OR_RETURN(const GateResult g1, Evaluate(use.name, kG1));
  Json value = Json::object();
  for (const auto& [kpi, price] : use.value) value[kpi] = price.text();
  std::string target =
      use.target_change == 0 ? "" : fmt::format("{:+.0f} %", 100 * use.target_change);
  return Json{
      {"name", use.name},
      {"title", use.title},
      {"sponsor", use.sponsor},
      {"asset", use.asset},
      {"kpi", {{"primary", use.primary_kpi}, {"unit", use.unit}, {"target", std::move(target)}}},
      {"value", std::move(value)},
      {"gates", Json::array({{{"name", kG1},
                              {"title", kG1Title},
                              {"hold", g1.hold()},
                              {"of", g1.checks.size()},
                              {"open", g1.open()}}})}};
}

}  // namespace penstock::value
