// `penstock contract`: data contracts written from Thing Models, checked, compared and listed;
// `penstock quarantine`: what broke them, released or discarded.
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "commands/command.h"
#include "things/contract_compat.h"
#include "things/contract_directory.h"
#include "things/contract_generate.h"
#include "things/contract_yaml.h"

namespace penstock::commands {
namespace {

namespace fs = std::filesystem;
using things::DataContract;

std::string FileOf(const Settings& settings, const std::string& id) {
  return settings.folder + "/contracts/" + id + std::string(things::kContractSuffix);
}

Error First(const std::vector<things::Finding>& findings) {
  for (const auto& finding : findings)
    if (finding.is_error) return finding.error;
  return Error{Code::kInvalidArgument, "no contract"};
}

// --- generate

struct GenerateOptions {
  std::string model;
  bool print = false, merge = false, overwrite = false;
  things::ContractDefaults defaults;
};

Result<things::ThingModel> ModelOf(const Settings& settings, const std::string& name) {
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(settings.folder, *ids);
  const auto findings = directory.Reload();
  const auto snapshot = directory.snapshot();
  std::vector<std::string> known;
  const things::ThingModel* best = nullptr;
  for (const auto& model : snapshot->models) {
    const std::string kind = model.name.substr(0, model.name.find('@'));
    known.push_back(kind);
    if (model.name == name || kind == name) best = &model;  // By name: the latest version is last.
  }
  if (best != nullptr) return *best;
  for (const auto& finding : findings)
    if (finding.is_error && finding.error.where.find("/" + name + ".") != std::string::npos)
      return std::unexpected(finding.error);
  auto error = NotFound("no Thing Model \"{}\" in {}/things", name, settings.folder);
  const std::string nearest = Nearest(name, known);
  error.error().Fix(nearest.empty() ? fmt::format("one of: {}", fmt::join(known, ", "))
                                    : fmt::format("did you mean \"{}\"?", nearest));
  return error;
}

Json UpdateJson(const things::ContractUpdate& update) {
  Json added = Json::array(), differences = Json::array();
  for (const Json& property : update.added) added.push_back(property["name"]);
  for (const auto& each : update.differences)
    differences.push_back({{"pointer", each.pointer}, {"file", each.file}, {"model", each.model}});
  return {{"added", added}, {"gone", update.gone}, {"differences", differences}};
}

void PrintUpdate(const things::ContractUpdate& update, const std::string& file) {
  for (const Json& property : update.added)
    fmt::print("+ {}  is in the model, not in the contract\n", property["name"].get<std::string>());
  for (const std::string& name : update.gone)
    fmt::print("- {}  is in the contract, not in the model\n", name);
  for (const auto& each : update.differences)
    fmt::print("~ {}\n    contract {}\n    model    {}\n", each.pointer,
               each.file.empty() ? "-" : each.file, each.model);
  if (update.empty()) fmt::print("{} says what the model says\n", file);
}

Result<int> Generate(const Common& common, GenerateOptions options) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  ASSIGN_OR_RETURN(const auto model, ModelOf(settings, options.model));
  options.defaults.retention = settings.retain_raw;
  ASSIGN_OR_RETURN(const Json generated, ContractFromModel(model, options.defaults));
  const std::string file = FileOf(settings, StringOr(generated, "id", ""));
  if (options.print) {
    if (common.json)
      PrintJson(generated);
    else
      std::fputs(things::ContractYaml(generated).c_str(), stdout);
    return kDone;
  }
  if (!fs::exists(file) || options.overwrite) {
    TRY(MakeFolders(settings.folder + "/contracts"));
    TRY(WriteFileAtomically(file, things::ContractYaml(generated)));
    if (common.json)
      PrintJson({{"file", file}, {"written", true}});
    else
      fmt::print("{}\n", file);
    return kDone;
  }
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, things::kContractBytesMax));
  auto present = ParseYaml(text);
  if (!present) return std::unexpected(present.error().Where(file));
  const auto update = things::CompareWithModel(*present, generated);
  bool written = false;
  if (options.merge && !update.added.empty()) {
    auto merged = things::MergeIntoText(text, update);
    if (!merged) return std::unexpected(merged.error().Where(file));
    TRY(WriteFileAtomically(file, *merged));
    written = true;
  }
  if (common.json) {
    Json body = UpdateJson(update);
    body["file"] = file;
    body["written"] = written;
    PrintJson(body);
  } else {
    PrintUpdate(update, file);
    if (written) fmt::print("{}: {} properties added\n", file, update.added.size());
    if (!written && !update.added.empty())
      fmt::print(stderr, "penstock contract generate {} --merge adds what is new\n", options.model);
  }
  return update.empty() || written ? kDone : kNo;
}

