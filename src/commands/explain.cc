// `penstock explain ID`: the chain of an alarm or a trace id, from the samples to the verdict.
#include "commands/command.h"
#include "decisions/alarms.h"
#include "trust/audit_log.h"

namespace penstock::commands {
namespace {

std::string PriorityWord(int priority) {
  return priority == 1 ? "high" : priority == 2 ? "medium" : "low";
}

void PrintChain(const Json& chain) {
  const Json verdict = chain.value("verdict", Json());
  std::string head = fmt::format("{}  {}  {}", chain.value("id", ""), chain.value("title", ""),
                                 PriorityWord(chain.value("priority", 3)));
  if (verdict.is_object())
    head += fmt::format("  {} by {} {}", verdict.value("kind", ""), verdict.value("actor", ""),
                        ClockText(verdict.value("at", "")));
  if (const std::string by = StringOr(chain, "superseded_by", ""); !by.empty())
    head += "  superseded by " + by;
  fmt::print("{}\n  trace {}\n", head, chain.value("trace", ""));
  for (const Json& step : chain.value("steps", Json::array())) {
    std::string text = step.value("text", "");
    const std::string indent(28, ' ');
    for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += indent.size() + 1)
      text.replace(at, 1, "\n" + indent);
    fmt::print("  {}  {:<10}  {}\n", ClockText(step.value("at", "")), step.value("stage", ""),
               text);
  }
  if (const Json audit = chain.value("audit", Json()); audit.is_object())
    fmt::print("  audit leaf {}, proof {}\n", audit.value("leaf", 0),
               audit.value("proof_ok", false) ? "ok" : "BROKEN");
}

// Without a node: from the records, read-only.
Result<Json> ExplainFromRecords(const Settings& settings, const std::string& id) {
  ASSIGN_OR_RETURN(const auto records, storage::Records::OpenReadOnly(RecordsAddress(settings)));
  ASSIGN_OR_RETURN(
      const auto rows,
      records->Query("SELECT body FROM alarms WHERE trace = ?1 OR 'A-' || number = ?1", {id}));
  if (rows.empty()) return NotFound("no alarm or trace: {}", id);
  ASSIGN_OR_RETURN(Json chain, ParseJson(rows[0].Text(0)));
  ASSIGN_OR_RETURN(
      const auto steps,
      records->Query("SELECT at, stage, text, detail FROM trace_steps WHERE trace=? ORDER BY seq",
                     {chain.value("trace", "")}));
  Json list = Json::array();
  for (const auto& row : steps) {
    ASSIGN_OR_RETURN(Json detail, ParseJson(row.Text(3)));
    list.push_back({{"at", FormatTime(FromMicros(row.Integer(0)))},
                    {"stage", row.Text(1)},
                    {"text", row.Text(2)},
                    {"detail", detail}});
  }
  chain["steps"] = std::move(list);
  return chain;
}

Result<Json> Explain(const Settings& settings, const std::string& id) {
  const auto node = FindNode(settings);
  if (!node) return ExplainFromRecords(settings, id);
  return Ask(*node, "GET",
             (id.starts_with("A-") ? "/api/v1/alarms/" + id + "/explain" : "/api/v1/traces/" + id));
}

}  // namespace

void AddExplain(CLI::App& app, Common& common, int* exit_code) {
  static std::string id;
  CLI::App* command = app.add_subcommand(
      "explain", "The chain of an alarm: samples, features, model, alarm, verdict, KPI");
  command->footer("Example: penstock explain A-1042");
  command->add_option("id", id, "Alarm (A-1042) or trace id (32 hex digits)")->required();
  AddCommonOptions(*command, common);
  command->callback([&common, exit_code] {
    const auto settings = SettingsOf(common);
    if (!settings) return void(*exit_code = Fail(common, settings.error()));
    const auto chain = Explain(*settings, id);
    if (!chain) {
      *exit_code = Fail(common, chain.error());
      if (chain.error().code == Code::kNotFound) *exit_code = kNo;
      return;
    }
    if (common.json)
      PrintJson(*chain);
    else
      PrintChain(*chain);
  });
}

}  // namespace penstock::commands
