// Many points at once: a pass over each file serves all of them.
//
// Most row groups lie within one bucket of the question, and all of their rows are of one quality.
// Then a point's rows are folded without their times, of which only the first and the last matter.
#include <algorithm>
#include <cmath>

#include "storage/history_reader.h"

namespace penstock::storage {
namespace {

constexpr size_t kScanBlock = 1 << 16;  // Rows of one point in memory at once.

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

// All rows but their times; false when one of the values does not count.
bool FoldFinite(std::span<const double> values, RollupStep& step) {
  // Four sums, so that an addition need not wait for the one before it.
  double sum[4] = {}, low = values[0], high = values[0], all = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum[i % 4] += values[i];
    low = values[i] < low ? values[i] : low;
    high = values[i] > high ? values[i] : high;
    all += values[i] * 0;  // NaN as soon as one is not finite.
  }
  step.count = step.good = static_cast<int64_t>(values.size());
  step.sum = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  step.min = low;
  step.max = high;
  step.first = values.front();
  step.last = values.back();
  return all == 0;
}

}  // namespace

// The rows of a group that are asked for, point by point.
class HistoryReader::GroupScan {
 public:
  static Result<GroupScan> Open(const ParquetFile& file, size_t group) {
    GroupScan scan;
    ASSIGN_OR_RETURN(scan.time_, ParquetColumnReader::Load(file, group, 1));
    ASSIGN_OR_RETURN(scan.value_, ParquetColumnReader::Load(file, group, 3));
    scan.constant_ = file.groups()[group].chunks[4].constant;
    if (!scan.constant_) {
      ASSIGN_OR_RETURN(scan.quality_, ParquetColumnReader::Load(file, group, 4));
    }
    return scan;
  }
  bool all_good() const { return constant_ && !IsBadQuality(*constant_); }

  // All rows [from, to) as one step; false when that cannot be.
  Result<bool> Fold(size_t from, size_t to, RollupStep& step) {
    values_.resize(to - from);
    TRY(value_->Read(from, to, values_.data()));
    step = {};
    if (!FoldFinite(values_, step)) return false;
    TRY(time_->Read(from, from + 1, &step.first_time));
    TRY(time_->Read(to - 1, to, &step.last_time));
    step.time = step.first_time;
    return true;
  }

  // Those of rows [from, to) that lie in the spans.
  Status Visit(size_t from, size_t to, std::span<const TimeSpan> spans,
               const std::function<void(const Rows&)>& visit) {
    for (; from < to; from += kScanBlock) {
      const size_t some = std::min(kScanBlock, to - from);
      times_.resize(some);
      TRY(time_->Read(from, from + some, times_.data()));
      if (times_.back() < spans.front().from || times_.front() >= spans.back().to) continue;
      values_.resize(some);
      TRY(value_->Read(from, from + some, values_.data()));
      qualities_.resize(some);
      if (constant_) {
        std::ranges::fill(qualities_, *constant_);
      } else {
        TRY(quality_->Read(from, from + some, qualities_.data()));
      }
      auto begin = times_.begin();
      for (const TimeSpan& span : spans) {
        begin = std::lower_bound(begin, times_.end(), span.from);
        if (begin == times_.end()) break;
        const auto end = std::lower_bound(begin, times_.end(), span.to);
        const auto at = static_cast<size_t>(begin - times_.begin()),
                   rows = static_cast<size_t>(end - begin);
        if (rows > 0)
          visit({std::span(times_).subspan(at, rows), std::span(values_).subspan(at, rows),
                 std::span(qualities_).subspan(at, rows)});
        begin = end;
      }
    }
    return {};
  }

 private:
  std::optional<ParquetColumnReader> time_, value_, quality_;
  std::optional<uint32_t> constant_;  // The quality of all rows.
  std::vector<Time> times_;
  std::vector<double> values_;
  std::vector<uint32_t> qualities_;
};

Result<std::shared_ptr<const HistoryIndex::Group>> HistoryReader::PointsOf(
    const ParquetFilePointer& file, size_t group) {
  if (auto known = index_.Find(file, group)) return known;
  ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
  ASSIGN_OR_RETURN(const auto points, paths.Points());
  auto found = std::make_shared<HistoryIndex::Group>();
  found->reserve(points.size());
  {
    const std::lock_guard lock(mutex_);
    for (const PointRows& rows : points)
      found->push_back({points_.Find(rows.point), static_cast<uint32_t>(rows.from)});
  }
  index_.Keep(file, group, found);
  return found;
}

Result<std::optional<PointRows>> HistoryReader::StretchOf(const ParquetFilePointer& file,
                                                          size_t group, const std::string& path) {
  const auto known = index_.Find(file, group);
  if (known == nullptr) {
    ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
    ASSIGN_OR_RETURN(auto rows, paths.Find(path));
    if (rows) rows->point = path;  // The reader goes.
    return rows;
  }
  uint32_t entry = 0;
  {
    const std::lock_guard lock(mutex_);
    entry = points_.Find(path);
  }
  const auto at = std::ranges::find(*known, entry, &HistoryIndex::Stretch::entry);
  if (at == known->end()) return std::nullopt;
  const uint64_t end = at + 1 == known->end() ? file->groups()[group].rows : (at + 1)->from;
  return PointRows{path, at->from, end - at->from};
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
    ASSIGN_OR_RETURN(GroupScan scan, GroupScan::Open(**opened, group));
    const bool whole = fold && scan.all_good() && LiesInOne(spans, meta);
    for (size_t i = 0; i < points->size(); ++i) {
      const auto& [entry, from] = (*points)[i];
      if (entry >= wanted.size() || wanted[entry] == 0) continue;
      const size_t to = i + 1 < points->size() ? (*points)[i + 1].from : meta.rows;
      // The same point may be asked for more than once.
      const auto each = [&](const auto& call) {
        for (size_t at = wanted[entry] - 1; at < paths.size() && paths[at].entry == entry; ++at)
          call(paths[at].place);
      };
      if (RollupStep step; whole && to - from <= kScanBlock) {
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
