// Reading. A query takes a view: the catalog as it is, the tail being flushed, and a copy of the
// point's rows in the live tail, all under one lock, so that a row is in exactly one of them. Files
// are chosen by the times in the catalog before DuckDB sees any; within a file its statistics and
// the sort order find the point. What comes is folded chunk by chunk and never held as a whole.
#include <sys/stat.h>

#include <algorithm>

#include "storage/history_fold.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

constexpr size_t kFilesPerQuestion = 256;
constexpr size_t kBucketsMax = 100'000;

// Times that DuckDB and our literals can name.
Time Within(Time time) {
  constexpr Time kEnd = std::chrono::sys_days(std::chrono::year(2262) / 1 / 1);
  return std::clamp(time, Time{}, kEnd);
}

std::string FileList(std::span<const StoredFilePointer> files) {
  std::string list;
  for (const StoredFilePointer& file : files)
    list += (list.empty() ? "" : ",") + SqlText(file->path);
  return "[" + list + "]";
}

Status CheckRange(Time from, Time to) {
  if (from < to) return {};
  return InvalidArgument("an empty range of time: from {} to {}", FormatTime(from), FormatTime(to));
}

// The latest `limit` rows of all that are given.
class LatestRows {
 public:
  explicit LatestRows(size_t limit) : limit_(limit) {}

  void Add(std::span<const Time> time, std::span<const double> value,
           std::span<const uint32_t> quality) {
    for (size_t i = 0; i < time.size(); ++i)
      if (rows_.size() < limit_ || time[i] >= oldest_)
        rows_.push_back({time[i], value[i], quality[i]});
    if (rows_.size() > 2 * limit_ + 4096) Shorten();
  }
  bool full() const { return rows_.size() >= limit_; }
  // Of a full set: rows before this one do not matter.
  Time oldest() {
    Shorten();
    return oldest_;
  }
  std::vector<HistoryRow> Take() {
    std::stable_sort(rows_.begin(), rows_.end(), Earlier);
    if (rows_.size() > limit_)
      rows_.erase(rows_.begin(), rows_.end() - static_cast<ptrdiff_t>(limit_));
    return std::move(rows_);
  }

 private:
  static bool Earlier(const HistoryRow& a, const HistoryRow& b) { return a.time < b.time; }
  void Shorten() {
    if (rows_.size() < limit_) return;
    const auto cut = rows_.end() - static_cast<ptrdiff_t>(limit_);
    std::nth_element(rows_.begin(), cut, rows_.end(), Earlier);
    rows_.erase(rows_.begin(), cut);
    oldest_ = rows_.front().time;
    for (const HistoryRow& row : rows_) oldest_ = std::min(oldest_, row.time);
  }

  size_t limit_;
  Time oldest_ = Time::min();
  std::vector<HistoryRow> rows_;
};

}  // namespace

ParquetHistory::View ParquetHistory::Look(const std::string& path, Time from, Time to) {
  if (read_only_) {
    // The manifest is replaced by rename, so another inode or time means another content. One that
    // cannot be read now leaves the view before it.
    struct stat info {};
    const bool there = stat((folder_ + "/manifest").c_str(), &info) == 0;
    const std::string stamp =
        fmt::format("{} {} {} {}", there, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = std::exchange(manifest_stamp_, stamp) != stamp;
    }
    if (changed) (void)LoadCatalog();
  }
  View view;
  const std::lock_guard lock(mutex_);
  view.catalog = catalog_;
  view.flushing = flushing_;
  const auto id = ids_.find(path);
  if (id == ids_.end()) return view;
  view.id = id->second;
  const TailPoint* live = tail_->Find(view.id);
  if (live == nullptr) return view;
  size_t begin = 0, end = live->size();
  if (live->sorted) {
    begin = static_cast<size_t>(std::lower_bound(live->time.begin(), live->time.end(), from) -
                                live->time.begin());
    end = static_cast<size_t>(std::lower_bound(live->time.begin(), live->time.end(), to) -
                              live->time.begin());
  }
  for (size_t i = begin; i < end; ++i) {
    if (live->time[i] < from || live->time[i] >= to) continue;
    view.tail.time.push_back(live->time[i]);
    view.tail.value.push_back(live->value[i]);
    view.tail.quality.push_back(live->quality[i]);
  }
  return view;
}

