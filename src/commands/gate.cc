// `penstock gate eval|sign USECASE`: the stage gate's checks, each answered by a query on evidence.
#include "commands/command.h"

namespace penstock::commands {
namespace {

void PrintGate(const Json& gate) {
  fmt::print("{} {}      {}  ({} of {})\n", gate.value("gate", ""), gate.value("title", ""),
             gate.value("state", ""), gate.value("hold", 0), gate.value("of", 0));
  for (const Json& check : gate["checks"])
    fmt::print("  {:<8} {:<4} {:<22} {}{}\n", check.value("state", ""), check.value("id", ""),
               check.value("title", ""), check.value("text", ""),
               check.value("state", "") == "blocked" && !check.value("fix", "").empty()
                   ? "    fix: " + check.value("fix", "")
                   : "");
}

struct Options {
  std::string usecase, gate = "G1", as, note;
};

void AskGate(const Common& common, const Options& options, const std::string& method,
             int* exit_code) {
  const auto settings = SettingsOf(common);
  if (!settings) return void(*exit_code = Fail(common, settings.error()));
  const auto node = FindNode(*settings);
  if (!node) return void(*exit_code = Fail(common, node.error()));
  const std::string path =
      fmt::format("/api/v1/usecases/{}/gates/{}", options.usecase, options.gate);
  if (method == "POST")
    if (const auto signature =
            Ask(*node, "POST", path + "/sign", {{"as", options.as}, {"note", options.note}});
        !signature)
      return void(*exit_code = Fail(common, signature.error()));
  const auto gate = Ask(*node, "GET", path);
  if (!gate) return void(*exit_code = Fail(common, gate.error()));
  if (common.json)
    PrintJson(*gate);
  else
    PrintGate(*gate);
  *exit_code = gate->value("state", "") == "open" ? kDone : kNo;
}

}  // namespace

void AddGate(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  CLI::App* command = app.add_subcommand("gate", "Stage gates of a use case");
  command->require_subcommand(1);
  CLI::App* eval =
      command->add_subcommand("eval", "Evaluate the checks; exit 1 while the gate is blocked");
  CLI::App* sign = command->add_subcommand("sign", "Sign as the sponsor");
  eval->footer("Example: penstock gate eval bearing-wear-line-1");
  sign->footer("Example: penstock gate sign bearing-wear-line-1 --as plant-manager");
  for (CLI::App* sub : {eval, sign}) {
    sub->add_option("usecase", options.usecase, "Name of the use case")->required();
    sub->add_option("--gate", options.gate, "Gate")->capture_default_str();
    AddCommonOptions(*sub, common);
  }
  sign->add_option("--as", options.as, "Role that signs")->required();
  sign->add_option("--note", options.note, "Reason");
  eval->callback([&common, exit_code] { AskGate(common, options, "GET", exit_code); });
  sign->callback([&common, exit_code] { AskGate(common, options, "POST", exit_code); });
}

}  // namespace penstock::commands
