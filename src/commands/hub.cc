// `penstock hub`: a node that edges send to, and who may be one.
#include "commands/command.h"
#include "commands/run_node.h"

namespace penstock::commands {
namespace {

Result<Json> AskHub(const Common& common, const std::string& method, const std::string& path,
                    const Json& body = nullptr) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  ASSIGN_OR_RETURN(const NodeAddress node, FindNode(settings));
  return Ask(node, method, path, body);
}

Status InviteEdge(const Common& common, const std::string& name) {
  ASSIGN_OR_RETURN(const Json invitation,
                   AskHub(common, "POST", "/api/v1/edges", {{"name", name}}));
  PrintJson(invitation);
  if (!common.json)
    fmt::print(
        stderr,
        "\nKeep this as a file and give it to the edge within 24 hours; the token works once:"
        "\n  penstock edge enroll FILE\n");
  return {};
}

Status Revoke(const Common& common, const std::string& name) {
  TRY(AskHub(common, "POST", "/api/v1/edges/" + name + "/revoke", Json::object()));
  if (common.json)
    PrintJson({{"revoked", name}});
  else
    fmt::print(stderr, "{} is shut out from its next request on\n", name);
  return {};
}

uint64_t RowsOf(const Json& edge) {
  uint64_t rows = 0;
  for (const Json& epoch : edge["epochs"]) rows += epoch.value("rows", uint64_t{0});
  return rows;
}

Status ListEdges(const Common& common) {
  ASSIGN_OR_RETURN(const Json edges, AskHub(common, "GET", "/api/v1/edges"));
  if (common.json) {
    PrintJson(edges);
    return {};
  }
  fmt::print("{:<24} {:<9} {:>14} {:>5}  {}\n", "edge", "state", "rows", "gaps", "until");
  for (const Json& edge : edges["items"]) {
    size_t gaps = 0;
    for (const Json& epoch : edge["epochs"]) gaps += epoch["gaps"].size();
    fmt::print("{:<24} {:<9} {:>14} {:>5}  {}\n", StringOr(edge, "name", ""),
               StringOr(edge, "state", ""), RowsOf(edge), gaps, StringOr(edge, "until", ""));
  }
  return {};
}

void AddNamed(CLI::App& parent, Common& common, int* exit_code, const char* word,
              const char* summary, std::string* name,
              Status (*act)(const Common&, const std::string&)) {
  CLI::App* command = parent.add_subcommand(word, summary);
  AddCommonOptions(*command, common);
  command->footer(fmt::format("Example: penstock hub {} edge-7 --json", word));
  command->add_option("name", *name, "Name of the edge: a-z, 0-9 and -")->required();
  command->callback([&common, exit_code, name, act] {
    if (const auto status = act(common, *name); !status) *exit_code = Fail(common, status.error());
  });
}

}  // namespace

void AddHub(CLI::App& app, Common& common, int* exit_code) {
  static RunOptions options;
  static std::string name;
  options.kind = RunOptions::Kind::kHub;
  CLI::App* command = app.add_subcommand("hub", "Run a node that edges send to");
  command->require_subcommand(0, 1);
  command->footer(
      "Examples:\n  penstock hub --site central/            (site.yaml: tls: {mode: own-ca})\n"
      "  penstock hub enroll edge-7 --json > edge-7.json\n  penstock hub edges\n"
      "  penstock hub revoke edge-7");
  AddCommonOptions(*command, common);
  command->add_option("--http", options.http, "Listen here, instead of site.yaml's");
  command->add_option("--mqtt", options.mqtt, "Listen here, instead of site.yaml's");
  command->add_option("--models", options.models, "Model repository (default: DATA/models)");
  AddNamed(*command, common, exit_code, "enroll", "Invite an edge", &name, InviteEdge);
  AddNamed(*command, common, exit_code, "revoke", "Shut an edge out", &name, Revoke);
  CLI::App* edges = command->add_subcommand("edges", "Edges and what of their samples is here");
  edges->footer("Example: penstock hub edges --json");
  AddCommonOptions(*edges, common);
  edges->callback([&common, exit_code] {
    if (const auto status = ListEdges(common); !status) *exit_code = Fail(common, status.error());
  });
  command->callback([&common, exit_code, command] {
    if (!command->get_subcommands().empty()) return;
    StopSignal stop;
    if (const auto status = RunNode(common, options, stop); !status)
      *exit_code = Fail(common, status.error());
  });
}

}  // namespace penstock::commands
