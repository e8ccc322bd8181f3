// `penstock model|audit|device list`: the node's lists as tables.
#include "base/number.h"
#include "commands/command.h"

namespace penstock::commands {
namespace {

struct Column {
  const char* key;
  int width;
};

std::string CellText(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "-";
  if (value.is_number_float()) return penstock::NumberText(value.get<double>(), 4);
  if (value.is_array() && (value.empty() || value[0].is_string())) {
    std::string text;
    for (const Json& item : value) text += (text.empty() ? "" : ",") + item.get<std::string>();
    return text;
  }
  return value.dump();
}

void PrintTable(const Json& items, const std::vector<Column>& columns) {
  std::string head;
  for (const Column& column : columns) head += fmt::format("{:<{}} ", column.key, column.width);
  fmt::print("{}\n", head);
  for (const Json& item : items) {
    std::string line;
    for (const Column& column : columns)
      line += fmt::format("{:<{}} ", CellText(item.value(column.key, Json())), column.width);
    fmt::print("{}\n", line);
  }
}

void AddList(CLI::App& app, Common& common, int* exit_code, const char* name, const char* summary,
             const char* path, const std::vector<Column>& columns) {
  CLI::App* command = app.add_subcommand(name, summary);
  command->require_subcommand(1);
  CLI::App* list = command->add_subcommand("list", summary);
  list->footer(fmt::format("Example: penstock {} list --json", name));
  AddCommonOptions(*list, common);
  list->callback([&common, exit_code, path, columns] {
    const auto settings = SettingsOf(common);
    if (!settings) return void(*exit_code = Fail(common, settings.error()));
    const auto node = FindNode(*settings);
    if (!node) return void(*exit_code = Fail(common, node.error()));
    const auto answer = Ask(*node, "GET", path);
    if (!answer) return void(*exit_code = Fail(common, answer.error()));
    if (common.json)
      PrintJson(*answer);
    else
      PrintTable((*answer)["items"], columns);
  });
}

}  // namespace

void AddModel(CLI::App& app, Common& common, int* exit_code) {
  AddList(app, common, exit_code, "model", "Models and what runs where", "/api/v1/models",
          {{"name", 18},
           {"version", 7},
           {"kind", 14},
           {"on", 24},
           {"rows", 8},
           {"predictions", 11},
           {"trained_at", 28}});
}

void AddAudit(CLI::App& app, Common& common, int* exit_code) {
  AddList(app, common, exit_code, "audit", "Who did what, newest first", "/api/v1/audit",
          {{"leaf", 6}, {"at", 28}, {"actor", 18}, {"action", 20}, {"subject", 20}});
}

void AddDevice(CLI::App& app, Common& common, int* exit_code) {
  AddList(app, common, exit_code, "device", "Devices: connection, counts, errors",
          "/api/v1/devices",
          {{"name", 20},
           {"protocol", 9},
           {"address", 24},
           {"state", 10},
           {"samples", 10},
           {"errors", 7},
           {"last_error", 40}});
}

}  // namespace penstock::commands
