// `penstock edge`: a node that brings what it measures to a hub, and its enrolment there.
#include "commands/command.h"
#include "commands/run_node.h"
#include "protocols/uplink/credentials.h"

namespace penstock::commands {
namespace {

Status EnrollHere(const Common& common, const std::string& invitation) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  auto document = ReadDocument(invitation);
  if (!document)
    return std::unexpected(
        document.error().Fix("the file that penstock hub enroll NAME --json wrote"));
  ASSIGN_OR_RETURN(const auto credentials,
                   protocols::uplink::Enrol(settings.data + "/uplink", *document));
  if (common.json)
    PrintJson({{"edge", credentials.edge}, {"hub", credentials.hub}});
  else
    fmt::print(stderr, "{} is enrolled at {}; start it: penstock edge\n", credentials.edge,
               credentials.hub);
  return {};
}

}  // namespace

void AddEdge(CLI::App& app, Common& common, int* exit_code) {
  static RunOptions options;
  static std::string invitation;
  options.kind = RunOptions::Kind::kEdge;
  CLI::App* command = app.add_subcommand("edge", "Run a node that sends to its hub");
  command->require_subcommand(0, 1);
  command->footer(
      "Examples:\n  penstock edge enroll edge-7.json --site gateway/\n"
      "  penstock edge --site gateway/          (site.yaml: hub: https://hub:8443)");
  AddCommonOptions(*command, common);
  command->add_option("--http", options.http, "Listen here, instead of site.yaml's");
  command->add_option("--mqtt", options.mqtt, "Listen here, instead of site.yaml's");
  command->add_option("--models", options.models, "Model repository (default: DATA/models)");
  CLI::App* enroll = command->add_subcommand("enroll", "Become known to a hub by its invitation");
  AddCommonOptions(*enroll, common);
  enroll->add_option("invitation", invitation, "File that `penstock hub enroll NAME --json` wrote")
      ->required();
  enroll->callback([&common, exit_code] {
    if (const auto status = EnrollHere(common, invitation); !status)
      *exit_code = Fail(common, status.error());
  });
  command->callback([&common, exit_code, command] {
    if (!command->get_subcommands().empty()) return;
    StopSignal stop;
    if (const auto status = RunNode(common, options, stop); !status)
      *exit_code = Fail(common, status.error());
  });
}

}  // namespace penstock::commands