// --- check and list

Result<int> Check(const Common& common) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  const auto ids = things::PointIdsInMemory();
  things::Directory directory(settings.folder, *ids);
  (void)directory.Reload();
  const auto versions = things::ContractVersionsInMemory();
  const SystemClock clock;
  things::ContractDirectory contracts(settings.folder, *versions, clock);
  const auto findings = contracts.Reload(*directory.snapshot());
  size_t errors = 0;
  Json list = Json::array();
  for (const auto& [is_error, error] : findings) {
    errors += is_error ? 1 : 0;
    list.push_back({{"severity", is_error ? "error" : "warning"},
                    {"file", error.where},
                    {"pointer", error.pointer},
                    {"message", error.message},
                    {"fix", error.fix}});
    if (!common.json) fmt::print("{}\n", things::FormatFinding({is_error, error}));
  }
  const size_t good = contracts.set()->by_id.size();
  if (common.json)
    PrintJson({{"contracts", good}, {"errors", errors}, {"findings", list}});
  else
    fmt::print("{} contract{} good, {} error{}\n", good, good == 1 ? "" : "s", errors,
               errors == 1 ? "" : "s");
  return errors > 0 ? kNo : kDone;
}

// Of the node, or of the files when none runs.
Result<Json> Contracts(const Settings& settings) {
  if (const auto node = FindNode(settings)) {
    ASSIGN_OR_RETURN(const Json answer, Ask(*node, "GET", "/api/v1/contracts"));
    return answer["items"];
  }
  Json items = Json::array();
  const auto names = ListFiles(settings.folder + "/contracts", things::kContractSuffix);
  if (!names) return items;
  for (const std::string& name : *names) {
    const auto read = things::ReadDataContractFile(settings.folder + "/contracts/" + name);
    if (!read.contract) return std::unexpected(First(read.findings));
    const DataContract& c = *read.contract;
    items.push_back({{"id", c.id},
                     {"version", c.version},
                     {"status", c.status},
                     {"domain", c.domain},
                     {"owner", c.owner},
                     {"points", nullptr},
                     {"name", c.name}});
  }
  return items;
}

Result<int> ListContracts(const Common& common) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  ASSIGN_OR_RETURN(const Json items, Contracts(settings));
  if (common.json) {
    PrintJson({{"items", items}});
    return kDone;
  }
  fmt::print("{:<16} {:<8} {:<10} {:<12} {:<16} {:>6}  {}\n", "id", "version", "status", "domain",
             "owner", "points", "name");
  for (const Json& item : items)
    fmt::print("{:<16} {:<8} {:<10} {:<12} {:<16} {:>6}  {}\n", StringOr(item, "id", ""),
               StringOr(item, "version", ""), StringOr(item, "status", ""),
               StringOr(item, "domain", ""), StringOr(item, "owner", ""),
               item["points"].is_null() ? "-" : item["points"].dump(), StringOr(item, "name", ""));
  return kDone;
}

// --- diff

