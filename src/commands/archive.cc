// `penstock archive push|list|pull`: the history's copy in a blob store (`blobs:` in site.yaml).
// A running node pushes by itself; `pull` makes a new data folder out of the copy.
#include <unistd.h>

#include "commands/command.h"
#include "storage/blobs_archive.h"

namespace penstock::commands {
namespace {

using storage::BlobArchive;

struct Opened {
  Settings settings;
  SystemClock clock;
  std::unique_ptr<storage::Blobs> blobs;
  std::unique_ptr<BlobArchive> archive;
};

Result<std::unique_ptr<Opened>> Open(const Common& common) {
  auto opened = std::make_unique<Opened>();
  ASSIGN_OR_RETURN(opened->settings, SettingsOf(common));
  const Settings& settings = opened->settings;
  if (settings.cluster.blobs.empty()) {
    auto error = FailedPrecondition("this site has no blob store");
    error.error().Where(settings.folder + "/site.yaml").At("/blobs").Fix("blobs: s3://BUCKET@HOST");
    return error;
  }
  ASSIGN_OR_RETURN(opened->blobs, storage::Blobs::Open(settings.cluster.blobs));
  opened->archive = std::make_unique<BlobArchive>(*opened->blobs, settings.data + "/history",
                                                  settings.site, opened->clock);
  TRY(opened->archive->Load());
  return opened;
}

void ShowProgress(uint64_t done, uint64_t total) {
  if (IsTerminal(STDERR_FILENO) && std::getenv("NO_COLOR") == nullptr)
    fmt::print(stderr, "\r  {}/{} files ", done, total);
}

Json ReportJson(const BlobArchive::Report& report) {
  return {{"files", report.files},
          {"bytes", report.bytes},
          {"present", report.present},
          {"removed", report.removed}};
}

Result<Json> Push(const Common& common) {
  ASSIGN_OR_RETURN(const auto opened, Open(common));
  ASSIGN_OR_RETURN(const auto report, opened->archive->Push(BlobArchive::Take::kAll, ShowProgress));
  return ReportJson(report);
}

Result<Json> Pull(const Common& common) {
  ASSIGN_OR_RETURN(const auto opened, Open(common));
  ASSIGN_OR_RETURN(const auto report, opened->archive->Pull(ShowProgress));
  return ReportJson(report);
}

Result<Json> ListArchive(const Common& common) {
  ASSIGN_OR_RETURN(const auto opened, Open(common));
  const auto manifest = opened->archive->manifest();
  Json items = Json::array();
  uint64_t bytes = 0;
  for (const auto& [path, file] : manifest.files) {
    items.push_back({{"path", path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
    bytes += file.bytes;
  }
  return Json{{"owner", manifest.owner},
              {"pushed", manifest.history.empty() ? Json() : Json(FormatTime(manifest.pushed))},
              {"files", items.size()},
              {"bytes", bytes},
              {"items", std::move(items)}};
}

void PrintText(const Json& document) {
  if (!document.contains("items")) {
    fmt::print("{} files, {} bytes; {} were there, {} removed\n", document.value("files", 0ULL),
               document.value("bytes", 0ULL), document.value("present", 0ULL),
               document.value("removed", 0ULL));
    return;
  }
  for (const Json& item : document["items"])
    fmt::print("{:>12} {}\n", item.value("bytes", 0ULL), item.value("path", ""));
  fmt::print("{} files, {} bytes, of site {}, pushed {}\n", document.value("files", 0ULL),
             document.value("bytes", 0ULL), document.value("owner", "-"),
             document["pushed"].is_null() ? "never" : document.value("pushed", ""));
}

void AddOne(CLI::App& parent, Common& common, int* exit_code, const char* name, const char* summary,
            Result<Json> (*work)(const Common&)) {
  CLI::App* command = parent.add_subcommand(name, summary);
  command->footer(fmt::format("Example: penstock archive {} --site plant/ --json", name));
  AddCommonOptions(*command, common);
  command->callback([&common, exit_code, work] {
    const auto document = work(common);
    if (!document) return void(*exit_code = Fail(common, document.error()));
    if (common.json)
      PrintJson(*document);
    else
      PrintText(*document);
  });
}

}  // namespace

void AddArchive(CLI::App& app, Common& common, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("archive", "The history's copy in a folder or in S3 storage");
  command->require_subcommand(1);
  command->footer("Example: penstock archive pull --site plant/ --data /var/lib/penstock-new");
  AddOne(*command, common, exit_code, "push", "Copy what the archive has not", Push);
  AddOne(*command, common, exit_code, "list", "What the archive has", ListArchive);
  AddOne(*command, common, exit_code, "pull", "Restore the history into a new data folder", Pull);
}

}  // namespace penstock::commands
