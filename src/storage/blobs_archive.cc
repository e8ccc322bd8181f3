// The manifest makes the archive whole or not: files first, then the manifest that names them,
// then the removal of what nobody needs. Files never change under their name, so what is there is
// not sent again. A file that left the manifest stays for one more push, because somebody may be
// restoring from the manifest before.
//
// The history goes on while it is pushed: a file that was merged away meanwhile is gone when its
// turn comes. Then the push begins again with the history's new manifest; what was sent is there.
#include "storage/blobs_archive.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/blobs_digest.h"
#include "storage/blobs_file.h"
#include "storage/history_catalog.h"
#include "storage/whole_number.h"

namespace penstock::storage {
namespace {

constexpr std::string_view kArchiveFirstLine = "penstock-archive 1";
constexpr const char* kManifestKey = "manifest";
constexpr int kPushTries = 10;
constexpr const char* kFetched = "/fetched";
constexpr auto kAwayFor =
    std::chrono::seconds(10);  // Between two attempts at a store that is away.

std::string KeyOf(const std::string& path) { return "history/" + path; }

Metric& BytesPushed() {
  static Metric& metric =
      Counter("penstock_archive_bytes_pushed_total", "Bytes of history copied to the archive.");
  return metric;
}
Metric& FilesFetched() {
  static Metric& metric =
      Counter("penstock_archive_files_fetched_total", "History files brought back for a query.");
  return metric;
}

bool Exists(const std::string& path, uint64_t bytes) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0 && static_cast<uint64_t>(about.st_size) == bytes;
}

// The next line without its end; false when there is none.
bool TakeLine(std::string_view& rest, std::string_view* line) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return false;
  *line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
}

// "file PATH BYTES SHA256"
Status ParseFileLine(std::string_view line, ArchiveManifest& manifest) {
  const size_t digest_at = line.rfind(' ');
  const size_t bytes_at = digest_at == 0 ? digest_at : line.rfind(' ', digest_at - 1);
  if (bytes_at == std::string_view::npos || bytes_at <= 5) return DataLoss("no file line");
  ArchivedFile file;
  file.sha256 = line.substr(digest_at + 1);
  const auto digest = FromHex(file.sha256);
  const std::string path(line.substr(5, bytes_at - 5));
  if (!TakeNumber(line.substr(bytes_at + 1, digest_at - bytes_at - 1), file.bytes) || !digest ||
      digest->size() != sizeof(Sha256))
    return DataLoss("no bytes or digest");
  // These become paths on disk: nothing but what the history itself would write.
  if (!FileOfPath(path) || !CheckBlobKey(path)) return DataLoss("no path of a history file");
  manifest.files[path] = std::move(file);
  return {};
}

}  // namespace

std::string FormatArchiveManifest(const ArchiveManifest& manifest) {
  std::string text = fmt::format("{}\nowner {}\npushed {}\n", kArchiveFirstLine,
                                 EscapeName(manifest.owner, true), FormatTime(manifest.pushed));
  for (const auto& [path, file] : manifest.files)
    text += fmt::format("file {} {} {}\n", path, file.bytes, file.sha256);
  text += fmt::format("history {}\n{}", manifest.history.size(), manifest.history);
  return text + fmt::format("crc {:08x}\n", Crc32c(AsBytes(text)));
}

Result<ArchiveManifest> ParseArchiveManifest(std::string_view text) {
  const size_t last_line = text.rfind("crc ");
  if (last_line == std::string_view::npos || !text.starts_with(kArchiveFirstLine))
    return DataLoss("not an archive's manifest, or cut short");
  const std::string_view body = text.substr(0, last_line);
  if (text.substr(last_line) != fmt::format("crc {:08x}\n", Crc32c(AsBytes(body))))
    return DataLoss("archive's manifest damaged: checksum differs");
  ArchiveManifest manifest;
  std::string_view rest = body, line;
  for (int number = 1; TakeLine(rest, &line); ++number) {
    const auto bad = [&](std::string_view why) {
      return DataLoss("archive's manifest, line {}: {}", number, why);
    };
    if (number == 1 && line == kArchiveFirstLine) continue;
    if (line.starts_with("owner ")) {
      ASSIGN_OR_RETURN(manifest.owner, UnescapeName(line.substr(6)));
    } else if (line.starts_with("pushed ")) {
      ASSIGN_OR_RETURN(manifest.pushed, ParseTime(line.substr(7)));
    } else if (line.starts_with("file ")) {
      if (const auto file = ParseFileLine(line, manifest); !file) return bad(file.error().message);
    } else if (line.starts_with("history ")) {
      uint64_t bytes = 0;
      if (!TakeNumber(line.substr(8), bytes) || bytes != rest.size()) return bad("wrong length");
      manifest.history = rest;
      return manifest;
    } else {
      return bad("neither owner, pushed, file nor history");
    }
  }
  return DataLoss("archive's manifest: the history's is not in it");
}

BlobArchive::BlobArchive(Blobs& blobs, std::string history_folder, std::string owner,
                         const Clock& clock, uint64_t cache_bytes)
    : blobs_(blobs),
      folder_(std::move(history_folder)),
      owner_(std::move(owner)),
      clock_(clock),
      cache_bytes_(cache_bytes) {}

