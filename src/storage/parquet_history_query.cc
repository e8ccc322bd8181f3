// Reading. A query takes a view: the catalog as it is, the tail being flushed,
// and the live tail, all under one lock, so that a row is in exactly one of
// them. Files are chosen by the times in the catalog, row groups by their
// bounds, and of a group only the rows of the point are decoded. What comes is
// folded block by block and never held as a whole. Files of other writers are
// read by DuckDB.
#include <sys/stat.h>

#include <algorithm>

#include "storage/history_group.h"

namespace penstock::storage {
namespace {

constexpr size_t kOpenGroupsMax = 1 << 15;  // Row groups whose bounds are held: some 16 MB.
constexpr size_t kOpenFilesMax = 256;       // Files that are open.

// Times that DuckDB and our literals can name.
Time Within(Time time) {
  constexpr Time kEnd = std::chrono::sys_days(std::chrono::year(2262) / 1 / 1);
  return std::clamp(time, Time{}, kEnd);
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

Status CheckHistoryRange(Time from, Time to) {
  if (from < to) return {};
  return InvalidArgument("an empty range of time: from {} to {}", FormatTime(from), FormatTime(to));
}

HistoryReader::View HistoryReader::Look() {
  if (read_only_) {
    // The manifest is replaced by rename, so another inode or time means
    // another content. One that cannot be read now leaves the view before it.
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
  if (flushing_) view.tails.push_back(*flushing_);
  if (tail_->rows() > 0) view.tails.push_back(tail_->Snapshot());
  return view;
}

HistoryReader::Target HistoryReader::TargetOf(const std::string& path) const {
  Target target{.path = path};
  const std::lock_guard lock(mutex_);
  const uint32_t entry = points_.Find(path);
  if (entry == HistoryPoints::kNone) return target;
  target.entry = entry;
  target.id = PointId{points_[entry].id};
  target.text = points_[entry].text;
  points_.AddProductsOf(entry, target.products);
  return target;
}

HistoryReader::Targets HistoryReader::TargetsOf(std::span<const std::string> paths) const {
  Targets targets;
  targets.sorted.reserve(paths.size());
  for (const std::string& path : paths) targets.sorted.push_back({path, targets.sorted.size()});
  const auto earlier = [](const SortedPath& a, const SortedPath& b) { return a.path < b.path; };
  if (!std::ranges::is_sorted(targets.sorted, earlier)) std::ranges::sort(targets.sorted, earlier);
  const std::lock_guard lock(mutex_);
  for (size_t i = targets.sorted.size(); i-- > 0;) {
    SortedPath& path = targets.sorted[i];
    path.entry = points_.Find(path.path);
    if (path.entry == HistoryPoints::kNone) continue;
    const HistoryPoints::Entry& point = points_[path.entry];
    points_.AddProductsOf(path.entry, targets.products);
    targets.texts = targets.texts || point.text;
    if (point.id == HistoryPoints::kNone) continue;
    if (point.id >= targets.by_id.size()) targets.by_id.resize(size_t{point.id} + 1);
    targets.by_id[point.id] = static_cast<uint32_t>(i + 1);
  }
  return targets;
}

Result<ParquetFilePointer> HistoryReader::OpenFile(const std::string& path,
                                                   std::span<const ParquetColumn> schema,
                                                   const std::function<bool()>& goes) {
  const std::lock_guard lock(open_mutex_);
  if (goes()) return ParquetFile::Open(path, schema);  // Open, it would stay on the disk.
  auto known = opened_.find(path);
  if (known == opened_.end()) {
    ASSIGN_OR_RETURN(ParquetFilePointer file, ParquetFile::Open(path, schema));
    opened_groups_ += file->groups().size();
    known = opened_.emplace(path, OpenedFile{std::move(file), 0, true}).first;
  }
  known->second.used = ++uses_;
  if (std::exchange(known->second.closed, false)) ++opened_files_;
  ParquetFilePointer file = known->second.file;
  MakeRoomForOpened();
  return file;
}

void HistoryReader::MakeRoomForOpened() {
  const auto oldest = [&](bool closed_too) {
    auto found = opened_.end();
    for (auto each = opened_.begin(); each != opened_.end(); ++each)
      if ((closed_too || !each->second.closed) &&
          (found == opened_.end() || each->second.used < found->second.used))
        found = each;
    return found;
  };
  while (opened_files_ > kOpenFilesMax) {
    OpenedFile& file = oldest(false)->second;
    file.file->CloseForNow();
    file.closed = true;
    --opened_files_;
  }
  while (opened_groups_ > kOpenGroupsMax && !opened_.empty()) Forget(oldest(true));
}

void HistoryReader::Forget(OpenedFiles::iterator file) {
  opened_groups_ -= file->second.file->groups().size();
  opened_files_ -= file->second.closed ? 0 : 1;
  opened_.erase(file);
}

Result<ParquetFilePointer> HistoryReader::OpenSteps(const StoredFile& file,
                                                    const std::string& relative_path) {
  return OpenFile(folder_ + "/" + relative_path, RollupColumns(), [&] { return file.goes(); });
}

Result<ParquetFilePointer> HistoryReader::OpenSteps(const StoredRollup& rollup) {
  return OpenFile(rollup.path, RollupColumns(), [&] { return rollup.goes(); });
}

void HistoryReader::ForgetPaths(std::span<const std::string> paths) {
  const std::lock_guard lock(open_mutex_);
  for (const std::string& path : paths)
    if (const auto known = opened_.find(path); known != opened_.end()) Forget(known);
}

void HistoryReader::ForgetOpened(const StoredFile& file) {
  const std::string paths[] = {file.path, folder_ + "/" + file.info.SecondsPath(),
                               folder_ + "/" + file.info.MinutesPath()};
  ForgetPaths(paths);
}

void HistoryReader::ForgetOpened(const StoredRollup& rollup) { ForgetPaths({&rollup.path, 1}); }

void HistoryReader::ScanTails(const View& view, const Target& target, Time from, Time to,
                              const VisitRows& visit) const {
  if (!target.id.valid()) return;
  for (const TailSnapshot& tail : view.tails) {
    TailRows rows;
    tail.Collect(target.id, from, to, rows);
    if (rows.size() == 0) continue;
    rows.Sort();
    (void)visit({rows.times(), rows.value, rows.quality});
  }
}

// The latest rows first, block by block; within a block they rise.
Status HistoryReader::ScanFile(const StoredFile& file, const std::string& path,
                               std::span<const TimeSpan> spans, const VisitRows& visit) {
  const auto opened = OpenRows(file);
  if (!opened && opened.error().code == Code::kUnimplemented)
    return ScanForeign(file, path, spans, visit);
  if (!opened) return std::unexpected(opened.error());
  const auto groups = (*opened)->groups();
  for (size_t group = groups.size(); group-- > 0;) {
    const ParquetFile::Group& meta = groups[group];
    if (path < meta.first_point || path > meta.last_point || spans.empty() ||
        meta.last_time < spans.front().from || meta.first_time >= spans.back().to)
      continue;
    ASSIGN_OR_RETURN(const auto found, StretchOf(*opened, group, path));
    if (!found) continue;
    ASSIGN_OR_RETURN(GroupScan scan, GroupScan::Open(*this, *opened, group));
    size_t end = found->from + found->rows;
    for (size_t s = spans.size(); s-- > 0;) {
      ASSIGN_OR_RETURN(size_t last, scan.FirstRow(found->from, end, spans[s].to));
      ASSIGN_OR_RETURN(const size_t first, scan.FirstRow(found->from, last, spans[s].from));
      end = first;
      while (first < last) {
        const size_t begin = std::max(first, last - std::min(last, GroupScan::kRowsAtOnce));
        ASSIGN_OR_RETURN(const Rows rows, scan.Read(begin, last));
        if (!visit(rows)) return {};
        last = begin;
      }
    }
  }
  return {};
}

Status HistoryReader::ScanForeign(const StoredFile& file, const std::string& path,
                                  std::span<const TimeSpan> spans, const VisitRows& visit) {
  if (spans.empty()) return {};
  ASSIGN_OR_RETURN(const HistoryFileView local, Local(ViewOf(file)));
  const std::string sql = fmt::format(
      "SELECT time, value, quality FROM read_parquet({}) WHERE point = {} AND "
      "time >= {} AND "
      "time < {}",
      SqlText(local.path), SqlText(path), SqlTime(Within(spans.front().from)),
      SqlTime(Within(spans.back().to)));
  return duck_->Query(sql, [&](const Duck::Chunk& chunk) {
    const Rows all{chunk.Column<Time>(0), chunk.Column<double>(1), chunk.Column<uint32_t>(2)};
    if (spans.size() == 1) return visit(all);
    for (size_t i = 0; i < all.time.size();) {
      const auto span =
          std::upper_bound(spans.begin(), spans.end(), all.time[i],
                           [](Time time, const TimeSpan& other) { return time < other.to; });
      size_t behind = i + 1;
      const bool inside = span != spans.end() && all.time[i] >= span->from;
      while (inside && behind < all.time.size() && all.time[behind] >= span->from &&
             all.time[behind] < span->to)
        ++behind;
      const auto part = [&](const auto& column) { return column.subspan(i, behind - i); };
      if (inside && !visit({part(all.time), part(all.value), part(all.quality)})) return false;
      i = behind;
    }
    return true;
  });
}

Result<std::vector<HistoryRow>> HistoryReader::Read(const std::string& path, Time from, Time to,
                                                    size_t limit) {
  TRY(CheckHistoryRange(from, to));
  if (limit == 0) return std::vector<HistoryRow>();
  LatestRows latest(limit);
  const auto add = [&](const Rows& rows) {
    latest.Add(rows.time, rows.value, rows.quality);
    return true;
  };
  const View view = Look();
  const Target target = TargetOf(path);
  ScanTails(view, target, from, to, add);

  // Newest files first; one in which no later row can be ends the search.
  auto files = view.catalog->FilesOf(target.products, from, to);
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a->info.last_time > b->info.last_time;
  });
  for (const StoredFilePointer& file : files) {
    if (latest.full() && file->info.last_time < latest.oldest()) break;
    const TimeSpan span{from, to};
    TRY(ScanFile(*file, path, {&span, 1}, [&](const Rows& rows) {
      if (latest.full() && rows.time.back() < latest.oldest()) return false;
      return add(rows);
    }));
  }
  return latest.Take();
}

Result<std::vector<History::Coverage>> HistoryReader::CoverageOf(std::span<const std::string> paths,
                                                                 Time from, Time to) {
  TRY(CheckHistoryRange(from, to));
  const View view = Look();
  const TimeSpan span{from, to};
  std::vector<CoverageFold> folds(paths.size(), CoverageFold(from, to));
  if (paths.size() <= kOneByOne) {
    for (size_t i = 0; i < paths.size(); ++i) {
      const Target target = TargetOf(paths[i]);
      const auto add = [&](const Rows& rows) {
        folds[i].Add(rows.time, rows.quality);
        return true;
      };
      for (const StoredFilePointer& file : view.catalog->FilesOf(target.products, from, to))
        TRY(ScanFile(*file, paths[i], {&span, 1}, add));
      ScanTails(view, target, from, to, add);
    }
  } else {
    const Targets targets = TargetsOf(paths);
    const auto add = [&](size_t place, const Rows& rows) {
      folds[place].Add(rows.time, rows.quality);
    };
    ScanTails(view, targets, add);
    for (const StoredFilePointer& file : view.catalog->FilesOf(targets.products, from, to))
      TRY(ScanMany(*file, targets.sorted, {&span, 1}, add));
  }
  std::vector<Coverage> coverages;
  for (size_t i = 0; i < paths.size(); ++i) coverages.push_back(folds[i].Finish(paths[i]));
  return coverages;
}

std::vector<HistoryFileView> HistoryReader::Files(std::string_view product) {
  const View view = Look();
  std::vector<HistoryFileView> files;
  for (const StoredFilePointer& file : view.catalog->files) {
    const HistoryFile& info = file->info;
    if (info.product != product) continue;
    files.push_back(ViewOf(*file));
    files.back().keep = file;
  }
  for (const StoredRollupPointer& rollup : view.catalog->rollups) {
    const HistoryRollup& info = rollup->info;
    if (info.product == product)
      files.push_back({rollup->path, info.product, info.period, info.hours ? "1h" : "1m", info.rows,
                       info.bytes, info.first_time, info.last_time, rollup});
  }
  std::stable_sort(files.begin(), files.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return files;
}

}  // namespace penstock::storage
