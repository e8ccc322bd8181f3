// Writing. A flush freezes the tail, writes one file per product and day, syncs
// them, and only then replaces the manifest, which names the files and the end
// of the sequences in them. A crash before that leaves files that no manifest
// knows; they are removed at the next start and the log is replayed from the
// manifest's end. A crash after it leaves nothing undone. So no row is lost and
// none is there twice, whatever was going on.
//
// The rows are put in order here: counted per point, each point's then sorted
// by time, which they almost always are already.
#include "storage/parquet_history.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kUnnamedProduct = "unnamed";
constexpr size_t kFlushesPerPoints = 32;  // Between two files of points, if none is new.

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

// Points in order, and for each the stretch of its rows that the file holds.
class ParquetHistory::FileRows final : public RowSource {
 public:
  struct Part {
    uint32_t entry, id;
  };
  FileRows(const TailByPoint& tail, const HistoryPoints& points, Time day, Time next_day)
      : tail_(tail), points_(points), day_(day), next_day_(next_day) {}
  std::vector<Part> parts;

  Result<std::optional<RowRun>> Next() override {
    if (next_ == parts.size()) return std::nullopt;
    const Part& part = parts[next_++];
    tail_.Take(part.id, rows_);
    const auto times = rows_.times();
    const auto from =
        static_cast<size_t>(std::lower_bound(times.begin(), times.end(), day_) - times.begin());
    const auto to = static_cast<size_t>(std::lower_bound(times.begin(), times.end(), next_day_) -
                                        times.begin());
    const auto cut = [&](const auto& column) { return std::span(column).subspan(from, to - from); };
    if (to > from)
      lasts.push_back({part.entry, times[to - 1], FromMicros(rows_.ingest_time[to - 1]),
                       rows_.value[to - 1], rows_.quality[to - 1], rows_.sequence[to - 1]});
    const auto moment = [](std::span<const int64_t> micros) {
      return std::span(reinterpret_cast<const Time*>(micros.data()), micros.size());
    };
    return RowRun{.path = points_[part.entry].path,
                  .time = times.subspan(from, to - from),
                  .ingest_time = moment(cut(rows_.ingest_time)),
                  .value = cut(rows_.value),
                  .quality = cut(rows_.quality),
                  .sequence = cut(rows_.sequence)};
  }

  std::vector<RowOfPoint> lasts;  // The latest row of each point.

 private:
  const TailByPoint& tail_;
  const HistoryPoints& points_;
  const Time day_, next_day_;
  TailRows rows_;
  size_t next_ = 0;
};

ParquetHistory::ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only)
    : folder_(std::move(folder)), options_(options), read_only_(read_only) {}

