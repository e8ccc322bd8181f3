// Which files make up the history. The manifest is the truth: one small file, replaced atomically
// after the data files are synced, so that a crash leaves either all files of a flush or none.
// Layout: docs/formats/history.md.
//
// Thread rule: a Catalog never changes once published.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::storage {

struct HistoryFile {
  std::string product, day;  // "pump", "2026-01-31": UTC day of the source times.
  uint64_t first_sequence = 0, last_sequence = 0;
  int level = 0;  // How often its rows were merged into a larger file.
  uint64_t rows = 0, bytes = 0;
  Time first_time, last_time;

  std::string RelativePath() const;  // "pump/2026-01-31/000000000000-000000001799.parquet"
};

// A file that queries may still read after it has left the catalog; it is unlinked when the last
// one is done.
class StoredFile {
 public:
  StoredFile(const std::string& folder, HistoryFile file)
      : info(std::move(file)), path(folder + "/" + info.RelativePath()) {}
  ~StoredFile();
  StoredFile(const StoredFile&) = delete;
  StoredFile& operator=(const StoredFile&) = delete;

  void UnlinkWhenUnused() const { obsolete_ = true; }

  const HistoryFile info;
  const std::string path;

 private:
  mutable std::atomic<bool> obsolete_{false};
};
// Shared by the catalog and the queries that hold an older one.
using StoredFilePointer = std::shared_ptr<const StoredFile>;

struct Catalog {
  uint64_t sequence_end = 0;  // One past the highest sequence in a file.
  std::vector<StoredFilePointer> files;
  std::map<std::string, std::set<std::string>, std::less<>>
      points;  // Product -> the paths it ever had.

  // Files that can hold rows of `path` in [from, to), by first time.
  std::vector<StoredFilePointer> FilesOf(const std::string& path, Time from, Time to) const;
};

std::string FormatManifest(const Catalog& catalog);
// kDataLoss with the line when it is damaged. `folder` is that of the history.
Result<Catalog> ParseManifest(std::string_view text, const std::string& folder);

// A product's name as a folder's: other bytes than letters, digits, "-", "_", "." and "@" as %XX.
std::string EscapeName(std::string_view name, bool keep_slashes = false);
Result<std::string> UnescapeName(std::string_view escaped);
std::string DayOf(Time time);  // Clamped to 1970 to 2261.
Result<Time> DayBegin(std::string_view day);
// From "pump/2026-01-31/000000000000-000000001799.parquet"; rows, bytes and times stay empty.
std::optional<HistoryFile> FileOfPath(std::string_view relative_path);

// Files of one product and day that should become one: `small_files` of the same level, or few more
// than one of a day that is over. Nothing when there are none.
std::vector<StoredFilePointer> FindMerge(const Catalog& catalog, size_t small_files);

}  // namespace penstock::storage
