// penstock: one program, its commands. Each command is a file of src/commands; this one only names
// them.
#include <clocale>
#include <csignal>

#include "api/products.h"
#include "base/log.h"
#include "base/version.h"
#include "commands/command.h"

int main(int argc, char** argv) {
  using namespace penstock;
  using namespace penstock::commands;
  // A process of the node itself: it answers one question in SQL (storage/sql_worker.h).
  if (argc == 2 && std::string_view(argv[1]) == "sql-worker")
    return storage::RunSqlWorker(0, 1, api::PrivateNumberOf);
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("From what machines say to the decisions that are worth money.\n", "penstock");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  app.footer(
      "Start here:  penstock up --demo      Every command: penstock COMMAND --help\n"
      "Completion:  source <(penstock completion bash)");
  Common common;
  int exit_code = kDone;
  app.add_flag("-v,--verbose", common.verbose, "Say more on stderr");
  for (const Add add :
       {AddUp,     AddEdge,    AddHub,    AddDemo,     AddPlant,   AddCheck,      AddReplay,
        AddLearn,  AddExplain, AddKpi,    AddGate,     AddDoctor,  AddModel,      AddArchive,
        AddBackup, AddAudit,   AddDevice, AddContract, AddProduct, AddQuarantine, AddCompletion})
    add(app, common, &exit_code);
  app.parse_complete_callback(
      [&common] { SetLogLevel(common.verbose ? LogLevel::kDebug : LogLevel::kInfo); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kFailed;
  }
  return exit_code;
}
