// Files that went to the archive: the catalog names them on, with a mark, and what reads one brings
// it into the archive's bounded cache for as long as it reads. Rollups by seconds, minutes and
// hours stay here, so most trends of old times ask the archive for nothing.
//
// A file leaves this disk when the catalog with the mark is on disk and the last query that had the
// old catalog is done.
#include <algorithm>

#include "storage/blobs_archive.h"
#include "storage/parquet_history.h"

namespace penstock::storage {

HistoryFileView ViewOf(const StoredFile& file) {
  const HistoryFile& info = file.info;
  return {.path = file.path,
          .product = info.product,
          .day = info.day,
          .level = "raw",
          .rows = info.rows,
          .bytes = info.bytes,
          .first = info.first_time,
          .last = info.last_time,
          .keep = nullptr,
          .archived = info.archived};
}

Result<HistoryFileView> HistoryReader::Local(const HistoryFileView& file) {
  if (!file.archived) return file;
  const std::string path =
      file.path.starts_with(folder_ + "/") ? file.path.substr(folder_.size() + 1) : file.path;
  if (options_.archive == nullptr) {
    auto error = FailedPrecondition("{} is in the archive alone, and this process has none", path);
    error.error().Fix("blobs: in site.yaml, or `penstock archive pull` into a new data folder");
    return error;
  }
  ASSIGN_OR_RETURN(FetchedFile fetched, options_.archive->Fetch(path));
  HistoryFileView local = file;
  local.path = std::move(fetched.path);
  local.keep = std::move(fetched.keep);
  local.archived = false;
  return local;
}

// The cached copy stays while somebody has the opened file.
Result<ParquetFilePointer> HistoryReader::OpenArchived(const StoredFile& file) {
  struct Held {
    ParquetFilePointer file;
    std::shared_ptr<const void> keep;
  };
  ASSIGN_OR_RETURN(const HistoryFileView local, Local(ViewOf(file)));
  ASSIGN_OR_RETURN(ParquetFilePointer opened, ParquetFile::Open(local.path, RowColumns()));
  const ParquetFile* const raw = opened.get();
  const auto held = std::make_shared<const Held>(Held{std::move(opened), local.keep});
  return ParquetFilePointer(held, raw);
}

Result<ParquetFilePointer> HistoryReader::OpenRows(const StoredFile& file) {
  return file.info.archived ? OpenArchived(file)
                            : OpenFile(file.path, RowColumns(), [&] { return file.goes(); });
}

Result<History::Evicted> ParquetHistory::EvictArchived(Time before, uint64_t max_bytes) {
  Evicted evicted;
  if (options_.archive == nullptr) return evicted;
  const std::string day = DayOf(before);
  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  uint64_t here = 0;
  std::string newest;
  std::vector<StoredFilePointer*> oldest_first;
  for (StoredFilePointer& file : changed.files) {
    newest = std::max(newest, file->info.day);
    here += file->info.rollup_bytes + (file->info.archived ? 0 : file->info.bytes);
    // One that is still to be rolled up by hours is read once more.
    const bool settled = file->info.by_hour || file->info.level == 0;
    if (settled && !file->info.archived) oldest_first.push_back(&file);
  }
  std::ranges::stable_sort(oldest_first, {}, [](const auto* file) { return (*file)->info.day; });
  std::vector<StoredFilePointer> gone;
  for (StoredFilePointer* file : oldest_first) {
    const HistoryFile& info = (*file)->info;
    if (info.day >= newest || (info.day >= day && here <= max_bytes)) break;
    if (!options_.archive->Uploaded(info.RelativePath())) continue;
    here -= std::min(here, info.bytes);
    ++evicted.files;
    evicted.bytes += info.bytes;
    HistoryFile marked = info;
    marked.archived = true;
    gone.push_back(std::exchange(*file, std::make_shared<const StoredFile>(folder_, marked)));
  }
  if (gone.empty()) return evicted;
  TRY(Publish(std::move(changed), false));
  for (const StoredFilePointer& file : gone) {
    file->UnlinkRowsWhenUnused();
    ForgetOpened(*file);
  }
  return evicted;
}

}  // namespace penstock::storage