// A file, "pump" (the site's file) or "pump@1.2.0" (as it was accepted).
Result<DataContract> Resolve(const Settings& settings, const std::string& text) {
  Json document;
  std::string where = text;
  if (const size_t at = text.find('@'); at != std::string::npos && !fs::exists(text)) {
    where = settings.data + "/records.db";
    ASSIGN_OR_RETURN(const auto records, storage::Records::OpenReadOnly(where));
    ASSIGN_OR_RETURN(const auto rows,
                     records->Query("SELECT document FROM contract_versions WHERE contract = ? "
                                    "AND version = ? ORDER BY number DESC LIMIT 1",
                                    {text.substr(0, at), text.substr(at + 1)}));
    if (rows.empty()) return NotFound("version {} was never in force here", text);
    ASSIGN_OR_RETURN(document, ParseJson(rows[0].Text(0)));
  } else {
    if (!fs::exists(text)) where = FileOf(settings, text);
    ASSIGN_OR_RETURN(const std::string content, ReadFile(where, things::kContractBytesMax));
    auto parsed = ParseYaml(content);
    if (!parsed) return std::unexpected(parsed.error().Where(where));
    document = std::move(*parsed);
  }
  const std::string id = StringOr(document, "id", things::ContractIdOf(where));
  auto read = things::ReadDataContract(document, id + std::string(things::kContractSuffix));
  if (!read.contract) return std::unexpected(First(read.findings).Where(where));
  return std::move(*read.contract);
}

Result<int> Diff(const Common& common, const std::string& old_name, const std::string& new_name) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  ASSIGN_OR_RETURN(const DataContract old, Resolve(settings, old_name));
  ASSIGN_OR_RETURN(const DataContract now, Resolve(settings, new_name));
  const auto diff = things::CompareContracts(old, now);
  const Status step = things::CheckVersionStep(old, now, diff);
  if (common.json) {
    Json body = things::ContractDiffJson(diff);
    body["from"] = old.reference();
    body["to"] = now.reference();
    body["allowed"] = step.has_value();
    body["next_version"] = things::NextVersion(old.version, diff.step);
    PrintJson(body);
    return step ? kDone : kNo;
  }
  fmt::print("{} -> {}\n", old.reference(), now.reference());
  for (const auto& change : diff.changes)
    fmt::print("  {:<6} {}{}{}\n", VersionStepName(change.step), change.text,
               change.backward ? "" : "  (not backward compatible)",
               change.forward ? "" : "  (not forward compatible)");
  if (diff.changes.empty()) fmt::print("  no difference\n");
  if (step) return kDone;
  fmt::print("refused: {}\n  fix: {}\n", step.error().message, step.error().fix);
  return kNo;
}

// --- compliance and quarantine, of the running node

Result<Json> AskNode(const Common& common, const std::string& method, const std::string& path,
                     const Json& body = nullptr) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  ASSIGN_OR_RETURN(const NodeAddress node, FindNode(settings));
  return Ask(node, method, path, body);
}

Result<int> Compliance(const Common& common, const std::string& id) {
  ASSIGN_OR_RETURN(const Json answer,
                   AskNode(common, "GET", "/api/v1/contracts/" + id + "/compliance"));
  const bool kept = BoolOr(answer, "kept", false);
  if (common.json) {
    PrintJson(answer);
    return kept ? kDone : kNo;
  }
  fmt::print("{}  {}\n", StringOr(answer, "contract", id), kept ? "kept" : "broken");
  for (const Json& p : answer["promises"])
    fmt::print("  {:<13} {:<28} {:<24} {} (measured {} {})\n", StringOr(p, "state", ""),
               StringOr(p, "point", "-"), StringOr(p, "name", ""), StringOr(p, "promised", ""),
               NumberText(p["measured"]), StringOr(p, "unit", ""));
  return kept ? kDone : kNo;
}

std::string QueryOf(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    query += (query.empty() ? "?" : "&") + name + "=";
    for (const char c : value)
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_')
        query += c;
      else
        query += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return query;
}

