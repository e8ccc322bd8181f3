// Which files make up the history. The manifest is the truth: one small file,
// replaced atomically after the data files are synced, so that a crash leaves
// either all files of a flush or none. Layout: docs/formats/history.md.
//
// Thread rule: a Catalog never changes once published.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::storage {

struct HistoryFile {
  std::string product,
      day;  // "pump", "2026-01-31": UTC day of the source times.
  uint64_t first_sequence = 0, last_sequence = 0;
  int level = 0;  // How often its rows were merged into a larger file.
  uint64_t rows = 0, bytes = 0;
  Time first_time, last_time;
  // Which rollups hold its rows: by seconds and by minutes (of the points that
  // have many rows in a step, in a file of their own under the same name), by
  // hours (all points, in a HistoryRollup).
  bool by_second = false, by_minute = false, by_hour = false;
  uint64_t rollup_bytes = 0;  // Of the files by seconds and minutes.
  bool archived = false;      // Not here: a copy is in the archive (storage/blobs_archive.h).

  std::string RelativePath() const;  // "pump/2026-01-31/000000000000-000000001799.parquet"
  std::string SecondsPath() const;   // "rollup-1s/pump/2026-01-31/..."
  std::string MinutesPath() const;   // "rollup-1m/pump/2026-01-31/..."
};

// A rollup that stands by itself: by hours the samples of a month; by minutes
// those of a day whose raw files are gone.
struct HistoryRollup {
  bool hours = true;
  std::string product, period;  // "2026-01" by hours, "2026-01-31" by minutes.
  uint64_t first_sequence = 0, last_sequence = 0;
  int level = 0;  // How often its rows were merged.
  uint64_t rows = 0, bytes = 0;
  Time first_time, last_time;  // Of its first step, of the last one's begin.

  std::string RelativePath() const;  // "rollup-1h/pump/2026-01/<first>-<last>-<level>.parquet"
};

// A file that queries may still read after it has left the catalog; it is
// unlinked when the last one is done.
class StoredFile {
 public:
  StoredFile(const std::string& folder, HistoryFile file)
      : info(std::move(file)), path(folder + "/" + info.RelativePath()), folder(folder) {}
  ~StoredFile();
  StoredFile(const StoredFile&) = delete;
  StoredFile& operator=(const StoredFile&) = delete;

  void UnlinkWhenUnused() const { obsolete_ = true; }
  void UnlinkRowsWhenUnused() const { moved_ = true; }  // The rollups of its rows stay.
  bool goes() const { return obsolete_ || moved_; }

  const HistoryFile info;
  const std::string path;  // Nothing is there when it is archived.
  const std::string folder;

 private:
  mutable std::atomic<bool> obsolete_{false}, moved_{false};
};
// Shared by the catalog and the queries that hold an older one.
using StoredFilePointer = std::shared_ptr<const StoredFile>;

class StoredRollup {
 public:
  StoredRollup(const std::string& folder, HistoryRollup rollup)
      : info(std::move(rollup)), path(folder + "/" + info.RelativePath()) {}
  ~StoredRollup();
  StoredRollup(const StoredRollup&) = delete;
  StoredRollup& operator=(const StoredRollup&) = delete;

  void UnlinkWhenUnused() const { obsolete_ = true; }
  bool goes() const { return obsolete_; }

  const HistoryRollup info;
  const std::string path;

 private:
  mutable std::atomic<bool> obsolete_{false};
};
using StoredRollupPointer = std::shared_ptr<const StoredRollup>;

struct Catalog {
  uint64_t sequence_end = 0;  // One past the highest sequence in a file.
  std::vector<StoredFilePointer> files;
  std::vector<StoredRollupPointer> rollups;
  // Of a manifest of version 1: product and path. Now they are in the file of
  // points.
  std::vector<std::pair<std::string, std::string>> old_points;

  // Files of these products that can hold rows in [from, to), by first time.
  std::vector<StoredFilePointer> FilesOf(std::span<const std::string> products, Time from,
                                         Time to) const;
};

std::string FormatManifest(const Catalog& catalog);
// kDataLoss with the line when it is damaged. `folder` is that of the history.
Result<Catalog> ParseManifest(std::string_view text, const std::string& folder);

// A product's name as a folder's: other bytes than letters, digits, "-", "_",
// "." and "@" as %XX.
std::string EscapeName(std::string_view name, bool keep_slashes = false);
Result<std::string> UnescapeName(std::string_view escaped);
std::string DayOf(Time time);  // Clamped to 1970 to 2261.
Result<Time> DayBegin(std::string_view day);
// From "pump/2026-01-31/000000000000-000000001799.parquet"; rows, bytes and
// times stay empty.
std::optional<HistoryFile> FileOfPath(std::string_view relative_path);

// Files of one product and day whose sequences overlap: copied in by hand, they
// may have rows twice. Nothing when there are none.
std::vector<StoredFilePointer> FindOverlap(const Catalog& catalog);

// The next group of rollups by hours of one product and month that should
// become one.
std::vector<StoredRollupPointer> FindRollupMerge(const Catalog& catalog);

// Files of one product and day that should become one: `small_files` of the
// same level, or few more than one of a day that is over. Nothing when there
// are none.
std::vector<StoredFilePointer> FindMerge(const Catalog& catalog, size_t small_files);

}  // namespace penstock::storage
