// Many points at once: a pass over each file serves all of them.
//
// Most row groups lie within one bucket of the question, and all of their rows are of one quality.
// Then a point's rows are folded without their times, of which only the first and the last matter.
#include <algorithm>

#include "storage/history_group.h"

namespace penstock::storage {
namespace {

// Neighbours become one.
std::vector<TimeSpan> Joined(std::span<const TimeSpan> spans) {
  std::vector<TimeSpan> joined;
  for (const TimeSpan& span : spans) {
    if (!joined.empty() && joined.back().to == span.from) {
      joined.back().to = span.to;
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

bool LiesInOne(std::span<const TimeSpan> spans, const ParquetFile::Group& group) {
  const auto span =
      std::upper_bound(spans.begin(), spans.end(), group.first_time,
                       [](Time time, const TimeSpan& other) { return time < other.to; });
  return span != spans.end() && span->from <= group.first_time && group.last_time < span->to;
}

}  // namespace

void HistoryReader::ScanTails(const View& view, const Targets& targets, const VisitPoint& visit) {
  for (const TailSnapshot& tail : view.tails)
    tail.ForEach([&](const TailBlock& block, size_t row) {
      const uint32_t id = block.point[row];
      if (id >= targets.by_id.size() || targets.by_id[id] == 0) return;
      const Time time = FromMicros(block.time[row]);
      const Rows one{{&time, 1}, {&block.value[row], 1}, {&block.quality[row], 1}};
      const size_t first = targets.by_id[id] - 1;
      // The same point may be asked for more than once.
      for (size_t at = first;
           at < targets.sorted.size() && targets.sorted[at].entry == targets.sorted[first].entry;
           ++at)
        visit(targets.sorted[at].place, one);
    });
}

Status HistoryReader::ScanMany(const StoredFile& file, std::span<const SortedPath> paths,
                               std::span<const TimeSpan> spans, const VisitPoint& visit,
                               const VisitPointStep& fold) {
  if (paths.empty() || spans.empty()) return {};
  const auto opened = OpenRows(file);
  if (!opened && opened.error().code != Code::kUnimplemented)
    return std::unexpected(opened.error());
  if (!opened) {
    for (const SortedPath& path : paths)
      TRY(ScanForeign(file, std::string(path.path), spans, [&](const Rows& rows) {
        visit(path.place, rows);
        return true;
      }));
    return {};
  }
  const std::vector<TimeSpan> joined = Joined(spans);
  std::vector<uint32_t> wanted;  // By entry: place in `paths` plus one.
  for (size_t i = paths.size(); i-- > 0;) {
    if (paths[i].entry == HistoryPoints::kNone) continue;  // In no file.
    if (paths[i].entry >= wanted.size()) wanted.resize(size_t{paths[i].entry} + 1);
    wanted[paths[i].entry] = static_cast<uint32_t>(i + 1);
  }
  const auto groups = (*opened)->groups();
  for (size_t group = 0; group < groups.size(); ++group) {
    const ParquetFile::Group& meta = groups[group];
    const auto first =
        std::lower_bound(paths.begin(), paths.end(), meta.first_point,
                         [](const SortedPath& a, const std::string& b) { return a.path < b; });
    if (first == paths.end() || first->path > meta.last_point ||
        meta.last_time < spans.front().from || meta.first_time >= spans.back().to)
      continue;
    ASSIGN_OR_RETURN(const auto points, PointsOf(*opened, group));
    ASSIGN_OR_RETURN(GroupScan scan, GroupScan::Open(*this, *opened, group));
    const bool whole = fold && scan.all_good() && LiesInOne(spans, meta);
    for (size_t i = 0; i < points->entries.size(); ++i) {
      const uint32_t entry = points->entries[i];
      if (entry >= wanted.size() || wanted[entry] == 0) continue;
      const auto [from, to] = points->RowsAt(i, meta.rows);
      // The same point may be asked for more than once.
      const auto each = [&](const auto& call) {
        for (size_t at = wanted[entry] - 1; at < paths.size() && paths[at].entry == entry; ++at)
          call(paths[at].place);
      };
      if (RollupStep step; whole && to - from <= GroupScan::kRowsAtOnce) {
        ASSIGN_OR_RETURN(const bool folded, scan.Fold(from, to, step));
        if (folded) {
          each([&](size_t place) { fold(place, step); });
          continue;
        }
      }
      TRY(scan.Visit(from, to, joined,
                     [&](const Rows& rows) { each([&](size_t place) { visit(place, rows); }); }));
    }
  }
  return {};
}

}  // namespace penstock::storage
