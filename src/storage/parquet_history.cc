// Writing. A flush freezes the tail, writes one file per product and day, syncs them, and only then
// replaces the manifest, which names the files and the end of the sequences in them. A crash before
// that leaves files that no manifest knows; they are removed at the next start and the log is
// replayed from the manifest's end. A crash after it leaves nothing undone. So no row is lost and
// none is there twice, whatever was going on.
//
// The columns are sorted here, per point: samples of a point arrive almost always in order, so
// there is seldom anything to do, and DuckDB need not sort, which would cost it memory.
#include "storage/parquet_history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kUnnamedProduct = "unnamed";

std::unexpected<Error> Failed(int error_number, std::string_view what, const std::string& path) {
  auto error = FromErrno(error_number, what);
  error.error().Where(path);
  return error;
}

// Paths of all Parquet files and temporary ones, relative to `folder`.
Result<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".parquet") || name.ends_with(".parquet.tmp"))
      found.push_back(it->path().lexically_relative(folder).string());
  }
  if (error) return Failed(error.value(), "cannot list history", folder);
  std::sort(found.begin(), found.end());
  return found;
}

Metric& RowsWritten() {
  static Metric& metric =
      Counter("penstock_history_rows_written_total", "Rows written to Parquet by flushes.");
  return metric;
}
Metric& RowsRepeated() {
  static Metric& metric = Counter("penstock_history_rows_repeated_total",
                                  "Rows appended again and left out (replay of the log).");
  return metric;
}
Metric& FlushFailures() {
  static Metric& metric =
      Counter("penstock_history_flush_failures_total", "Flushes of the history that failed.");
  return metric;
}

}  // namespace

// The rows of one file out of a sorted tail.
class ParquetHistory::TailRows final : public RowSource {
 public:
  struct Slice {
    std::string path;
    const TailPoint* point;
    size_t from, to;
  };
  std::vector<Slice> slices;

  Result<std::optional<RowRun>> Next() override {
    if (next_ == slices.size()) return std::nullopt;
    const Slice& slice = slices[next_++];
    return slice.point->Run(slice.path, slice.from, slice.to);
  }
  void Describe(HistoryFile& file) const {
    for (const Slice& slice : slices) {
      const TailPoint& point = *slice.point;
      const auto [low, high] =
          std::minmax_element(point.sequence.begin() + static_cast<ptrdiff_t>(slice.from),
                              point.sequence.begin() + static_cast<ptrdiff_t>(slice.to));
      const Time first = point.time[slice.from], last = point.time[slice.to - 1];
      if (file.rows == 0) {
        file.first_sequence = *low, file.last_sequence = *high;
        file.first_time = first, file.last_time = last;
      }
      file.first_sequence = std::min(file.first_sequence, *low);
      file.last_sequence = std::max(file.last_sequence, *high);
      file.first_time = std::min(file.first_time, first);
      file.last_time = std::max(file.last_time, last);
      file.rows += slice.to - slice.from;
    }
  }

 private:
  size_t next_ = 0;
};

ParquetHistory::ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only)
    : folder_(std::move(folder)), options_(options), read_only_(read_only) {}

ParquetHistory::~ParquetHistory() {
  merger_.request_stop();
  if (merger_.joinable()) merger_.join();
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
  TRY(RemoveStrays());
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
      return Failed(errno, "cannot put the damaged manifest aside", path);
    return RebuildCatalog();
  }
  const std::lock_guard lock(mutex_);
  catalog_ = std::make_shared<const Catalog>(std::move(*parsed));
  return {};
}

