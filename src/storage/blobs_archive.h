// The history's files beyond this machine: closed days are copied to blobs, with a manifest that a
// new node can be restored from; a file that the history gave up (History::EvictArchived) is
// fetched into a bounded cache when a query needs it.
//
// Thread rule: Push and Pull from one thread at a time; everything else from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/blobs.h"

namespace penstock::storage {

// A copy of a file on this disk, which stays while `keep` lives.
struct FetchedFile {
  std::string path;
  std::shared_ptr<const void> keep;
};

// What the history asks of whoever keeps copies elsewhere. Paths are relative to the history's
// folder: "pump/2026-01-31/000000000000-000000001799.parquet".
class FileArchive {
 public:
  virtual ~FileArchive() = default;
  // A verified copy is in the archive, so the local one may go.
  virtual bool Uploaded(const std::string& path) const = 0;
  // A verified copy here, brought from the archive when it is not in the cache. kNotFound: the
  // archive does not have it. kUnavailable: it does not answer; asked again after some seconds.
  // kResourceExhausted: all that is held at once would be more than the cache may have.
  virtual Result<FetchedFile> Fetch(const std::string& path) = 0;
};

struct ArchivedFile {
  uint64_t bytes = 0;
  std::string sha256;  // Hex.
};

// What the archive holds: the blob "manifest", replaced after the files it names are stored.
// Format: docs/formats/archive.md.
struct ArchiveManifest {
  std::string owner;    // The site that pushes here; another one is refused.
  std::string history;  // The history's own manifest, as it was on disk.
  std::map<std::string, ArchivedFile> files;
  Time pushed;
};
std::string FormatArchiveManifest(const ArchiveManifest& manifest);
Result<ArchiveManifest> ParseArchiveManifest(std::string_view text);

class BlobArchive final : public FileArchive {
 public:
  struct Report {
    uint64_t files = 0, bytes = 0;  // Moved by this call.
    uint64_t present = 0;           // Were there already.
    uint64_t removed = 0;           // In the archive, of no use to it any more.
  };
  using Progress = std::function<void(uint64_t done, uint64_t total)>;  // Files.

  // Which of the history's files a push takes: all, or those of days that are over (UTC).
  enum class Take { kAll, kClosedDays };

  // `history_folder` holds the history's `manifest`. Blobs and clock outlive the archive.
  // Fetched files are kept in `history_folder`/fetched, the least lately used go first.
  BlobArchive(Blobs& blobs, std::string history_folder, std::string owner, const Clock& clock,
              uint64_t cache_bytes = 1ULL << 30);

  // Reads the archive's manifest; an empty archive is fine.
  Status Load();
  // Copies what the history's manifest names and the archive has not, then replaces the archive's
  // manifest, then removes files that neither the old nor the new manifest names. An interrupted
  // push leaves the old archive whole. kFailedPrecondition when another site owns the archive.
  Result<Report> Push(Take take, const Progress& progress = nullptr);
  // Brings every file that is not here, verified, and last of all the history's manifest. Before
  // the history is opened; kFailedPrecondition when the folder has a manifest already.
  Result<Report> Pull(const Progress& progress = nullptr);
  bool Uploaded(const std::string& path) const override;
  Result<FetchedFile> Fetch(const std::string& path) override;
  ArchiveManifest manifest() const;

 private:
  Result<bool> PushOnce(Take take, const Progress& progress, Report* report);
  Status Bring(const std::string& path, const ArchivedFile& file, const std::string& to);
  Result<ArchivedFile> FindInArchive(const std::string& path);
  Status MakeRoomFor(const std::string& path, uint64_t bytes);
  Status RemoveUnused(const ArchiveManifest& before, const ArchiveManifest& now, Report* report);

  Blobs& blobs_;
  const std::string folder_, owner_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // Guards manifest_.
  ArchiveManifest manifest_;
  bool swept_ = false;            // The archive was searched for leftovers of earlier pushes.
  std::vector<std::string> due_;  // Left the manifest at the last push; removed at the next.

  // One Fetch at a time, so that a file is brought once; guards what follows.
  std::mutex fetching_;
  struct CachedCopy;
  struct CacheEntry {
    std::shared_ptr<const CachedCopy> copy;  // Shared with who reads it.
    uint64_t used = 0;                       // Larger: later.
  };
  const uint64_t cache_bytes_;
  std::map<std::string, CacheEntry> cache_;  // By path.
  uint64_t cached_bytes_ = 0, cache_uses_ = 0;
  std::chrono::steady_clock::time_point away_until_{};
  std::optional<Error> away_;  // Why, until then.
};

}  // namespace penstock::storage
