// The latest row of each point, for a node that starts. The files are asked from the newest back,
// two, then four, then eight at a time, until no older file can hold a later row of a point that
// is still without one. Points that are long silent are few in the end, and asked by name, so that
// the statistics of the row groups pass over almost everything.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

constexpr size_t kNamedAtMost = 1000;  // Points that one question lists.

std::string ListOf(const auto& texts) {
  std::string list;
  for (const auto& text : texts) list += (list.empty() ? "" : ",") + SqlText(text);
  return list;
}

class Latest {
 public:
  void Take(LastRow row) {
    auto [at, is_new] = rows_.try_emplace(row.path);
    LastRow& known = at->second;
    if (is_new || std::pair(known.time, known.sequence) < std::pair(row.time, row.sequence))
      known = std::move(row);
  }
  // Known, and no row before `end` is later.
  bool IsFinal(const std::string& path, Time end) const {
    const auto at = rows_.find(path);
    return at != rows_.end() && at->second.time > end;
  }
  std::vector<LastRow> Finish() {
    std::vector<LastRow> sorted;
    sorted.reserve(rows_.size());
    for (auto& [path, row] : rows_) sorted.push_back(std::move(row));
    std::sort(sorted.begin(), sorted.end(),
              [](const LastRow& a, const LastRow& b) { return a.path < b.path; });
    return sorted;
  }

 private:
  std::unordered_map<std::string, LastRow> rows_;
};

}  // namespace

Result<std::vector<LastRow>> ParquetHistory::Last(std::span<const std::string> paths) {
  const std::unordered_set<std::string> asked(paths.begin(), paths.end());
  const auto is_asked = [&](const std::string& path) {
    return asked.empty() || asked.contains(path);
  };
  Latest latest;
  std::shared_ptr<const Catalog> catalog;
  {
    (void)Look("", Time::min(), Time::max());  // A reader looks for a newer manifest first.
    const std::lock_guard lock(mutex_);
    catalog = catalog_;
    const auto take = [&](const HistoryTail& tail) {
      for (size_t i = 0; i < tail.points().size(); ++i) {
        const TailPoint& point = tail.points()[i];
        if (point.size() == 0) continue;
        std::string path = NameOf(PointId{static_cast<uint32_t>(i)}).path;
        if (!is_asked(path)) continue;
        size_t at = 0;
        for (size_t row = 1; row < point.size(); ++row)
          if (point.time[row] >= point.time[at]) at = row;
        latest.Take({std::move(path), point.time[at], point.ingest_time[at], point.value[at],
                     point.quality[at], point.sequence[at]});
      }
    };
    if (flushing_) take(*flushing_);
    take(*tail_);
  }
  std::unordered_set<std::string> open;  // Paths whose latest row may be in an older file.
  for (const auto& [product, names] : catalog->points)
    for (const std::string& path : names)
      if (is_asked(path)) open.insert(path);
  auto files = catalog->files;
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a->info.last_time > b->info.last_time;
  });
  std::span<const StoredFilePointer> rest = files;
  for (size_t count = 2; !rest.empty() && !open.empty(); count *= 2) {
    const Time end = rest.front()->info.last_time;
    std::erase_if(open, [&](const std::string& path) { return latest.IsFinal(path, end); });
    if (open.empty()) break;
    const auto some = rest.first(std::min(count, rest.size()));
    std::string list;
    for (const auto& file : some) list += (list.empty() ? "" : ",") + SqlText(file->path);
    const std::string where =
        open.size() <= kNamedAtMost ? "WHERE point IN (" + ListOf(open) + ")" : "";
    TRY(duck_->Query(
        fmt::format(
            "SELECT point, r.t, r.i, r.v, r.q, r.s FROM (SELECT point, max({{'t': time, 's': "
            "sequence, 'i': ingest_time, 'v': value, 'q': quality}}) AS r FROM "
            "read_parquet([{}]) {} GROUP BY point)",
            list, where),
        [&](const Duck::Chunk& chunk) {
          for (size_t i = 0; i < chunk.size(); ++i) {
            std::string path(chunk.Text(0, i));
            if (!is_asked(path)) continue;
            latest.Take({std::move(path), chunk.Column<Time>(1)[i], chunk.Column<Time>(2)[i],
                         chunk.Column<double>(3)[i], chunk.Column<uint32_t>(4)[i],
                         chunk.Column<uint64_t>(5)[i]});
          }
          return true;
        }));
    rest = rest.subspan(some.size());
  }
  return latest.Finish();
}

}  // namespace penstock::storage