Status BlobArchive::Load() {
  const auto info = blobs_.Head(kManifestKey);
  if (!info && info.error().code == Code::kNotFound) return {};
  if (!info) return std::unexpected(info.error());
  ASSIGN_OR_RETURN(const Bytes text, blobs_.Get(kManifestKey, 0, kBlobInMemoryMax));
  ASSIGN_OR_RETURN(ArchiveManifest manifest, ParseArchiveManifest(AsText(text)));
  const std::lock_guard lock(mutex_);
  manifest_ = std::move(manifest);
  return {};
}

Result<BlobArchive::Report> BlobArchive::Push(Take take, const Progress& progress) {
  if (const auto there = manifest(); !there.owner.empty() && there.owner != owner_) {
    auto error =
        FailedPrecondition("the archive belongs to site {}, this is {}", there.owner, owner_);
    error.error().Fix("give each site its own prefix: s3://BUCKET/PREFIX@HOST");
    return error;
  }
  Report report;
  for (int i = 0; i < kPushTries; ++i) {
    ASSIGN_OR_RETURN(const bool done, PushOnce(take, progress, &report));
    if (done) return report;
  }
  return Aborted("the history changed faster than it could be pushed, {} times", kPushTries);
}

// False when a file was merged away before its turn.
Result<bool> BlobArchive::PushOnce(Take take, const Progress& progress, Report* report) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(folder_ + "/manifest", kBlobInMemoryMax));
  ASSIGN_OR_RETURN(Catalog catalog, ParseManifest(text, folder_));
  if (take == Take::kClosedDays) {
    const std::string today = DayOf(clock_.Now());
    std::erase_if(catalog.files, [&](const auto& file) { return file->info.day >= today; });
  }
  const ArchiveManifest before = manifest();
  // Who restores from the archive has all of them.
  for (StoredFilePointer& file : catalog.files) {
    if (!file->info.archived) continue;
    if (!before.files.contains(file->info.RelativePath()))
      return DataLoss("{} is not here, and the archive does not name it any more", file->path);
    HistoryFile whole = file->info;
    whole.archived = false;
    file = std::make_shared<const StoredFile>(folder_, std::move(whole));
  }
  ArchiveManifest now{
      .owner = owner_, .history = FormatManifest(catalog), .files = {}, .pushed = clock_.Now()};
  report->present = 0;
  uint64_t looked = 0;
  for (const StoredFilePointer& stored : catalog.files) {
    const std::string path = stored->info.RelativePath();
    if (progress) progress(looked++, catalog.files.size());
    if (const auto there = before.files.find(path); there != before.files.end()) {
      now.files.insert(*there);
      ++report->present;
      continue;
    }
    Sha256 digest{};
    const Status put = blobs_.PutFile(KeyOf(path), stored->path, &digest);
    if (!put && put.error().code == Code::kNotFound && access(stored->path.c_str(), F_OK) != 0)
      return false;
    if (!put) return std::unexpected(put.error());
    now.files[path] = {.bytes = stored->info.bytes, .sha256 = ToHex(digest)};
    ++report->files;
    report->bytes += stored->info.bytes;
    BytesPushed().Add(stored->info.bytes);
  }
  if (now.files.size() == before.files.size() && report->files == 0 &&
      now.history == before.history)
    return true;
  TRY(blobs_.Put(kManifestKey, AsBytes(FormatArchiveManifest(now))));
  {
    const std::lock_guard lock(mutex_);
    manifest_ = now;
  }
  TRY(RemoveUnused(before, now, report));
  return true;
}

Status BlobArchive::RemoveUnused(const ArchiveManifest& before, const ArchiveManifest& now,
                                 Report* report) {
  if (!swept_) {
    const std::string prefix = KeyOf("");
    for (std::string after;;) {
      ASSIGN_OR_RETURN(const BlobPage page, blobs_.List(prefix, after));
      for (const BlobInfo& item : page.items) {
        const std::string path = item.key.substr(prefix.size());
        if (!before.files.contains(path)) due_.push_back(path);
      }
      if (page.next.empty()) break;
      after = page.next;
    }
    swept_ = true;
  }
  for (const std::string& path : due_) {
    if (now.files.contains(path)) continue;
    TRY(blobs_.Delete(KeyOf(path)));
    ++report->removed;
  }
  due_.clear();
  for (const auto& [path, file] : before.files)
    if (!now.files.contains(path)) due_.push_back(path);
  return {};
}

Status BlobArchive::Bring(const std::string& path, const ArchivedFile& file,
                          const std::string& to) {
  TRY(blobs_.GetFile(KeyOf(path), to));
  uint64_t bytes = 0;
  ASSIGN_OR_RETURN(const Sha256 digest, Sha256OfFile(to, &bytes));
  if (ToHex(digest) == file.sha256) return {};
  (void)unlink(to.c_str());
  auto error =
      DataLoss("{} of the archive has {} bytes with another digest than was pushed", path, bytes);
  error.error().Fix("push it again from the node that has it");
  return error;
}