// Without a manifest the files speak for themselves; a file whose sequences lie inside those of
// another of its day was merged into that one.
Status ParquetHistory::RebuildCatalog() {
  ASSIGN_OR_RETURN(const auto paths, FilesBelow(folder_));
  std::vector<HistoryFile> files;
  for (const std::string& path : paths)
    if (auto file = FileOfPath(path)) files.push_back(std::move(*file));
  const auto inside_another = [&](const HistoryFile& a) {
    return std::any_of(files.begin(), files.end(), [&](const HistoryFile& b) {
      const bool same = a.first_sequence == b.first_sequence && a.last_sequence == b.last_sequence;
      return !same && a.product == b.product && a.day == b.day &&
             b.first_sequence <= a.first_sequence && a.last_sequence <= b.last_sequence;
    });
  };
  Catalog rebuilt;
  for (HistoryFile& file : files) {
    const std::string path = folder_ + "/" + file.RelativePath();
    bool known = false;
    const auto describe = [&](const Duck::Chunk& chunk) {
      for (size_t i = 0; i < chunk.size(); ++i) {
        const Time first = chunk.Column<Time>(1)[i], last = chunk.Column<Time>(2)[i];
        file.first_time = known ? std::min(file.first_time, first) : first;
        file.last_time = known ? std::max(file.last_time, last) : last;
        file.rows += static_cast<uint64_t>(chunk.Column<int64_t>(3)[i]);
        rebuilt.points[file.product].emplace(chunk.Text(0, i));
        known = true;
      }
      return true;
    };
    Status status;
    if (!inside_another(file))
      status = duck_->Query(
          fmt::format("SELECT point, min(time), max(time), count(*) FROM read_parquet({}) "
                      "GROUP BY point",
                      SqlText(path)),
          describe);
    if (!status || !known) {
      const std::string aside = path + (status ? ".superseded" : ".damaged");
      LogWarn("{}: put aside as {}{}", path, aside, status ? "" : ": " + status.error().ToString());
      if (rename(path.c_str(), aside.c_str()) != 0) return Failed(errno, "cannot rename", path);
      continue;
    }
    std::error_code ignored;
    file.bytes = fs::file_size(path, ignored);
    rebuilt.sequence_end = std::max(rebuilt.sequence_end, file.last_sequence + 1);
    rebuilt.files.push_back(std::make_shared<const StoredFile>(folder_, file));
  }
  if (!rebuilt.files.empty())
    LogWarn("{}: manifest rebuilt from {} files", folder_, rebuilt.files.size());
  return Publish(std::move(rebuilt), false);
}

// Removes what a crash left behind, and forgets files that somebody removed.
Status ParquetHistory::RemoveStrays() {
  ASSIGN_OR_RETURN(const auto paths, FilesBelow(folder_));
  std::set<std::string, std::less<>> present(paths.begin(), paths.end());
  Catalog kept = *catalog_;
  std::erase_if(kept.files, [&](const StoredFilePointer& file) {
    if (present.erase(file->info.RelativePath()) > 0) return false;
    LogError("{}: {} rows of history are gone: the file is missing", file->path, file->info.rows);
    Counter("penstock_history_files_missing_total",
            "Files of the manifest that were not there at start.")
        .Add();
    return true;
  });
  for (const std::string& stray : present) {
    LogInfo("{}/{}: removed, it was never committed", folder_, stray);
    unlink((folder_ + "/" + stray).c_str());
  }
  if (kept.files.size() == catalog_->files.size()) return {};
  return Publish(std::move(kept), false);
}

void ParquetHistory::NamePoint(PointId id, const std::string& path, const std::string& product) {
  const std::lock_guard lock(mutex_);
  if (id.value >= names_.size()) names_.resize(id.value + 1);
  names_[id.value] = {path, product.empty() ? std::string(kUnnamedProduct) : product};
  ids_[path] = id;
}

// A point without a name (its thing is gone, its samples are in the log) is stored all the same.
ParquetHistory::PointName ParquetHistory::NameOf(PointId id) const {
  if (id.value < names_.size() && !names_[id.value].path.empty()) return names_[id.value];
  return {fmt::format("unnamed/{}", id.value), std::string(kUnnamedProduct)};
}