Status ParquetHistory::ScanFiles(std::span<const StoredFilePointer> files, const std::string& path,
                                 Time from, Time to, const VisitRows& visit) {
  while (!files.empty()) {
    const auto some = files.first(std::min(files.size(), kFilesPerQuestion));
    const std::string sql = fmt::format(
        "SELECT time, value, quality FROM read_parquet({}) WHERE point = {} AND time >= {} AND "
        "time < {}",
        FileList(some), SqlText(path), SqlTime(Within(from)), SqlTime(Within(to)));
    TRY(duck_->Query(sql, [&](const Duck::Chunk& chunk) {
      visit({chunk.Column<Time>(0), chunk.Column<double>(1), chunk.Column<uint32_t>(2)});
      return true;
    }));
    files = files.subspan(some.size());
  }
  return {};
}

void ParquetHistory::ScanTail(const View& view, Time from, Time to, const VisitRows& visit) {
  const TailPoint* frozen = view.flushing != nullptr ? view.flushing->Find(view.id) : nullptr;
  if (frozen != nullptr) {
    const auto begin =
        std::lower_bound(frozen->time.begin(), frozen->time.end(), from) - frozen->time.begin();
    const auto end =
        std::lower_bound(frozen->time.begin(), frozen->time.end(), to) - frozen->time.begin();
    const auto part = [&](const auto& column) {
      return std::span(column).subspan(static_cast<size_t>(begin),
                                       static_cast<size_t>(end - begin));
    };
    visit({part(frozen->time), part(frozen->value), part(frozen->quality)});
  }
  if (!view.tail.time.empty()) visit({view.tail.time, view.tail.value, view.tail.quality});
}

Status ParquetHistory::Scan(const std::string& path, Time from, Time to, const VisitRows& visit) {
  const View view = Look(path, from, to);
  TRY(ScanFiles(view.catalog->FilesOf(path, from, to), path, from, to, visit));
  ScanTail(view, from, to, visit);
  return {};
}

Result<std::vector<HistoryRow>> ParquetHistory::Read(const std::string& path, Time from, Time to,
                                                     size_t limit) {
  TRY(CheckRange(from, to));
  if (limit == 0) return std::vector<HistoryRow>();
  LatestRows latest(limit);
  const auto add = [&](const Rows& rows) { latest.Add(rows.time, rows.value, rows.quality); };
  const View view = Look(path, from, to);
  ScanTail(view, from, to, add);

  // Newest files first, one, then two, then four: the latest rows are mostly in the last of them.
  auto files = view.catalog->FilesOf(path, from, to);
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a->info.last_time > b->info.last_time;
  });
  std::span<const StoredFilePointer> rest = files;
  for (size_t count = 1; !rest.empty(); count *= 2) {
    if (latest.full() && rest.front()->info.last_time < latest.oldest()) break;
    const auto some = rest.first(std::min(count, rest.size()));
    TRY(ScanFiles(some, path, from, to, add));
    rest = rest.subspan(some.size());
  }
  return latest.Take();
}

Result<std::vector<TrendBucket>> ParquetHistory::Trend(const std::string& path, Time from, Time to,
                                                       size_t buckets) {
  TRY(CheckRange(from, to));
  if (buckets == 0 || buckets > kBucketsMax)
    return InvalidArgument("a trend has 1 to {} buckets, not {}", kBucketsMax, buckets);
  TrendFold fold(from, to, buckets);
  TRY(Scan(path, from, to,
           [&](const Rows& rows) { fold.Add(rows.time, rows.value, rows.quality); }));
  return fold.Finish();
}

Result<std::vector<History::Coverage>> ParquetHistory::CoverageOf(
    std::span<const std::string> paths, Time from, Time to) {
  TRY(CheckRange(from, to));
  std::vector<Coverage> coverages;
  for (const std::string& path : paths) {
    CoverageFold fold(from, to);
    TRY(Scan(path, from, to, [&](const Rows& rows) { fold.Add(rows.time, rows.quality); }));
    coverages.push_back(fold.Finish(path));
  }
  return coverages;
}

}  // namespace penstock::storage
