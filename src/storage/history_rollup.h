// Rollups: count, bad, good, min, max, sum, first and last of a point per step
// of a second, a minute or an hour, as Parquet files. They are partial: each is
// over the rows of certain raw files, and steps of several files are merged
// when they are read. So a late row needs no repair of what was written, and a
// row that is in a raw file is in exactly one rollup of a level.
//
// Thread rule: one caller.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/duck.h"
#include "storage/history_fold.h"
#include "storage/parquet_reader.h"
#include "storage/parquet_writer.h"

namespace penstock::storage {

inline constexpr Duration kSecondStep = std::chrono::seconds(1);
inline constexpr Duration kMinuteStep = std::chrono::minutes(1);
inline constexpr Duration kHourStep = std::chrono::hours(1);
// Fewer rows in a step than this, on average, are read as they are.
inline constexpr size_t kRowsWorthAStep = 256;

std::span<const ParquetColumn> RollupColumns();

// Steps of one file, in the order of the points; the file is made when the
// first step comes.
class RollupWriter {
 public:
  explicit RollupWriter(std::string path) : path_(std::move(path)) {}
  Status Add(std::string_view point, std::span<const RollupStep> steps);
  // True when there is a file; it is synced.
  Result<bool> Finish();
  uint64_t rows() const { return rows_; }
  uint64_t bytes() const { return writer_ ? writer_->bytes() : 0; }
  Time first() const { return first_; }
  Time last() const { return last_; }

 private:
  const std::string path_;
  std::unique_ptr<ParquetWriter> writer_;
  uint64_t rows_ = 0;
  Time first_ = Time::max(), last_ = Time::min();
};

// Folds the rows of a file on their way to it, point by point.
class RollupBuilder {
 public:
  // `all`: also steps of few rows.
  RollupBuilder(Duration grain, std::string path, bool all)
      : grain_(grain), all_(all), writer_(std::move(path)) {}
  Status Add(const RowRun& run);
  Result<bool> Finish();
  Status EndPoint();  // The last point's steps are done.
  RollupWriter& writer() { return writer_; }

 private:
  const Duration grain_;
  const bool all_;
  RollupWriter writer_;
  std::string point_;
  size_t rows_ = 0;
  bool given_up_ = false;
  std::vector<RollupStep> steps_;
};

// How the rows of one point are found in a row group, and a column of it is read: who asks often
// keeps what was learned.
struct GroupAccess {
  std::function<Result<std::optional<PointRows>>(size_t group)> rows;
  std::function<Result<ParquetColumnReader>(size_t group, size_t column)> column;
};
// Calls `visit` with the steps of `point` in these spans. False when the file
// does not have the point.
using VisitSteps = std::function<void(const RollupStep&)>;
Result<bool> ReadSteps(const ParquetFile& file, std::string_view point, const GroupAccess& access,
                       std::span<const TimeSpan> spans, const VisitSteps& visit);

// The same for many points, sorted by path, in one pass over the file;
// `found[place]` becomes true.
struct SortedPath {
  std::string_view path;
  size_t place;
  uint32_t entry = UINT32_MAX;  // Of HistoryPoints, where that is known.
};
Status ReadSteps(const ParquetFile& file, std::span<const SortedPath> paths,
                 std::span<const TimeSpan> spans,
                 const std::function<void(size_t place, const RollupStep&)>& visit,
                 std::vector<bool>* found);

// Calls take(place, rows) for each point of a row group that is asked for.
template <typename Take>
Status JoinPoints(std::span<const PointRows> points, std::span<const SortedPath> asked,
                  const Take& take) {
  auto wanted = asked.begin();
  for (const PointRows& rows : points) {
    while (wanted != asked.end() && wanted->path < rows.point) ++wanted;
    for (auto same = wanted; same != asked.end() && same->path == rows.point; ++same)
      TRY(take(same->place, rows));
    if (wanted == asked.end()) break;
  }
  return {};
}

// All steps of a file, point by point, for merging.
class RollupCursor {
 public:
  explicit RollupCursor(ParquetFilePointer file) : file_(std::move(file)) {}
  // The next point; false at the end.
  Result<bool> Next();
  const std::string& point() const { return point_; }
  const std::vector<RollupStep>& steps() const { return steps_; }

 private:
  Status LoadGroup();

  ParquetFilePointer file_;
  size_t group_ = 0;
  std::optional<ParquetColumnReader> paths_;
  std::vector<PointRows> points_;
  std::vector<RollupStep> rows_;
  size_t at_ = 0;
  std::string point_;
  std::vector<RollupStep> steps_;
};

}  // namespace penstock::storage