Status ParquetHistory::Append(const HistoryColumns& columns) {
  bool due = false;
  {
    const std::lock_guard lock(mutex_);
    const size_t waiting = tail_->rows() + (flushing_ ? flushing_->rows() : 0);
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
    // A caller that flushes by itself every flush_every is not forestalled: that would double the
    // files.
    const auto age = std::chrono::steady_clock::now() - last_flush_;
    const bool long_tail = tail_->rows() > options_.tail_rows_max + options_.tail_rows_max / 2;
    due = age >= 2 * options_.flush_every ||
          (long_tail && (!flushing_ || age > std::chrono::seconds(1)));
  }
  if (!due) return {};
  if (const Status flushed = Flush(); !flushed)
    LogSometimes(LogLevel::kError, "history flush",
                 "history not flushed: " + flushed.error().ToString());
  return {};
}

Status ParquetHistory::Flush() {
  last_flush_ = std::chrono::steady_clock::now();
  while (true) {
    std::shared_ptr<const HistoryTail> frozen;
    {
      const std::lock_guard lock(mutex_);
      if (!flushing_ && tail_->rows() > 0) {
        tail_->Sort();
        flushing_ = std::exchange(tail_, std::make_shared<HistoryTail>());
      }
      frozen = flushing_;
    }
    if (!frozen) return {};
    const auto written = WriteTail(*frozen);
    Status status = written ? Status() : std::unexpected(written.error());
    if (status) {
      const std::lock_guard publishing(publish_mutex_);
      Catalog changed = *catalog();
      changed.sequence_end = std::max(changed.sequence_end, frozen->sequence_end());
      for (const HistoryFile& file : *written)
        changed.files.push_back(std::make_shared<const StoredFile>(folder_, file));
      for (size_t i = 0; i < frozen->points().size(); ++i) {
        if (frozen->points()[i].size() == 0) continue;
        const std::lock_guard lock(mutex_);
        const PointName name = NameOf(PointId{static_cast<uint32_t>(i)});
        changed.points[name.product].insert(name.path);
      }
      status = Publish(std::move(changed), true);
    }
    if (!status) {
      FlushFailures().Add();
      return status;
    }
    RowsWritten().Add(frozen->rows());
    if (options_.merge_in_background) {
      const std::lock_guard lock(mutex_);
      merge_due_ = true;
      merge_wanted_.notify_one();
    }
    for (Result<bool> merged = true; !options_.merge_in_background && merged && *merged;)
      if (merged = MergeOnce({}); !merged)
        LogWarn("history not merged: {}", merged.error().ToString());
  }
}

