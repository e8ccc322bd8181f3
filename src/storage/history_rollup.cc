// A rollup by hours or minutes of many points would cost more bytes than it
// saves when a point has a row every ten seconds; so steps of few rows are left
// out by seconds and minutes, and the reader takes the rows themselves. By
// hours every point has its steps, because a year is made of them.
//
// Row groups are small here: a chart wants some hundred steps of one point, and
// reads whole chunks.
#include "storage/history_rollup.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"

namespace penstock::storage {
namespace {

constexpr ParquetColumn kRollupColumns[] = {
    {"point", ParquetKind::kText},      {"time", ParquetKind::kTime},
    {"count", ParquetKind::kInt64},     {"bad", ParquetKind::kInt64},
    {"good", ParquetKind::kInt64},      {"min", ParquetKind::kDouble},
    {"max", ParquetKind::kDouble},      {"sum", ParquetKind::kDouble},
    {"first", ParquetKind::kDouble},    {"last", ParquetKind::kDouble},
    {"first_time", ParquetKind::kTime}, {"last_time", ParquetKind::kTime}};
constexpr ParquetOptions kOptions{.group_rows = 1 << 14, .page_rows = 1 << 14};

// The columns of steps, behind the point.
struct StepColumns {
  std::vector<int64_t> time, count, bad, good;
  std::vector<double> min, max, sum, first, last;
  std::vector<int64_t> first_time, last_time;

