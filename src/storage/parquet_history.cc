// Start, the tail, and what changes the catalog: the manifest is replaced last of all, so what a
// crash leaves half done counts for nothing (parquet_history_flush.cc).
#include "storage/parquet_history.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/disk.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

Metric& RowsRepeated() {
  static Metric& metric = Counter("penstock_history_rows_repeated_total",
                                  "Rows appended again and left out (replay of the log).");
  return metric;
}

}  // namespace

ParquetHistory::ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only)
    : HistoryReader(std::move(folder), options, read_only) {}

ParquetHistory::~ParquetHistory() {
  flusher_.request_stop();
  if (flusher_.joinable()) flusher_.join();
  merger_.request_stop();
  if (merger_.joinable()) merger_.join();
  if (duck_ == nullptr || read_only_ || (!new_points_ && flushes_since_points_ == 0)) return;
  if (const Status saved = SavePoints(catalog()->sequence_end); !saved)
    LogWarn("points of the history: {}", saved.error().ToString());
}

Status ParquetHistory::Start() {
  Duck::Options duck{.memory_limit_mb = options_.memory_limit_mb, .threads = options_.threads};
  if (!read_only_) {
    TRY(MakeFolders(folder_));
    ASSIGN_OR_RETURN(lock_, FolderLock::Take(folder_, "history"));
    duck.temporary_folder = folder_ + "/tmp";
    std::error_code ignored;
    fs::remove_all(duck.temporary_folder, ignored);
  }
  ASSIGN_OR_RETURN(duck_, Duck::Open(duck));
  TRY(LoadCatalog());
  if (read_only_) return {};
  TRY(ForgetMissing());
  next_sequence_ = catalog_->sequence_end;
  if (options_.merge_in_background)
    merger_ = std::jthread([this](const std::stop_token& stop) { MergeLoop(stop); });
  return {};
}

Status ParquetHistory::LoadCatalog() {
  const std::string path = folder_ + "/manifest";
  const auto text = ReadFile(path);
  if (!text && text.error().code != Code::kNotFound) return std::unexpected(text.error());
  if (!text) return read_only_ ? Status() : RebuildCatalog();
  auto parsed = ParseManifest(*text, folder_);
  if (!parsed) {
    parsed.error().Where(path);
    if (read_only_) return std::unexpected(parsed.error());
    LogError("{}; put aside as manifest.damaged, rebuilding from the files",
             parsed.error().ToString());
    if (rename(path.c_str(), (path + ".damaged").c_str()) != 0)
      return FileError(errno, "cannot put the damaged manifest aside", path);
    return RebuildCatalog();
  }
  {
    const std::lock_guard lock(mutex_);
    catalog_ = std::make_shared<const Catalog>(std::move(*parsed));
  }
  return LoadPoints(false);
}

void ParquetHistory::NamePoint(PointId id, const std::string& path, const std::string& product) {
  const std::lock_guard lock(mutex_);
  points_.Bind(id, points_.Add(path, product.empty() ? kUnnamedProduct : product));
}

void ParquetHistory::NameText(PointId id) {
  const std::lock_guard lock(mutex_);
  const uint32_t entry = points_.EntryOf(id);
  if (entry != HistoryPoints::kNone) points_[entry].text = true;
}

void ParquetHistory::SetTexts(TextOf text_of) {
  const std::lock_guard lock(mutex_);
  text_of_ = std::move(text_of);
}

Status ParquetHistory::Append(const HistoryColumns& columns) {
  bool due = false;
  {
    const std::lock_guard lock(mutex_);
    const size_t waiting = tail_->rows() + (flushing_ ? flushing_->rows : 0);
    if (waiting > 2 * options_.tail_rows_max) {
      auto error =
          ResourceExhausted("history: {} rows wait because files cannot be written", waiting);
      error.error().Where(folder_).Fix("free space on this file system");
      return error;
    }
    const uint64_t behind = next_sequence_ - std::min(next_sequence_, columns.first_sequence);
    const size_t skip = std::min<uint64_t>(behind, columns.point.size());
    if (skip > 0) RowsRepeated().Add(skip);
    tail_->Append(columns, skip);
    next_sequence_ = std::max(next_sequence_, columns.first_sequence + columns.point.size());
    // A caller that flushes by itself every flush_every is not forestalled:
    // that would double the files.
    const auto age = std::chrono::steady_clock::now() - last_flush_;
    const bool long_tail = tail_->rows() > options_.tail_rows_max + options_.tail_rows_max / 2;
    due = age >= 2 * options_.flush_every ||
          (long_tail && (!flushing_ || age > std::chrono::seconds(1)));
  }
  if (!due || (may_flush_ && !may_flush_())) return {};
  if (const Status flushed = Flush(); !flushed)
    LogSometimes(LogLevel::kError, "history flush",
                 "history not flushed: " + flushed.error().ToString());
  return {};
}

// Under a name of its own, which tells how far it goes; the older one is
// removed.
Status ParquetHistory::SavePoints(uint64_t sequence_end) {
  const std::string name = fmt::format("points-{:012}.parquet", sequence_end);
  const std::string path = folder_ + "/" + name;
  std::vector<HistoryPoints::Stored> stored;
  {
    const std::lock_guard lock(mutex_);
    stored = points_.AllStored();
  }
  TRY(HistoryPoints::Save(stored, path + ".tmp"));
  if (rename((path + ".tmp").c_str(), path.c_str()) != 0)
    return FileError(errno, "cannot rename to", path);
  TRY(SyncFolder(folder_));
  if (!points_file_.empty() && points_file_ != name) unlink((folder_ + "/" + points_file_).c_str());
  points_file_ = name;
  new_points_ = false;
  flushes_since_points_ = 0;
  return {};
}

// Makes `changed` the catalog, on disk first. The caller holds publish_mutex_
// or is alone.
Status ParquetHistory::Publish(Catalog changed, bool tail_is_in_files) {
  TRY(WriteFileAtomically(folder_ + "/manifest", FormatManifest(changed)));
  const std::lock_guard lock(mutex_);
  catalog_ = std::make_shared<const Catalog>(std::move(changed));
  if (tail_is_in_files) flushing_.reset();
  return {};
}

std::shared_ptr<const Catalog> HistoryReader::catalog() const {
  const std::lock_guard lock(mutex_);
  return catalog_;
}

uint64_t HistoryReader::flushed_sequence_end() const { return catalog()->sequence_end; }

History::Size HistoryReader::size() const {
  const std::lock_guard lock(mutex_);
  Size size{.tail_rows = tail_->rows() + (flushing_ ? flushing_->rows : 0),
            .files = catalog_->files.size()};
  for (const StoredFilePointer& file : catalog_->files) {
    size.file_rows += file->info.rows;
    size.file_bytes += file->info.bytes + file->info.rollup_bytes;
    size.archived_files += file->info.archived ? 1 : 0;
    size.archived_bytes += file->info.archived ? file->info.bytes : 0;
  }
  for (const StoredRollupPointer& rollup : catalog_->rollups) size.file_bytes += rollup->info.bytes;
  return size;
}

Result<std::unique_ptr<History>> History::Open(const std::string& folder,
                                               const HistoryOptions& options) {
  auto history = std::make_unique<ParquetHistory>(folder, options, false);
  TRY(history->Start());
  return history;
}

Result<std::unique_ptr<History>> History::OpenReadOnly(const std::string& folder) {
  auto history = std::make_unique<ParquetHistory>(folder, HistoryOptions{}, true);
  TRY(history->Start());
  return history;
}

}  // namespace penstock::storage
