// The history's files beyond this machine: closed days are copied to blobs, with a manifest that a
// new node can be restored from; a local copy that was evicted is fetched when a query needs it.
//
// Thread rule: Push, Pull and Evict from one thread at a time; everything else from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/blobs.h"

namespace penstock::storage {

// What the history asks of whoever keeps copies elsewhere. Paths are relative to the history's
// folder: "pump/2026-01-31/000000000000-000000001799.parquet".
class FileArchive {
 public:
  virtual ~FileArchive() = default;
  // A verified copy is in the archive, so the local one may go.
  virtual bool Uploaded(const std::string& path) const = 0;
  // The local file's path; brought here first when it is not. kNotFound when nobody has it.
  virtual Result<std::string> Fetch(const std::string& path) = 0;
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
  BlobArchive(Blobs& blobs, std::string history_folder, std::string owner, const Clock& clock);

  // Reads the archive's manifest; an empty archive is fine.
  Status Load();
  // Copies what the history's manifest names and the archive has not, then replaces the archive's
  // manifest, then removes files that neither the old nor the new manifest names. An interrupted
  // push leaves the old archive whole. kFailedPrecondition when another site owns the archive.
  Result<Report> Push(Take take, const Progress& progress = nullptr);
  // Brings every file that is not here, verified, and last of all the history's manifest. Before
  // the history is opened; kFailedPrecondition when the folder has a manifest already.
  Result<Report> Pull(const Progress& progress = nullptr);
  // Removes local copies of uploaded files of days before `cutoff`. Only with a history that
  // fetches.
  Result<Report> Evict(Time cutoff);

  bool Uploaded(const std::string& path) const override;
  Result<std::string> Fetch(const std::string& path) override;
  ArchiveManifest manifest() const;

 private:
  Result<bool> PushOnce(Take take, const Progress& progress, Report* report);
  Status Bring(const std::string& path, const ArchivedFile& file);
  Status RemoveUnused(const ArchiveManifest& before, const ArchiveManifest& now, Report* report);

  Blobs& blobs_;
  const std::string folder_, owner_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // Guards manifest_.
  ArchiveManifest manifest_;
  bool swept_ = false;            // The archive was searched for leftovers of earlier pushes.
  std::vector<std::string> due_;  // Left the manifest at the last push; removed at the next.
  std::mutex fetching_;           // One Fetch at a time, so that a file is brought once.
};

}  // namespace penstock::storage
