// `penstock doctor`: is the node well, and if not, what to do. Each line is a check with what was
// found.
#include <sys/statvfs.h>

#include <filesystem>

#include "base/file.h"
#include "commands/command.h"

namespace penstock::commands {
namespace {

class Findings {
 public:
  void Add(bool ok, const std::string& name, const std::string& text, const std::string& fix = "") {
    items_.push_back({{"ok", ok}, {"check", name}, {"text", text}, {"fix", ok ? "" : fix}});
    all_ok_ = all_ok_ && ok;
  }
  bool all_ok() const { return all_ok_; }
  Json ToJson() const { return {{"ok", all_ok_}, {"checks", items_}}; }
  void Print() const {
    for (const Json& item : items_)
      fmt::print("{:<4} {:<14} {}{}\n", item["ok"] == true ? "ok" : "BAD", item.value("check", ""),
                 item.value("text", ""),
                 item.value("fix", "").empty()
                     ? ""
                     : "\n                     fix: " + item.value("fix", ""));
  }

 private:
  Json items_ = Json::array();
  bool all_ok_ = true;
};

constexpr uint64_t kFreeBytesMin = 1ULL << 30;

void CheckDisk(const Settings& settings, Findings& findings) {
  const auto free =
      FreeBytes(std::filesystem::exists(settings.data) ? settings.data : settings.folder);
  if (!free) return findings.Add(false, "disk", free.error().message);
  findings.Add(
      *free >= kFreeBytesMin, "disk",
      fmt::format("{:.1f} GiB free for {}", static_cast<double>(*free) / 0x1p30, settings.data),
      "make room, or lower limits: history_mib in site.yaml");
}

void CheckLedger(const Json& ledger, Findings& findings) {
  const auto gap = ledger.value("gap", int64_t{0});
  std::string text = fmt::format("produced {} =", ledger.value("produced", 0ULL));
  for (const char* key :
       {"stored", "forwarded", "evicted", "quarantined", "duplicates", "refused", "pending"})
    text += fmt::format("{}{} {}", text.ends_with("=") ? " " : " + ", key, ledger.value(key, 0ULL));
  findings.Add(gap == 0 && ledger.value("points_with_gap", 0ULL) == 0, "ledger",
               fmt::format("{}, gap {}; {} points, {} of them with a gap; epoch {}", text, gap,
                           ledger.value("points", 0ULL), ledger.value("points_with_gap", 0ULL),
                           ledger.value("epoch", 0ULL)),
               ledger.value("lost", 0ULL) > 0
                   ? "acknowledged samples are gone from the disk: see the node's log, restore the "
                     "log's segments or the history from a backup"
                   : "this is a defect of the program: keep the data folder and report it");
  findings.Add(!ledger.value("log_failing", false), "durable log",
               fmt::format("durable in {:.1f} ms", ledger.value("log_durable_ms", 0.0)),
               "the log cannot be written: look at the disk and the node's log");
}

// An edge: whether the hub answers, and what it has not.
void CheckUplink(const Json& uplink, Findings& findings) {
  const auto lost = uplink.value("lost_rows", uint64_t{0});
  std::string text = fmt::format(
      "{} at {}: {} records wait, {} rows sent", uplink.value("edge", ""), uplink.value("hub", ""),
      uplink.value("waiting_records", uint64_t{0}),
      uplink["rows"].value("live", uint64_t{0}) + uplink["rows"].value("backfill", uint64_t{0}));
  if (lost > 0) text += fmt::format(", {} given up before that", lost);
  if (const std::string error = StringOr(uplink, "error", ""); !error.empty()) text += "; " + error;
  findings.Add(uplink.value("connected", false), "uplink", text,
               "samples wait in the log meanwhile; look at the hub, the network, the certificate");
}

// A node on a stream; as a hub it has partitions, as an edge records that wait.
void CheckStream(const Json& stream, Findings& findings) {
  const std::string error = StringOr(stream, "error", "");
  std::string text;
  const auto unconfirmed = stream.value("unconfirmed", uint64_t{0});
  if (stream.contains("hub"))
    text = fmt::format(
        "hub {}: {} partitions, {} messages taken, {} refused{}", stream.value("hub", ""),
        stream["partitions"].size(), stream.value("messages", uint64_t{0}),
        stream.value("refused", uint64_t{0}),
        unconfirmed == 0 ? "" : fmt::format(", {} rows wait to be confirmed", unconfirmed));
  else if (stream.contains("edge"))
    text = fmt::format("edge {}: {} records wait, {} rows sent", stream.value("edge", ""),
                       stream.value("waiting_records", uint64_t{0}),
                       stream.value("rows", uint64_t{0}));
  if (!error.empty()) text += (text.empty() ? "" : "; ") + error;
  findings.Add(
      error.empty(), "stream", text,
      "samples wait in the log meanwhile, and go to no file before they are confirmed; look "
      "at the NATS servers that stream: to names");
}

// What the node itself found in the field.
void CheckDevices(const Json& health, Findings& findings) {
  for (const Json& finding : health["findings"])
    findings.Add(false, "device",
                 fmt::format("{}: {}", finding.value("device", ""), finding.value("text", "")),
                 finding.value("fix", ""));
  const Json& counts = health["devices"];
  findings.Add(
      true, "devices",
      fmt::format("{} connected, {} retrying, {} never heard of", counts.value("connected", 0),
                  counts.value("retrying", 0), counts.value("never", 0)));
}

// Samples do not wait for the records, everything else does.
void CheckRecords(const NodeAddress& node, Findings& findings) {
  const auto tokens = Ask(node, "GET", "/api/v1/tokens");
  const bool away = !tokens && tokens.error().code == Code::kUnavailable;
  if (!tokens && !away) return;  // Not for everybody's eyes.
  findings.Add(!away, "records", away ? tokens.error().message : "their database answers",
               "samples with a token and of points that the node knows are taken for 15 minutes, "
               "nothing else is; look at the server that records: in site.yaml names");
}

void CheckAudit(const NodeAddress& node, Findings& findings) {
  const auto root = Ask(node, "GET", "/api/v1/audit/root");
  if (!root) return findings.Add(false, "audit", root.error().message);
  const auto size = root->value("size", uint64_t{0});
  if (size == 0) return findings.Add(true, "audit", "empty");
  const auto proof = Ask(node, "GET", fmt::format("/api/v1/audit/{}/proof", size - 1));
  if (!proof)
    return findings.Add(false, "audit", "the newest leaf cannot be read: " + proof.error().message,
                        proof.error().fix);
  const bool ok = proof->value("proof_ok", false);
  findings.Add(ok, "audit",
               fmt::format("{} leaves, root {}, newest leaf's proof {}", size,
                           root->value("root", "").substr(0, 16), ok ? "ok" : "BROKEN"),
               "the records were changed from outside: restore a backup");
}

Findings Examine(const Settings& settings) {
  Findings findings;
  findings.Add(true, "site", settings.folder + "/site.yaml, " + settings.site);
  CheckDisk(settings, findings);
  const auto node = FindNode(settings);
  if (!node) {
    findings.Add(false, "node", node.error().message, node.error().fix);
    return findings;
  }
  const auto overview = Ask(*node, "GET", "/api/v1/overview");
  if (!overview) {
    findings.Add(false, "node", overview.error().message, "see its log");
    CheckRecords(*node, findings);
    return findings;
  }
  findings.Add(true, "node",
               fmt::format("{} at {}, {:.0f} samples/s", overview->value("node", ""), node->url,
                           overview->value("samples_per_s", 0.0)));
  if (const auto ledger = Ask(*node, "GET", "/api/v1/ledger")) CheckLedger(*ledger, findings);
  if (const auto health = Ask(*node, "GET", "/api/v1/diagnostics")) CheckDevices(*health, findings);
  // Both are there only where the site has them.
  if (const auto uplink = Ask(*node, "GET", "/api/v1/uplink")) CheckUplink(*uplink, findings);
  if (const auto stream = Ask(*node, "GET", "/api/v1/stream")) CheckStream(*stream, findings);
  CheckRecords(*node, findings);
  CheckAudit(*node, findings);
  return findings;
}

}  // namespace

void AddDoctor(CLI::App& app, Common& common, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Is the node well? Each check with what to do; exit 1 when something is bad");
  command->footer("Example: penstock doctor --site plant/");
  AddCommonOptions(*command, common);
  command->callback([&common, exit_code] {
    const auto settings = SettingsOf(common);
    if (!settings) return void(*exit_code = Fail(common, settings.error()));
    const Findings findings = Examine(*settings);
    if (common.json)
      PrintJson(findings.ToJson());
    else
      findings.Print();
    *exit_code = findings.all_ok() ? kDone : kNo;
  });
}

}  // namespace penstock::commands