ParquetHistory::~ParquetHistory() {
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
    if (rename(path.c_str(), (path + ".damaged").c_str()) != 0) {
      auto error = FromErrno(errno, "cannot put the damaged manifest aside");
      error.error().Where(path);
      return error;
    }
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

// A point without a name (its thing is gone, its samples are in the log) is
// stored all the same.
uint32_t ParquetHistory::EntryOf(PointId id) {
  const uint32_t entry = points_.EntryOf(id);
  if (entry != HistoryPoints::kNone) return entry;
  const std::lock_guard lock(mutex_);
  points_.Bind(id, points_.Add(fmt::format("unnamed/{}", id.value), kUnnamedProduct));
  return points_.EntryOf(id);
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
  if (!due) return {};
  if (const Status flushed = Flush(); !flushed)
    LogSometimes(LogLevel::kError, "history flush",
                 "history not flushed: " + flushed.error().ToString());
  return {};
}

Status ParquetHistory::Flush() {
  last_flush_ = std::chrono::steady_clock::now();
  while (true) {
    std::optional<TailSnapshot> frozen;
    uint64_t end = 0;
    {
      const std::lock_guard lock(mutex_);
      if (!flushing_ && tail_->rows() > 0) {
        flushing_ = tail_->Snapshot();
        flushing_end_ = tail_->sequence_end();
        tail_ = std::make_unique<HistoryTail>();
      }
      frozen = flushing_;
      end = flushing_end_;
    }
    if (!frozen) return {};
    std::vector<RowOfPoint> lasts;
    const auto written = WriteTail(TailByPoint(*frozen), lasts);
    Status status = written ? Status() : std::unexpected(written.error());
    if (status) {
      TakeLasts(lasts);
      const std::lock_guard publishing(publish_mutex_);
      Catalog changed = *catalog();
      changed.sequence_end = std::max(changed.sequence_end, end);
      changed.old_points.clear();  // LoadPoints has taken them.
      for (const HistoryFile& file : *written)
        changed.files.push_back(std::make_shared<const StoredFile>(folder_, file));
      ++flushes_since_points_;
      if (new_points_ || flushes_since_points_ >= kFlushesPerPoints)
        status = SavePoints(changed.sequence_end);
      if (status) status = Publish(std::move(changed), true);
    }
    if (!status) {
      FlushFailures().Add();
      return status;
    }
    RowsWritten().Add(frozen->rows);
    if (options_.merge_in_background) WakeMerger();
    for (Result<bool> merged = true; !options_.merge_in_background && merged && *merged;)
      if (merged = MergeOnce({}); !merged)
        LogWarn("history not merged: {}", merged.error().ToString());
  }
}

Result<std::vector<HistoryFile>> ParquetHistory::WriteTail(const TailByPoint& tail,
                                                           std::vector<RowOfPoint>& lasts) {
  for (uint32_t id = 0; id < tail.points(); ++id)
    if (tail.rows_of(id) > 0) (void)EntryOf(PointId{id});
  std::vector<uint32_t> order;
  {
    const std::lock_guard lock(mutex_);
    order = points_.Sorted();
  }
  std::map<std::pair<std::string, std::string>, FileRows> groups;  // By product and day.
  TailRows one;
  constexpr Time kBegin = Time::min(), kEnd = Time::max();
  const bool one_day = DayOf(tail.first_time()) == DayOf(tail.last_time());
  // Of most flushes all points of a product go into one file: its group is not looked up again.
  FileRows* group = nullptr;
  uint32_t group_product = HistoryPoints::kNone;
  const auto group_of = [&](uint32_t product, const std::string& day) {
    // Times outside the days that have names stay with the first or the last of them.
    const Time begin = *DayBegin(day), next = begin + std::chrono::days(1);
    const bool is_first = begin == Time{}, is_last = DayOf(next) == day;
    return &groups
                .try_emplace({points_.product(product), day}, tail, points_,
                             is_first ? kBegin : begin, is_last ? kEnd : next)
                .first->second;
  };
  for (const uint32_t entry : order) {
    const HistoryPoints::Entry& point = points_[entry];
    if (point.id >= tail.points() || tail.rows_of(point.id) == 0) continue;
    if (one_day) {
      if (std::exchange(group_product, point.product) != point.product)
        group = group_of(point.product, DayOf(tail.first_time()));
      group->parts.push_back({entry, point.id});
      continue;
    }
    tail.Take(point.id, one);
    for (auto time = one.times().begin(); time != one.times().end();) {
      const std::string day = DayOf(*time);
      group_of(point.product, day)->parts.push_back({entry, point.id});
      const Time next = *DayBegin(day) + std::chrono::days(1);
      time =
          DayOf(next) == day ? one.times().end() : std::lower_bound(time, one.times().end(), next);
    }
  }
  std::vector<HistoryFile> files;
  for (auto& [key, source] : groups) {
    HistoryFile file{.product = key.first, .day = key.second};
    // A file of an earlier attempt has the same name and content and is
    // replaced.
    TRY(WriteFile(source, file, nullptr));
    lasts.insert(lasts.end(), source.lasts.begin(), source.lasts.end());
    files.push_back(std::move(file));
  }
  return files;
}

void ParquetHistory::TakeLasts(std::span<const RowOfPoint> lasts) {
  const std::lock_guard lock(mutex_);
  for (const RowOfPoint& row : lasts) {
    new_points_ = new_points_ || !points_[row.entry].stored;
    (void)points_.TakeLast(row.entry, row.time, row.ingest_time, row.value, row.quality,
                           row.sequence);
  }
}

// Under a name of its own, which tells how far it goes; the older one is
// removed.
Status ParquetHistory::SavePoints(uint64_t sequence_end) {
  const std::string name = fmt::format("points-{:012}.parquet", sequence_end);
  const std::string path = folder_ + "/" + name;
  TRY(points_.Save(path + ".tmp"));
  if (rename((path + ".tmp").c_str(), path.c_str()) != 0) {
    auto error = FromErrno(errno, "cannot rename to");
    error.error().Where(path);
    return error;
  }
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

std::shared_ptr<const Catalog> ParquetHistory::catalog() const {
  const std::lock_guard lock(mutex_);
  return catalog_;
}

uint64_t ParquetHistory::flushed_sequence_end() const { return catalog()->sequence_end; }

History::Size ParquetHistory::size() const {
  const std::lock_guard lock(mutex_);
  Size size{.tail_rows = tail_->rows() + (flushing_ ? flushing_->rows : 0),
            .files = catalog_->files.size()};
  for (const StoredFilePointer& file : catalog_->files) {
    size.file_rows += file->info.rows;
    size.file_bytes += file->info.bytes + file->info.rollup_bytes;
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