Result<int> ListQuarantine(const Common& common, const std::string& query) {
  ASSIGN_OR_RETURN(const Json answer, AskNode(common, "GET", "/api/v1/quarantine" + query));
  if (common.json) {
    PrintJson(answer);
    return kDone;
  }
  fmt::print("{:<8} {:<24} {:<30} {:<16} {:<14} {:<10} {}\n", "id", "at", "point", "contract",
             "rule", "state", "value");
  for (const Json& item : answer["items"])
    fmt::print("{:<8} {:<24} {:<30} {:<16} {:<14} {:<10} {}\n", item["id"].dump(),
               StringOr(item, "at", "").substr(0, 23), StringOr(item, "point", ""),
               StringOr(item, "contract", "-"), StringOr(item, "rule", ""),
               StringOr(item, "state", ""), StringOr(item, "value", ""));
  return kDone;
}

Result<int> Resolve(const Common& common, const std::string& id, const char* what,
                    const Json& body) {
  ASSIGN_OR_RETURN(const Json answer,
                   AskNode(common, "POST", "/api/v1/quarantine/" + id + "/" + what, body));
  if (common.json)
    PrintJson(answer);
  else
    fmt::print("{} {} {}\n", id, StringOr(answer, "point", ""), StringOr(answer, "state", ""));
  return kDone;
}

// Every open entry that fits, oldest page last; stops at the first that the node refuses.
Result<int> ReleaseAll(const Common& common, const std::string& query, const std::string& reason) {
  size_t released = 0;
  while (true) {
    ASSIGN_OR_RETURN(const Json page,
                     AskNode(common, "GET", "/api/v1/quarantine" + query + "&limit=1000"));
    if (page["items"].empty()) break;
    for (const Json& item : page["items"]) {
      TRY(AskNode(common, "POST", "/api/v1/quarantine/" + item["id"].dump() + "/release",
                  {{"reason", reason}}));
      ++released;
    }
  }
  if (common.json)
    PrintJson({{"released", released}});
  else
    fmt::print("{} released\n", released);
  return kDone;
}

template <typename Work>
void Run(const Common& common, int* exit_code, const Work& work) {
  // The findings are the output; what the rooms log on the way says the same in other words.
  if (!common.verbose) SetLogLevel(LogLevel::kError);
  const Result<int> done = work();
  *exit_code = done ? *done : Fail(common, done.error());
}

}  // namespace

void AddContract(CLI::App& app, Common& common, int* exit_code) {
  CLI::App* command = app.add_subcommand("contract", "Data contracts: write, check, compare, list");
  command->require_subcommand(1);

  static GenerateOptions generate;
  CLI::App* make = command->add_subcommand(
      "generate", "Write contracts/ID.odcs.yaml from a Thing Model, or show what differs");
  make->footer("Example: penstock contract generate pump --owner plant-manager");
  AddCommonOptions(*make, common);
  make->add_option("model", generate.model, "Thing Model: pump, or pump@1.2")->required();
  make->add_option("--owner", generate.defaults.owner, "Who answers for the data");
  make->add_option("--team", generate.defaults.team, "The owner's team");
  make->add_option("--domain", generate.defaults.domain, "Data domain");
  make->add_flag("--print", generate.print, "To stdout instead of the file");
  make->add_flag("--merge", generate.merge, "Add new properties to the file, keep all else");
  make->add_flag("--overwrite", generate.overwrite, "Replace the file");
  make->callback(
      [&common, exit_code] { Run(common, exit_code, [&] { return Generate(common, generate); }); });

  CLI::App* check = command->add_subcommand("check", "Explain every mistake in the contracts");
  check->footer("Example: penstock contract check --site plant/");
  AddCommonOptions(*check, common);
  check->callback([&common, exit_code] { Run(common, exit_code, [&] { return Check(common); }); });

  static std::string old_name, new_name;
  CLI::App* diff = command->add_subcommand(
      "diff", "What changes between two contracts, and the version step that it needs");
  diff->footer("Example: penstock contract diff pump@1.2.0 pump");
  AddCommonOptions(*diff, common);
  diff->add_option("old", old_name, "File, ID, or ID@VERSION")->required();
  diff->add_option("new", new_name, "File, ID, or ID@VERSION")->required();
  diff->callback([&common, exit_code] {
    Run(common, exit_code, [&] { return Diff(common, old_name, new_name); });
  });

  static std::string id;
  CLI::App* kept = command->add_subcommand("compliance", "Every promise beside its measure");
  kept->footer("Example: penstock contract compliance pump");
  AddCommonOptions(*kept, common);
  kept->add_option("contract", id, "ID")->required();
  kept->callback(
      [&common, exit_code] { Run(common, exit_code, [&] { return Compliance(common, id); }); });

  CLI::App* list = command->add_subcommand("list", "The contracts in force");
  list->footer("Example: penstock contract list --json");
  AddCommonOptions(*list, common);
  list->callback(
      [&common, exit_code] { Run(common, exit_code, [&] { return ListContracts(common); }); });
}