Result<std::vector<HistoryFile>> ParquetHistory::WriteTail(const HistoryTail& tail) {
  std::map<std::pair<std::string, std::string>, TailRows> groups;  // By product and day.
  for (size_t i = 0; i < tail.points().size(); ++i) {
    const TailPoint& point = tail.points()[i];
    if (point.size() == 0) continue;
    PointName name;
    {
      const std::lock_guard lock(mutex_);
      name = NameOf(PointId{static_cast<uint32_t>(i)});
    }
    for (size_t from = 0; from < point.size();) {
      const std::string day = DayOf(point.time[from]);
      const Time next_day = *DayBegin(day) + std::chrono::days(1);
      // Times outside the days that have names stay with the first or the last of them.
      const auto behind = std::lower_bound(point.time.begin() + static_cast<ptrdiff_t>(from),
                                           point.time.end(), next_day);
      const auto to =
          DayOf(next_day) == day ? point.size() : static_cast<size_t>(behind - point.time.begin());
      groups[{name.product, day}].slices.push_back({name.path, &point, from, to});
      from = to;
    }
  }
  std::vector<HistoryFile> files;
  for (auto& [key, rows] : groups) {
    std::sort(rows.slices.begin(), rows.slices.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    HistoryFile file{.product = key.first, .day = key.second};
    rows.Describe(file);
    // A file of an earlier attempt has the same name and content and is replaced.
    TRY(WriteFile(rows, file));
    files.push_back(std::move(file));
  }
  return files;
}

// Writes, syncs and names one file; fills in its size.
Status ParquetHistory::WriteFile(RowSource& rows, HistoryFile& file) {
  const std::string path = folder_ + "/" + file.RelativePath(), temporary = path + ".tmp";
  const std::string day_folder = fs::path(path).parent_path().string();
  const std::string product_folder = fs::path(day_folder).parent_path().string();
  const bool new_folder = !fs::exists(day_folder);
  TRY(MakeFolders(day_folder));
  TRY(duck_->Write(rows, temporary));
  const int fd = open(temporary.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed(errno, "cannot open", temporary);
  struct stat info {};
  const int error = fstat(fd, &info) != 0 || fsync(fd) != 0 ? errno : 0;
  close(fd);
  if (error != 0) {
    unlink(temporary.c_str());
    return Failed(error, "cannot sync", temporary);
  }
  file.bytes = static_cast<uint64_t>(info.st_size);
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed(errno, "cannot rename to", path);
  TRY(SyncFolder(day_folder));
  if (!new_folder) return {};
  TRY(SyncFolder(product_folder));
  return SyncFolder(folder_);
}

// Makes `changed` the catalog, on disk first. The caller holds publish_mutex_ or is alone.
Status ParquetHistory::Publish(Catalog changed, bool tail_is_in_files) {
  TRY(WriteFileAtomically(folder_ + "/manifest", FormatManifest(changed)));
  const std::lock_guard lock(mutex_);
  catalog_ = std::make_shared<const Catalog>(std::move(changed));
  if (tail_is_in_files) flushing_.reset();
  return {};
}

std::shared_ptr<const Catalog> ParquetHistory::catalog() const {
  const std::lock_guard lock(mutex_);
  return catalog_;
}

uint64_t ParquetHistory::flushed_sequence_end() const { return catalog()->sequence_end; }

Result<uint64_t> ParquetHistory::Retain(Time cutoff, uint64_t max_bytes) {
  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  uint64_t bytes = 0, rows = 0;
  std::map<std::string, uint64_t> bytes_of_day;  // Oldest first.
  for (const StoredFilePointer& file : changed.files)
    bytes_of_day[file->info.day] += file->info.bytes;
  for (const auto& [day, size] : bytes_of_day) bytes += size;
  const std::string cutoff_day = DayOf(cutoff);
  std::set<std::string> gone;
  for (const auto& [day, size] : bytes_of_day) {
    const bool newest = day == bytes_of_day.rbegin()->first;
    if (day >= cutoff_day && (bytes <= max_bytes || newest)) break;
    gone.insert(day);
    bytes -= size;
  }
  if (gone.empty()) return 0;
  std::vector<StoredFilePointer> dropped;
  std::erase_if(changed.files, [&](const StoredFilePointer& file) {
    if (!gone.contains(file->info.day)) return false;
    dropped.push_back(file);
    rows += file->info.rows;
    return true;
  });
  TRY(Publish(std::move(changed), false));
  std::set<std::string> folders;
  for (const StoredFilePointer& file : dropped) {
    file->UnlinkWhenUnused();
    folders.insert(fs::path(file->path).parent_path().string());
  }
  dropped.clear();
  for (const std::string& folder : folders)
    rmdir(folder.c_str());  // Stays while a query reads in it.
  return rows;
}

History::Size ParquetHistory::size() const {
  const std::lock_guard lock(mutex_);
  Size size{.tail_rows = tail_->rows() + (flushing_ ? flushing_->rows() : 0),
            .files = catalog_->files.size()};
  for (const StoredFilePointer& file : catalog_->files) {
    size.file_rows += file->info.rows;
    size.file_bytes += file->info.bytes;
  }
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
