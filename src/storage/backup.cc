// The order makes the copy whole. First the log: what it has at that moment is
// what was acknowledged, and what it trims meanwhile is in the history, which
// is copied after it. Rows that are in both are known by their sequences and
// taken once. The records come last: they know every point and every alarm that
// the samples before them speak of, and how much of the quarantine's spool, which
// is copied before them, they have.
//
// Files of the history never change, so a backup on the same file system is
// hard links.
#include "storage/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "base/bytes.h"
#include "base/descriptor.h"
#include "base/file.h"
#include "base/version.h"
#include "storage/disk.h"
#include "storage/folder_lock.h"
#include "storage/history.h"
#include "storage/records.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "backup.json";
constexpr size_t kIndexBytesMax = 512 << 20;
constexpr size_t kPiece = 1 << 20;
// Of this life of the node, or derived, or a backup itself.
const std::set<std::string, std::less<>> kLeftOut = {
    "history", "log", "quarantine", "lock", "epoch", "records.db", "backups", "node.json", "tmp"};

// Bytes and CRC-32C of what was copied. kNotFound when the source is gone.
struct Copied {
  uint64_t bytes = 0;
  uint32_t crc = 0;
};

Result<Copied> CopyBytes(const std::string& from, const std::string& to) {
  const Descriptor in(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return FileError(errno, "cannot read", from);
  TRY(MakeFolders(fs::path(to).parent_path().string()));
  const Descriptor out(open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (out.get() < 0) return FileError(errno, "cannot create", to);
  Copied copied;
  Bytes piece(kPiece);
  while (true) {
    const ssize_t got = read(in.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "cannot read", from);
    if (got == 0) break;
    ByteView rest = ByteView(piece).first(static_cast<size_t>(got));
    copied.crc = Crc32c(rest, copied.crc);
    copied.bytes += rest.size();
    while (!rest.empty()) {
      const ssize_t put = write(out.get(), rest.data(), rest.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return FileError(put == 0 ? EIO : errno, "cannot write", to);
      rest = rest.subspan(static_cast<size_t>(put));
    }
  }
  if (fsync(out.get()) != 0) return FileError(errno, "cannot sync", to);
  return copied;
}

Result<Copied> Summed(const std::string& path) {
  const Descriptor in(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return FileError(errno, "cannot read", path);
  Copied sum;
  Bytes piece(kPiece);
  while (true) {
    const ssize_t got = read(in.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "cannot read", path);
    if (got == 0) return sum;
    const ByteView part = ByteView(piece).first(static_cast<size_t>(got));
    sum.crc = Crc32c(part, sum.crc);
    sum.bytes += part.size();
  }
}

Status CheckEmpty(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error) || fs::is_empty(folder, error)) return MakeFolders(folder);
  auto failed = AlreadyExists("not an empty folder: {}", folder);
  failed.error().Fix("name a new one");
  return failed;
}

// Files below `folder`, relative to it, sorted; those for which `skip(name)`
// holds left out.
Result<std::vector<std::string>> FilesBelow(const std::string& folder,
                                            const std::function<bool(const fs::path&)>& skip) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (skip(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (it->is_regular_file(ignored))
      files.push_back(it->path().lexically_relative(folder).string());
  }
  if (error && error.value() != ENOENT) return FileError(error.value(), "cannot list", folder);
  std::sort(files.begin(), files.end());
  return files;
}

// Oldest segment first. One that was trimmed meanwhile is in the history (the
// records), and so are those before it: they go too, so that the copy has no hole.
Status CopyLog(const std::string& from, const std::string& to) {
  TRY(MakeFolders(to));
  const auto names = ListFiles(from, ".log");
  if (!names && names.error().code != Code::kNotFound) return std::unexpected(names.error());
  std::vector<std::string> copied;
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    const auto one = CopyBytes(from + "/" + name, to + "/" + name);
    if (one) {
      copied.push_back(name);
      continue;
    }
    if (one.error().code != Code::kNotFound) return std::unexpected(one.error());
    for (const std::string& before : copied) unlink((to + "/" + before).c_str());
    copied.clear();
  }
  for (const std::string_view rest : {"/cursors", "/name"}) {
    const auto one = CopyBytes(fmt::format("{}{}", from, rest), fmt::format("{}{}", to, rest));
    if (!one && one.error().code != Code::kNotFound) return std::unexpected(one.error());
  }
  return {};
}

// Everything else of the data folder, and the site's files under site/.
Status CopyRest(const BackupSource& source, const std::string& folder) {
  ASSIGN_OR_RETURN(const auto files, FilesBelow(source.data, [&](const fs::path& path) {
                     const std::string top = path.lexically_relative(source.data).begin()->string();
                     return kLeftOut.contains(top) || top.starts_with("records.db");
                   }));
  for (const std::string& file : files) {
    const auto copied = CopyBytes(source.data + "/" + file, folder + "/rest/" + file);
    if (!copied && copied.error().code != Code::kNotFound) return std::unexpected(copied.error());
  }
  if (source.site.empty()) return {};
  const fs::path data = fs::weakly_canonical(source.data);
  ASSIGN_OR_RETURN(const auto site, FilesBelow(source.site, [&](const fs::path& path) {
                     return fs::weakly_canonical(path) == data ||
                            path.filename().string().starts_with('.');
                   }));
  for (const std::string& file : site) {
    const auto copied = CopyBytes(source.site + "/" + file, folder + "/site/" + file);
    if (!copied && copied.error().code != Code::kNotFound) return std::unexpected(copied.error());
  }
  return {};
}

Json Index(const std::vector<std::pair<std::string, Copied>>& files) {
  Json list = Json::array();
  for (const auto& [path, sum] : files)
    list.push_back(
        {{"path", path}, {"bytes", sum.bytes}, {"crc32c", fmt::format("{:08x}", sum.crc)}});
  return list;
}

Status SyncFolders(const std::string& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (it->is_directory()) TRY(SyncFolder(it->path().string()));
  return SyncFolder(folder);
}

// A path of a backup's list that stays inside the folder.
bool IsInside(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  for (const auto& part : fs::path(path))
    if (part == ".." || part == ".") return false;
  return true;
}

}  // namespace

