// `penstock replay FILE.csv`: recorded rows as if they were measured now.
//
// Without --thing the file stands for itself: its columns become the features of a detector that
// learns from the first rows and judges the rest; where the file says what was wrong, the score is
// printed. With --thing the rows become samples of that thing of the site, by its Thing
// Description, and go the whole way: quality, log, history, models, alarms.
#include <algorithm>
#include <set>

#include "commands/command.h"
#include "learning/replay.h"
#include "lineage_flow.h"
#include "node.h"
#include "protocols/replay/replay.h"

namespace penstock::commands {
namespace {

struct Options {
  std::string file, thing, time_column;
  std::vector<std::string> exclude;
  learning::ReplayOptions detector;
};

std::string RowName(const learning::Series& series, size_t row) {
  return row < series.times.size() ? series.times[row] : fmt::format("row {}", row + 1);
}

Json AlarmJson(const learning::Series& series, const learning::ReplayAlarm& alarm) {
  Json because = Json::array();
  for (const auto& [column, part] : alarm.because)
    because.push_back({{"column", column}, {"contribution", part}});
  return {{"from", RowName(series, alarm.from)},
          {"to", RowName(series, alarm.to)},
          {"rows", alarm.to - alarm.from + 1},
          {"p", alarm.p},
          {"because", because}};
}

void PrintDetected(const learning::Series& series, const learning::ReplayReport& report) {
  for (const auto& alarm : report.alarms) {
    std::string because;
    for (const auto& [column, part] : alarm.because)
      because += fmt::format("{}{} {:+.2g}", because.empty() ? "" : ", ", column, part);
    fmt::print("alarm  {} .. {}  {} rows  p {:.2f}  because {}\n", RowName(series, alarm.from),
               RowName(series, alarm.to), alarm.to - alarm.from + 1, alarm.p, because);
  }
  fmt::print("{} rows judged, {} alarms\n", report.judged, report.alarms.size());
  if (!report.labelled) return;
  fmt::print(
      "against the file's labels: F1 {:.3f}  precision {:.3f}  recall {:.3f}  false alarms on "
      "{:.1f} % of the normal rows\n",
      report.f1(), report.precision(), report.recall(), 100 * report.false_alarm_share());
}

Status Detect(const Common& common, const Options& options) {
  ASSIGN_OR_RETURN(const learning::Series series, learning::ReadSeries(options.file));
  ASSIGN_OR_RETURN(const learning::ReplayReport report,
                   learning::ReplayDetector(series, options.detector));
  if (!common.json) {
    PrintDetected(series, report);
    return {};
  }
  Json document = report.ToJson();
  document["file"] = options.file;
  document["alarms"] = Json::array();
  for (const auto& alarm : report.alarms) document["alarms"].push_back(AlarmJson(series, alarm));
  PrintJson(document);
  return {};
}

// The clock goes with the rows, so that windows, delays and staleness see the file's own time.
Status Feed(const api::Services& services, ManualClock& clock, protocols::CsvReplay& replay) {
  while (true) {
    protocols::ReplayBlock block = replay.Next();
    if (block.empty()) return {};
    clock.Set(block.rows.back());
    Status durable;
    services.pipeline.Write(std::move(block.batch),
                            [&durable](const Status& status) { durable = status; });
    services.pipeline.WaitUntilHandled();
    TRY(durable);
  }
}

// The file, into the products that its thing's points are of.
Status TellLineage(Node& node, const std::string& file, const things::Thing& thing,
                   uint64_t samples, Time end) {
  const std::string name = file.substr(file.rfind('/') + 1);
  std::set<std::string> products;
  std::vector<std::string> paths;
  for (const auto& property : thing.properties) {
    products.insert(property.point.product);
    paths.push_back(property.point.path());
  }
  Time begin = end;
  ASSIGN_OR_RETURN(const auto coverage, node.services().history.CoverageOf(paths, Time(), end));
  for (const auto& each : coverage)
    if (each.count > 0) begin = std::min(begin, each.first);
  telemetry::LineageRun run{"replay/" + name, "REPLAY", begin, end};
  run.inputs.push_back({"file", name, "", {}});
  for (const std::string& product : products)
    run.outputs.push_back(node.lineage().Product(product));
  run.facts = {{"samples", samples}, {"thing", thing.name}};
  return node.lineage().TellOnce(std::move(run));
}

// A node that starts on the folder deletes what is older than it keeps.
std::string WarnOfRetention(Node& node, const things::Thing& thing, Time end) {
  std::vector<std::string> paths;
  for (const auto& property : thing.properties) paths.push_back(property.point.path());
  const Time kept = SystemClock().Now() - node.services().settings.retain_raw;
  const auto coverage = node.services().history.CoverageOf(paths, Time(), std::min(kept, end));
  uint64_t rows = 0;
  for (const auto& each : coverage.value_or(std::vector<storage::History::Coverage>()))
    rows += each.count;
  if (rows == 0) return "";
  return fmt::format(
      "{} samples are older than `retain: raw` of site.yaml ({}): a node that runs on this data "
      "folder deletes them; set a longer time before it starts",
      rows, FormatDuration(node.services().settings.retain_raw));
}

Result<Json> Through(const Common& common, const Options& options) {
  ASSIGN_OR_RETURN(NodeOptions node_options, [&]() -> Result<NodeOptions> {
    ASSIGN_OR_RETURN(Settings settings, SettingsOf(common));
    return NodeOptions{std::move(settings)};
  }());
  ManualClock clock(FromMicros(0));
  node_options.clock = &clock;
  node_options.listen = false;
  ASSIGN_OR_RETURN(const auto node, Node::Start(std::move(node_options)));
  const auto& services = node->services();
  const auto snapshot = services.directory.snapshot();
  const things::Thing* thing = snapshot->FindThing(options.thing);
  if (thing == nullptr) return NotFound("thing unknown: {}", options.thing);
  protocols::ReplayOptions replay_options;
  replay_options.time_column = options.time_column;
  replay_options.exclude = options.exclude;
  replay_options.texts = &services.pipeline;
  ASSIGN_OR_RETURN(
      const auto replay,
      protocols::CsvReplay::Open(options.file, *thing, replay_options, &services.quarantine));
  TRY(Feed(services, clock, *replay));
  const auto& report = replay->report();
  TRY(TellLineage(*node, options.file, *thing, report.samples, clock.Now()));
  Json alarms = Json::array();
  ASSIGN_OR_RETURN(const auto raised,
                   services.alarms.List({.thing = options.thing, .limit = 1000}));
  for (const auto& alarm : raised) alarms.push_back(alarm.ToJson());
  const auto ledger = services.pipeline.ledger();
  const std::string warning =
      WarnOfRetention(*node, *thing, clock.Now() + std::chrono::microseconds(1));
  if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
  return Json{{"file", options.file},
              {"thing", options.thing},
              {"rows", report.rows},
              {"samples", report.samples},
              {"missing", report.missing},
              {"refused", report.refused},
              {"torn_rows", report.torn_rows},
              {"torn_lines", report.torn_lines},
              {"unused_columns", report.unused},
              {"stored", ledger.stored},
              {"gap", ledger.gap},
              {"warning", warning.empty() ? Json() : Json(warning)},
              {"alarms", alarms}};
}

void PrintThrough(const Json& report) {
  for (const Json& alarm : report["alarms"])
    fmt::print("alarm  {}  {}  {}\n", alarm.value("id", ""), alarm.value("raised", ""),
               alarm.value("title", ""));
  fmt::print("{} rows, {} samples stored, {} cells missing, {} refused, {} torn rows, gap {}\n",
             report["rows"].get<uint64_t>(), report["stored"].get<uint64_t>(),
             report["missing"].get<uint64_t>(), report["refused"].get<uint64_t>(),
             report["torn_rows"].get<uint64_t>(), report["gap"].get<int64_t>());
}

}  // namespace

void AddReplay(CLI::App& app, Common& common, int* exit_code) {
  static Options options;
  CLI::App* command =
      app.add_subcommand("replay", "Recorded rows of a CSV file as if they were measured now");
  command->footer(
      "Examples:\n  penstock replay valve1/0.csv                          a detector learns from "
      "the first rows, judges the rest\n"
      "  penstock replay day.csv --thing pump-7 --data /tmp/d   through the thing's description, "
      "all the way to alarms");
  command->add_option("file", options.file, "CSV file with a header")->required();
  AddCommonOptions(*command, common);
  command->add_option("--thing", options.thing,
                      "The thing of the site whose properties the columns are");
  command->add_option("--time-column", options.time_column,
                      "With --thing: the time's column (default: found)");
  command
      ->add_option("--exclude", options.exclude,
                   "With --thing: columns that are labels, not measurements")
      ->delimiter(',');
  command->add_option("--detector", options.detector.kind, "Kind of detector")
      ->capture_default_str();
  command->add_option("--train-rows", options.detector.train_rows, "First rows, taken as normal")
      ->capture_default_str();
  command->callback([&common, exit_code] {
    if (options.thing.empty()) {
      if (const auto done = Detect(common, options); !done) *exit_code = Fail(common, done.error());
      return;
    }
    const auto report = Through(common, options);
    if (!report) return void(*exit_code = Fail(common, report.error()));
    if (common.json)
      PrintJson(*report);
    else
      PrintThrough(*report);
  });
}

}  // namespace penstock::commands
