// `penstock backup FOLDER` and `penstock restore FOLDER`: with a node running
// it makes the copy below its data folder and this command moves it; with none,
// the files are copied from here.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "commands/command.h"
#include "storage/backup.h"
#include "storage/history.h"
#include "storage/records.h"

namespace penstock::commands {
namespace {

namespace fs = std::filesystem;

Result<Json> OfRunningNode(const NodeAddress& node, const std::string& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    auto failed = AlreadyExists("not an empty folder: {}", folder);
    failed.error().Fix("name a new one");
    return failed;
  }
  ASSIGN_OR_RETURN(Json made, Ask(node, "POST", "/api/v1/backups", Json::object()));
  const std::string from = made.value("folder", "");
  fs::create_directories(fs::absolute(folder).parent_path(), error);
  fs::remove(folder, error);
  fs::rename(from, folder, error);
  if (error) {  // Another file system.
    fs::copy(from, folder, fs::copy_options::recursive, error);
    if (error) {
      auto failed = FromErrno(error.value(), "cannot copy the backup from " + from);
      failed.error().Where(folder);
      return failed;
    }
    sync();
    fs::remove_all(from, error);
  }
  made["folder"] = folder;
  return made;
}

// Nobody else may start a node meanwhile.
Result<Json> OfStoppedNode(const Settings& settings, const std::string& folder) {
  const int fd = open((settings.data + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FromErrno(errno, "cannot open " + settings.data + "/lock");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return FailedPrecondition("a node runs on {} but does not say where", settings.data);
  }
  const auto copy = [&]() -> Result<Json> {
    std::unique_ptr<storage::Records> records;
    if (settings.cluster.records.empty()) {
      ASSIGN_OR_RETURN(records, storage::Records::Open(RecordsAddress(settings)));
    }
    ASSIGN_OR_RETURN(const auto history,
                     storage::History::OpenReadOnly(settings.data + "/history"));
    return storage::BackUp({settings.data, records.get(), history.get(), settings.folder}, folder,
                           SystemClock().Now());
  };
  auto made = copy();
  close(fd);
  return made;
}

Result<Json> MakeBackup(const Common& common, const std::string& folder) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  if (!fs::exists(settings.data)) return NotFound("no data folder: {}", settings.data);
  const auto node = FindNode(settings);
  return node ? OfRunningNode(*node, folder) : OfStoppedNode(settings, folder);
}

Result<Json> MakeRestore(const Common& common, const std::string& folder) {
  ASSIGN_OR_RETURN(const Settings settings, SettingsOf(common));
  return storage::Restore(folder, settings.data);
}

void Tell(const Common& common, int* exit_code, const Result<Json>& done, const char* verb,
          const char* where) {
  if (!done) return void(*exit_code = Fail(common, done.error()));
  if (common.json) return PrintJson(*done);
  fmt::print("{} {} files, {} bytes, of {}: {}\n", verb, done->value("files", 0ULL),
             done->value("bytes", 0ULL), done->value("made", ""), done->value(where, ""));
  if (done->contains("records") && !done->value("records", true))
    fmt::print(stderr,
               "the records are in PostgreSQL: take them with pg_dump "
               "at the same time\n");
}

}  // namespace

void AddBackup(CLI::App& app, Common& common, int* exit_code) {
  // Shared by the callbacks, which outlive this call.
  auto folder = std::make_shared<std::string>();
  CLI::App* backup = app.add_subcommand("backup", "Copy the data folder, also of a running node");
  backup->footer("Example: penstock backup /backup/monday");
  backup->add_option("folder", *folder, "A new or empty folder")->required();
  AddCommonOptions(*backup, common);
  backup->callback([&common, exit_code, folder] {
    Tell(common, exit_code, MakeBackup(common, *folder), "backed up", "folder");
  });
  CLI::App* restore = app.add_subcommand("restore", "Make a data folder out of a backup");
  restore->footer("Example: penstock restore /backup/monday --data /var/lib/penstock-new");
  restore->add_option("folder", *folder, "A folder that `penstock backup` made")->required();
  AddCommonOptions(*restore, common);
  restore->callback([&common, exit_code, folder] {
    Tell(common, exit_code, MakeRestore(common, *folder), "restored", "data");
  });
}

}  // namespace penstock::commands
