// What is learned of a group on the way is kept in the history's index: of a question for one point
// the rows are few, and to find them again would cost more than to read them.
#include "storage/history_group.h"

#include <algorithm>

namespace penstock::storage {
namespace {

constexpr size_t kTimeColumn = 1, kValueColumn = 3, kQualityColumn = 4;

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

Result<HistoryReader::GroupScan> HistoryReader::GroupScan::Open(HistoryReader& reader,
                                                                const ParquetFilePointer& file,
                                                                size_t group) {
  GroupScan scan;
  ASSIGN_OR_RETURN(scan.time_, reader.ColumnOf(file, group, kTimeColumn));
  ASSIGN_OR_RETURN(scan.value_, reader.ColumnOf(file, group, kValueColumn));
  scan.constant_ = file->groups()[group].chunks[kQualityColumn].constant;
  if (!scan.constant_) {
    ASSIGN_OR_RETURN(scan.quality_, reader.ColumnOf(file, group, kQualityColumn));
  }
  return scan;
}

Result<size_t> HistoryReader::GroupScan::FirstRow(size_t low, size_t high, Time time) {
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    Time at;
    TRY(time_->Read(middle, middle + 1, &at));
    if (at < time) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Status HistoryReader::GroupScan::ReadBesidesTimes(size_t from, size_t to) {
  values_.resize(to - from);
  qualities_.resize(to - from);
  TRY(value_->Read(from, to, values_.data()));
  if (!constant_) return quality_->Read(from, to, qualities_.data());
  std::ranges::fill(qualities_, *constant_);
  return {};
}

HistoryReader::Rows HistoryReader::GroupScan::Part(size_t from, size_t rows) const {
  return {std::span(times_).subspan(from, rows), std::span(values_).subspan(from, rows),
          std::span(qualities_).subspan(from, rows)};
}

Result<HistoryReader::Rows> HistoryReader::GroupScan::Read(size_t from, size_t to) {
  times_.resize(to - from);
  TRY(time_->Read(from, to, times_.data()));
  TRY(ReadBesidesTimes(from, to));
  return Part(0, to - from);
}

Status HistoryReader::GroupScan::Visit(size_t from, size_t to, std::span<const TimeSpan> spans,
                                       const std::function<void(const Rows&)>& visit) {
  for (; from < to; from += kRowsAtOnce) {
    const size_t some = std::min(kRowsAtOnce, to - from);
    times_.resize(some);
    TRY(time_->Read(from, from + some, times_.data()));
    if (times_.back() < spans.front().from || times_.front() >= spans.back().to) continue;
    TRY(ReadBesidesTimes(from, from + some));
    auto begin = times_.begin();
    for (const TimeSpan& span : spans) {
      begin = std::lower_bound(begin, times_.end(), span.from);
      if (begin == times_.end()) break;
      const auto end = std::lower_bound(begin, times_.end(), span.to);
      if (begin != end)
        visit(Part(static_cast<size_t>(begin - times_.begin()), static_cast<size_t>(end - begin)));
      begin = end;
    }
  }
  return {};
}

Result<bool> HistoryReader::GroupScan::Fold(size_t from, size_t to, RollupStep& step) {
  values_.resize(to - from);
  TRY(value_->Read(from, to, values_.data()));
  step = {};
  if (!FoldFinite(values_, step)) return false;
  TRY(time_->Read(from, from + 1, &step.first_time));
  TRY(time_->Read(to - 1, to, &step.last_time));
  step.time = step.first_time;
  return true;
}

Result<ParquetColumnReader> HistoryReader::ColumnOf(const ParquetFilePointer& file, size_t group,
                                                    size_t column) {
  ParquetPagesPointer known = index_.FindPages(file, group, column);
  const bool is_new = known == nullptr;
  ASSIGN_OR_RETURN(auto reader, ParquetColumnReader::Load(*file, group, column, std::move(known)));
  if (is_new) index_.KeepPages(file, group, column, reader.pages());
  return reader;
}

Result<HistoryIndex::PointsPointer> HistoryReader::PointsOf(const ParquetFilePointer& file,
                                                            size_t group) {
  if (auto known = index_.FindPoints(file, group)) return known;
  ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
  ASSIGN_OR_RETURN(const auto points, paths.Points());
  auto found = std::make_shared<HistoryIndex::Points>();
  found->entries.reserve(points.size());
  found->begins.reserve(points.size());
  {
    const std::lock_guard lock(mutex_);
    for (const PointRows& rows : points) {
      found->entries.push_back(points_.Find(rows.point));
      found->begins.push_back(static_cast<uint32_t>(rows.from));
    }
  }
  index_.KeepPoints(file, group, found);
  return found;
}

// A group that is asked for the first time is searched; to list its points pays from the second
// time on.
Result<std::optional<PointRows>> HistoryReader::StretchOf(const ParquetFilePointer& file,
                                                          size_t group, const std::string& path) {
  if (index_.FindPages(file, group, kTimeColumn) == nullptr) {
    ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
    ASSIGN_OR_RETURN(auto rows, paths.Find(path));
    if (rows) rows->point = path;  // The reader goes.
    return rows;
  }
  ASSIGN_OR_RETURN(const auto points, PointsOf(file, group));
  uint32_t entry = 0;
  {
    const std::lock_guard lock(mutex_);
    entry = points_.Find(path);
  }
  const auto place = points->PlaceOf(entry);
  if (!place) return std::nullopt;
  const auto [from, to] = points->RowsAt(*place, file->groups()[group].rows);
  return PointRows{path, from, to - from};
}

}  // namespace penstock::storage