void AddQuarantine(CLI::App& app, Common& common, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("quarantine", "Samples that broke a contract: list, release, discard");
  command->require_subcommand(1);

  static std::string contract, point, rule, state = "open";
  CLI::App* list = command->add_subcommand("list", "Entries, newest first");
  list->footer("Example: penstock quarantine list --contract pump --rule maximum");
  AddCommonOptions(*list, common);
  list->add_option("--contract", contract, "pump, or pump@1.2.0");
  list->add_option("--point", point, "thing/property");
  list->add_option("--rule", rule, "minimum, maximum, type ...");
  list->add_option("--state", state, "open, noted, releasing, released, discarded; \"\" = all");
  list->callback([&common, exit_code] {
    const std::string query =
        QueryOf({{"contract", contract}, {"point", point}, {"rule", rule}, {"state", state}});
    Run(common, exit_code, [&] { return ListQuarantine(common, query); });
  });

  static std::string id, reason;
  static double value = 0;
  CLI::App* release =
      command->add_subcommand("release", "Store samples after all, as they are or corrected");
  release->footer(
      "Examples: penstock quarantine release 12 --value 9.9 --reason \"gauge read on site\"\n"
      "          penstock quarantine release --contract pump --rule maximum --reason \"range was "
      "too narrow\"");
  AddCommonOptions(*release, common);
  CLI::Option* one = release->add_option("id", id, "One entry; else all open ones that fit:");
  release->add_option("--contract", contract, "pump, or pump@1.2.0")->excludes(one);
  release->add_option("--point", point, "thing/property")->excludes(one);
  release->add_option("--rule", rule, "minimum, maximum, type ...")->excludes(one);
  CLI::Option* corrected =
      release->add_option("--value", value, "Instead of the one that came")->needs(one);
  release->add_option("--reason", reason, "Why")->required();
  release->callback([&common, exit_code, corrected] {
    if (id.empty() && contract.empty() && point.empty())
      return void(*exit_code = Fail(common, {Code::kInvalidArgument, "which entries?", "", "",
                                             "an id, --contract or --point"}));
    const std::string query =
        QueryOf({{"contract", contract}, {"point", point}, {"rule", rule}, {"state", "open"}});
    if (id.empty())
      return Run(common, exit_code, [&] { return ReleaseAll(common, query, reason); });
    Json body = {{"reason", reason}};
    if (corrected->count() > 0) body["value"] = value;
    Run(common, exit_code, [&] { return Resolve(common, id, "release", body); });
  });

  CLI::App* discard = command->add_subcommand("discard", "Close an entry without storing it");
  discard->footer("Example: penstock quarantine discard 12 --reason \"sensor was unplugged\"");
  AddCommonOptions(*discard, common);
  discard->add_option("id", id, "Entry")->required();
  discard->add_option("--reason", reason, "Why")->required();
  discard->callback([&common, exit_code] {
    Run(common, exit_code, [&] { return Resolve(common, id, "discard", {{"reason", reason}}); });
  });
}

}  // namespace penstock::commands
