// `penstock kpi`: the figures of the line, each with its numerator, denominator and interval.
#include "base/number.h"
#include "commands/command.h"

namespace penstock::commands {
namespace {

// The unit "1" is none.
std::string UnitText(const std::string& unit) { return unit == "1" ? "" : unit; }

std::string Term(const Json& term) {
  const Json value = term.is_object() ? term.value("value", Json()) : Json();
  return value.is_number() ? QuantityText(value.get<double>(), term.value("unit", "")) : "-";
}

void PrintKpis(const Json& kpis) {
  for (const Json& kpi : kpis["items"]) {
    std::string interval;
    if (kpi.value("low", Json()).is_number())
      interval = fmt::format("[{}, {}]", NumberText(kpi["low"]), NumberText(kpi["high"]));
    fmt::print("{:<24} {:>9} {:<10} {:<18} {} / {}  n={}  {}\n", kpi.value("name", ""),
               NumberText(kpi.value("value", Json())), UnitText(kpi.value("unit", "")), interval,
               Term(kpi.value("numerator", Json())), Term(kpi.value("denominator", Json())),
               NumberText(kpi.value("n", Json())), kpi.value("reason", ""));
  }
}

}  // namespace

void AddKpi(CLI::App& app, Common& common, int* exit_code) {
  static std::string asset, from, to;
  CLI::App* command =
      app.add_subcommand("kpi", "KPIs after ISO 22400-2, with numerator, denominator and interval");
  command->footer("Example: penstock kpi --asset acme/cologne/filling/line-1");
  AddCommonOptions(*command, common);
  command->add_option("--asset", asset, "ISA-95 path (default: every line with a KPI file)");
  command->add_option("--from", from, "RFC 3339 time");
  command->add_option("--to", to, "RFC 3339 time");
  command->callback([&common, exit_code] {
    const auto settings = SettingsOf(common);
    if (!settings) return void(*exit_code = Fail(common, settings.error()));
    const auto node = FindNode(*settings);
    if (!node) return void(*exit_code = Fail(common, node.error()));
    std::string path = "/api/v1/kpis?asset=" + asset;
    if (!from.empty()) path += "&from=" + from;
    if (!to.empty()) path += "&to=" + to;
    const auto kpis = Ask(*node, "GET", path);
    if (!kpis) return void(*exit_code = Fail(common, kpis.error()));
    if (common.json)
      PrintJson(*kpis);
    else
      PrintKpis(*kpis);
  });
}

}  // namespace penstock::commands