  void Resize(size_t rows) {
    for (auto* column : {&time, &count, &bad, &good, &first_time, &last_time}) column->resize(rows);
    for (auto* column : {&min, &max, &sum, &first, &last}) column->resize(rows);
  }
  std::array<void*, 11> data() {
    return {time.data(), count.data(), bad.data(),  good.data(),       min.data(),      max.data(),
            sum.data(),  first.data(), last.data(), first_time.data(), last_time.data()};
  }
  void Put(size_t at, const RollupStep& s) {
    time[at] = ToMicros(s.time);
    count[at] = s.count;
    bad[at] = s.bad;
    good[at] = s.good;
    min[at] = s.min;
    max[at] = s.max;
    sum[at] = s.sum;
    first[at] = s.first;
    last[at] = s.last;
    first_time[at] = ToMicros(s.first_time);
    last_time[at] = ToMicros(s.last_time);
  }
  RollupStep Get(size_t at) const {
    return {FromMicros(time[at]),
            count[at],
            bad[at],
            good[at],
            min[at],
            max[at],
            sum[at],
            first[at],
            last[at],
            FromMicros(first_time[at]),
            FromMicros(last_time[at])};
  }
};

// Rows [from, to) of all columns but the point, each of them as `open` gives it.
template <typename Open>
Status ReadColumns(const Open& open, size_t from, size_t to, StepColumns& columns) {
  columns.Resize(to - from);
  const auto data = columns.data();
  for (size_t c = 0; c < data.size(); ++c) {
    ASSIGN_OR_RETURN(ParquetColumnReader reader, open(c + 1));
    TRY(reader.Read(from, to, data[c]));
  }
  return {};
}

Status ReadAllColumns(const ParquetFile& file, size_t group, StepColumns& columns) {
  return ReadColumns([&](size_t c) { return ParquetColumnReader::Load(file, group, c); }, 0,
                     file.groups()[group].rows, columns);
}

}  // namespace

std::span<const ParquetColumn> RollupColumns() { return kRollupColumns; }

Status RollupWriter::Add(std::string_view point, std::span<const RollupStep> steps) {
  if (steps.empty()) return {};
  if (!writer_) {
    TRY(MakeFolders(std::filesystem::path(path_).parent_path().string()));
    ASSIGN_OR_RETURN(writer_, ParquetWriter::Create(path_, kRollupColumns, kOptions));
  }
  StepColumns columns;
  columns.Resize(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) columns.Put(i, steps[i]);
  const auto data = columns.data();
  const std::vector<const void*> given(data.begin(), data.end());
  TRY(writer_->Add(point, given, steps.size()));
  rows_ += steps.size();
  first_ = std::min(first_, steps.front().time);
  last_ = std::max(last_, steps.back().time);
  return {};
}

Result<bool> RollupWriter::Finish() {
  if (!writer_) return false;
  TRY(writer_->Finish());
  return true;
}

Status RollupBuilder::Add(const RowRun& run) {
  if (point_ != run.path) {
    TRY(EndPoint());
    point_ = run.path;
    given_up_ = !all_ && run.size() < kRowsWorthAStep;
  }
  if (given_up_) return {};
  rows_ += run.size();
  FoldSteps(grain_, run.time, run.value, run.quality, steps_);
  // A point that will not pay is not folded on.
  given_up_ = !all_ && steps_.size() > 256 && rows_ < steps_.size() * kRowsWorthAStep / 2;
  return {};
}

Status RollupBuilder::EndPoint() {
  const bool pays = all_ || (!given_up_ && rows_ >= steps_.size() * kRowsWorthAStep);
  if (pays) TRY(writer_.Add(point_, steps_));
  steps_.clear();
  rows_ = 0;
  given_up_ = false;
  return {};
}

Result<bool> RollupBuilder::Finish() {
  TRY(EndPoint());
  return writer_.Finish();
}

Result<bool> ReadSteps(const ParquetFile& file, std::string_view point, const GroupAccess& access,
                       std::span<const TimeSpan> spans, const VisitSteps& visit) {
  bool found = false;
  for (size_t group = 0; group < file.groups().size(); ++group) {
    const ParquetFile::Group& meta = file.groups()[group];
    if (point < meta.first_point || point > meta.last_point) continue;
    ASSIGN_OR_RETURN(const auto rows, access.rows(group));
    if (!rows) continue;
    found = true;
    if (spans.empty() || meta.last_time < spans.front().from || meta.first_time >= spans.back().to)
      continue;
    std::vector<Time> times(rows->rows);
    ASSIGN_OR_RETURN(ParquetColumnReader time_column, access.column(group, 1));
    TRY(time_column.Read(rows->from, rows->from + rows->rows, times.data()));
    const auto first = std::ranges::lower_bound(times, spans.front().from),
               last = std::ranges::lower_bound(times, spans.back().to);
    if (first == last) continue;
    const size_t from = rows->from + static_cast<size_t>(first - times.begin()),
                 count = static_cast<size_t>(last - first);
    StepColumns columns;
    TRY(ReadColumns([&](size_t c) { return access.column(group, c); }, from, from + count,
                    columns));
    auto span = spans.begin();
    for (size_t i = 0; i < count && span != spans.end(); ++i) {
      const Time time = FromMicros(columns.time[i]);
      while (span != spans.end() && span->to <= time) ++span;
      if (span != spans.end() && time >= span->from) visit(columns.Get(i));
    }
  }
  return found;
}

Status ReadSteps(const ParquetFile& file, std::span<const SortedPath> paths,
                 std::span<const TimeSpan> spans,
                 const std::function<void(size_t place, const RollupStep&)>& visit,
                 std::vector<bool>* found) {
  for (size_t group = 0; group < file.groups().size(); ++group) {
    const ParquetFile::Group& meta = file.groups()[group];
    const auto first =
        std::lower_bound(paths.begin(), paths.end(), meta.first_point,
                         [](const SortedPath& a, const std::string& b) { return a.path < b; });
    if (first == paths.end() || first->path > meta.last_point) continue;
    ASSIGN_OR_RETURN(auto points, ParquetColumnReader::Load(file, group, 0));
    ASSIGN_OR_RETURN(const auto rows, points.Points());
    StepColumns columns;
    TRY(ReadAllColumns(file, group, columns));
    TRY(JoinPoints(rows, paths.subspan(static_cast<size_t>(first - paths.begin())),
                   [&](size_t place, const PointRows& some) -> Status {
                     if (found != nullptr) (*found)[place] = true;
                     auto span = spans.begin();
                     for (size_t i = some.from; i < some.from + some.rows; ++i) {
                       const Time time = FromMicros(columns.time[i]);
                       while (span != spans.end() && span->to <= time) ++span;
                       if (span == spans.end()) break;
                       if (time >= span->from) visit(place, columns.Get(i));
                     }
                     return {};
                   }));
  }
  return {};
}

Status RollupCursor::LoadGroup() {
  StepColumns columns;
  const size_t rows = file_->groups()[group_].rows;
  TRY(ReadAllColumns(*file_, group_, columns));
  rows_.clear();
  for (size_t i = 0; i < rows; ++i) rows_.push_back(columns.Get(i));
  ASSIGN_OR_RETURN(paths_, ParquetColumnReader::Load(*file_, group_, 0));
  ASSIGN_OR_RETURN(points_, paths_->Points());
  at_ = 0;
  ++group_;
  return {};
}

Result<bool> RollupCursor::Next() {
  steps_.clear();
  while (true) {
    if (at_ == points_.size()) {
      if (group_ == file_->groups().size()) return !steps_.empty();
      TRY(LoadGroup());
    }
    const PointRows& rows = points_[at_];
    if (!steps_.empty() && rows.point != point_) return true;
    if (steps_.empty()) point_ = rows.point;
    steps_.insert(steps_.end(), rows_.begin() + static_cast<ptrdiff_t>(rows.from),
                  rows_.begin() + static_cast<ptrdiff_t>(rows.from + rows.rows));
    ++at_;
  }
}

}  // namespace penstock::storage