Result<Json> BackUp(const BackupSource& source, const std::string& folder, Time now) {
  TRY(CheckEmpty(folder));
  TRY(CopyLog(source.data + "/log", folder + "/log"));
  TRY(CopyLog(source.data + "/quarantine", folder + "/quarantine"));
  TRY(MakeFolders(folder + "/history"));
  if (source.history != nullptr) TRY(source.history->CopyTo(folder + "/history"));
  if (source.records != nullptr) {
    std::string quoted;
    for (const char c : folder + "/records.db") {
      quoted += c;
      if (c == '\'') quoted += c;
    }
    // One transaction's view, written as a new file.
    TRY(source.records->Run("VACUUM INTO '" + quoted + "'"));
    const Descriptor file(open((folder + "/records.db").c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 || fsync(file.get()) != 0)
      return FileError(errno, "cannot sync", folder + "/records.db");
  }
  TRY(CopyRest(source, folder));
  ASSIGN_OR_RETURN(const auto paths, FilesBelow(folder, [](const fs::path&) { return false; }));
  std::vector<std::pair<std::string, Copied>> files;
  uint64_t bytes = 0;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const Copied sum, Summed(folder + "/" + path));
    bytes += sum.bytes;
    files.emplace_back(path, sum);
  }
  TRY(SyncFolders(folder));
  Json index = {{"format", 1},
                {"made", FormatTime(now)},
                {"version", kVersion},
                {"data", source.data},
                {"records", source.records != nullptr},
                {"bytes", bytes},
                {"files", Index(files)}};
  TRY(WriteFileAtomically(folder + "/" + kIndex, index.dump(1)));
  index["files"] = files.size();
  index["folder"] = folder;
  return index;
}

Result<Json> Restore(const std::string& folder, const std::string& data) {
  const auto text = ReadFile(folder + "/" + kIndex, kIndexBytesMax);
  if (!text) {
    auto error = FailedPrecondition("not a whole backup: {}", text.error().message);
    error.error().Where(folder).Fix("choose a folder with a backup.json");
    return error;
  }
  const Json index = Json::parse(*text, nullptr, false);
  if (!index.is_object() || index.value("format", 0) != 1 || !index.contains("files") ||
      !index["files"].is_array())
    return DataLoss("{}/{}: not the list of a backup", folder, kIndex);
  TRY(CheckEmpty(data));
  uint64_t bytes = 0;
  for (const Json& file : index["files"]) {
    const std::string path = file.is_object() ? file.value("path", "") : "";
    if (!IsInside(path)) return DataLoss("{}/{}: a path outside: {}", folder, kIndex, path);
    const std::string from = folder + "/" + path;
    // The site's files belong elsewhere; they are there to be looked at.
    if (path.starts_with("site/")) continue;
    const std::string to = data + "/" + (path.starts_with("rest/") ? path.substr(5) : path);
    const auto copied = CopyBytes(from, to);
    if (!copied) return DataLoss("{}: {}", path, copied.error().message);
    if (copied->bytes != file.value("bytes", uint64_t{0}) ||
        fmt::format("{:08x}", copied->crc) != file.value("crc32c", ""))
      return DataLoss("{} differs from what was backed up: {} bytes, {:08x}", from, copied->bytes,
                      copied->crc);
    bytes += copied->bytes;
  }
  TRY(SyncFolders(data));
  return Json{{"made", index.value("made", "")},
              {"files", index["files"].size()},
              {"bytes", bytes},
              {"data", data}};
}

}  // namespace penstock::storage