Result<BlobArchive::Report> BlobArchive::Pull(const Progress& progress) {
  if (access((folder_ + "/manifest").c_str(), F_OK) == 0) {
    auto error = FailedPrecondition("there is a history already");
    error.error().Where(folder_).Fix("pull into a new data folder");
    return error;
  }
  const ArchiveManifest wanted = manifest();
  if (wanted.history.empty()) return NotFound("the archive is empty");
  TRY(MakeFolders(folder_));
  Report report;
  uint64_t looked = 0;
  for (const auto& [path, file] : wanted.files) {
    if (progress) progress(looked++, wanted.files.size());
    if (Exists(folder_ + "/" + path, file.bytes)) {
      // Of a pull that was interrupted; only its content says whether it is whole.
      ASSIGN_OR_RETURN(const Sha256 digest, Sha256OfFile(folder_ + "/" + path, nullptr));
      if (ToHex(digest) == file.sha256) {
        ++report.present;
        continue;
      }
    }
    TRY(Bring(path, file, folder_ + "/" + path));
    ++report.files;
    report.bytes += file.bytes;
  }
  TRY(WriteFileAtomically(folder_ + "/manifest", wanted.history));
  return report;
}

bool BlobArchive::Uploaded(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return manifest_.files.contains(path);
}

struct BlobArchive::CachedCopy {
  CachedCopy(std::string at, uint64_t size) : path(std::move(at)), bytes(size) {}
  ~CachedCopy() { (void)unlink(path.c_str()); }
  CachedCopy(const CachedCopy&) = delete;
  CachedCopy& operator=(const CachedCopy&) = delete;
  const std::string path;
  const uint64_t bytes;
};

Result<ArchivedFile> BlobArchive::FindInArchive(const std::string& path) {
  for (const bool loaded : {false, true}) {
    if (loaded) TRY(Load());  // It may not have answered when the node began.
    const std::lock_guard lock(mutex_);
    const auto found = manifest_.files.find(path);
    if (found != manifest_.files.end()) return found->second;
    if (!manifest_.owner.empty()) break;
  }
  return NotFound("history file neither here nor in the archive: {}", path);
}

// What somebody reads stays; the others go, the least lately used first.
Status BlobArchive::MakeRoomFor(const std::string& path, uint64_t bytes) {
  while (cached_bytes_ + bytes > cache_bytes_) {
    auto oldest = cache_.end();
    for (auto it = cache_.begin(); it != cache_.end(); ++it)
      if (it->second.copy.use_count() == 1 &&
          (oldest == cache_.end() || it->second.used < oldest->second.used))
        oldest = it;
    if (oldest == cache_.end()) {
      auto error = ResourceExhausted(
          "{} ({} bytes) is in the archive alone, and the cache of {} bytes is full of what is "
          "being read",
          path, bytes, cache_bytes_);
      error.error().Fix("ask for fewer days, read the archive itself, or raise blobs: cache_mib");
      return error;
    }
    cached_bytes_ -= oldest->second.copy->bytes;
    cache_.erase(oldest);
  }
  return {};
}

Result<FetchedFile> BlobArchive::Fetch(const std::string& path) {
  const std::lock_guard lock(fetching_);
  const auto handed = [&](CacheEntry& entry) {
    entry.used = ++cache_uses_;
    return FetchedFile{entry.copy->path, entry.copy};
  };
  if (const auto known = cache_.find(path); known != cache_.end()) return handed(known->second);
  const auto now = std::chrono::steady_clock::now();
  if (away_ && now < away_until_) return std::unexpected(*away_);
  if (cache_uses_ == 0) {  // What an earlier life fetched.
    std::error_code ignored;
    std::filesystem::remove_all(folder_ + kFetched, ignored);
  }
  const std::string local = fmt::format("{}{}/{}.parquet", folder_, kFetched, ++cache_uses_);
  auto file = FindInArchive(path);
  Status brought = file ? MakeRoomFor(path, file->bytes) : std::unexpected(file.error());
  if (brought) brought = MakeFolders(folder_ + kFetched);
  if (brought) brought = Bring(path, *file, local);
  if (!brought) {
    Error error = brought.error();
    const bool answered = error.code == Code::kNotFound || error.code == Code::kDataLoss ||
                          error.code == Code::kResourceExhausted;
    if (!answered) {
      error.message =
          fmt::format("{} is in the archive alone, which does not answer: {}", path, error.message);
      if (error.fix.empty()) error.Fix("see that the blob store of site.yaml's blobs: is reached");
    }
    if (!answered && error.code != Code::kCancelled) {
      error.code = Code::kUnavailable;
      away_ = error;
      away_until_ = std::chrono::steady_clock::now() + kAwayFor;
    }
    return std::unexpected(std::move(error));
  }
  away_.reset();
  cached_bytes_ += file->bytes;
  FilesFetched().Add();
  CacheEntry& entry = cache_[path];
  entry.copy = std::make_shared<const CachedCopy>(local, file->bytes);
  return handed(entry);
}

ArchiveManifest BlobArchive::manifest() const {
  const std::lock_guard lock(mutex_);
  return manifest_;
}

}  // namespace penstock::storage
