// A flush freezes the tail, writes one file per product and day, syncs them,
// and only then replaces the manifest, which names the files and the end of the
// sequences in them. A crash before that leaves files that no manifest knows;
// they are removed at the next start and the log is replayed from the
// manifest's end. A crash after it leaves nothing undone. So no row is lost and
// none is there twice, whatever was going on.
//
// It may run beside Append: what is frozen never changes and stays in every
// query's view until the catalog has its files, in the same instant. Of the
// points, which Append's thread may add to, only what never moves is borrowed.
//
// The rows are put in order here: counted per point, each point's then sorted
// by time, which they almost always are already.
#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

constexpr size_t kFlushesPerPoints = 32;  // Between two files of points, if none is new.

Metric& RowsWritten() {
  static Metric& metric =
      Counter("penstock_history_rows_written_total", "Rows written to Parquet by flushes.");
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
  FileRows(const TailByPoint& tail, Time day, Time next_day)
      : tail_(tail), day_(day), next_day_(next_day) {}
  std::vector<TailPoint> points;

  Result<std::optional<RowRun>> Next() override {
    if (next_ == points.size()) return std::nullopt;
    const TailPoint& point = points[next_++];
    tail_.Take(point.id, rows_);
    const auto times = rows_.times();
    const auto from =
        static_cast<size_t>(std::lower_bound(times.begin(), times.end(), day_) - times.begin());
    const auto to = static_cast<size_t>(std::lower_bound(times.begin(), times.end(), next_day_) -
                                        times.begin());
    const auto cut = [&](const auto& column) { return std::span(column).subspan(from, to - from); };
    if (to > from)
      lasts.push_back({point.entry, times[to - 1], FromMicros(rows_.ingest_time[to - 1]),
                       rows_.value[to - 1], rows_.quality[to - 1], rows_.sequence[to - 1]});
    const auto moment = [](std::span<const int64_t> micros) {
      return std::span(reinterpret_cast<const Time*>(micros.data()), micros.size());
    };
    return RowRun{.path = *point.path,
                  .time = times.subspan(from, to - from),
                  .ingest_time = moment(cut(rows_.ingest_time)),
                  .value = cut(rows_.value),
                  .quality = cut(rows_.quality),
                  .sequence = cut(rows_.sequence)};
  }

  std::vector<RowOfPoint> lasts;  // The latest row of each point.

 private:
  const TailByPoint& tail_;
  const Time day_, next_day_;
  TailRows rows_;
  size_t next_ = 0;
};

Status ParquetHistory::Flush() {
  uint64_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    last_flush_ = std::chrono::steady_clock::now();
    end = next_sequence_;
  }
  return FlushUntil(end);
}

void ParquetHistory::FlushSoon(std::function<void(Status)> done) {
  {
    const std::lock_guard lock(mutex_);
    last_flush_ = std::chrono::steady_clock::now();
    CHECK(flush_done_ == nullptr);
    Freeze();
    flush_end_ = next_sequence_;
    flush_done_ = std::move(done);
  }
  if (!flusher_.joinable())
    flusher_ = std::jthread([this](const std::stop_token& stop) { FlushLoop(stop); });
  flush_wanted_.notify_one();
}

// What was asked for is done before the thread ends.
void ParquetHistory::FlushLoop(const std::stop_token& stop) {
  while (true) {
    uint64_t end = 0;
    {
      std::unique_lock lock(mutex_);
      flush_wanted_.wait(lock, stop, [&] { return flush_done_ != nullptr; });
      if (flush_done_ == nullptr) return;
      end = flush_end_;
    }
    Status status = FlushUntil(end);
    std::function<void(Status)> done;
    {
      const std::lock_guard lock(mutex_);
      done = std::exchange(flush_done_, nullptr);
    }
    done(std::move(status));
  }
}

// The caller holds mutex_. Rows that could not be written go first, and alone: their file keeps its
// name.
void ParquetHistory::Freeze() {
  if (flushing_ || tail_->rows() == 0) return;
  flushing_ = tail_->Snapshot();
  flushing_end_ = tail_->sequence_end();
  tail_ = std::make_unique<HistoryTail>();
}

Status ParquetHistory::FlushUntil(uint64_t sequence_end) {
  const std::lock_guard flushing(flush_mutex_);
  while (true) {
    std::optional<TailSnapshot> frozen;
    uint64_t end = 0;
    {
      const std::lock_guard lock(mutex_);
      Freeze();
      frozen = flushing_;
      end = flushing_end_;
    }
    if (!frozen) return {};
    if (Status written = WriteFrozen(*frozen, end); !written) {
      FlushFailures().Add();
      return written;
    }
    RowsWritten().Add(frozen->rows);
    if (options_.merge_in_background) WakeMerger();
    for (Result<bool> merged = true; !options_.merge_in_background && merged && *merged;)
      if (merged = MergeOnce({}); !merged)
        LogWarn("history not merged: {}", merged.error().ToString());
    if (end >= sequence_end) return {};
  }
}

Status ParquetHistory::WriteFrozen(const TailSnapshot& frozen, uint64_t sequence_end) {
  std::vector<RowOfPoint> lasts;
  ASSIGN_OR_RETURN(const auto written, WriteTail(TailByPoint(frozen), lasts));
  TakeLasts(lasts);
  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  changed.sequence_end = std::max(changed.sequence_end, sequence_end);
  changed.old_points.clear();  // LoadPoints has taken them.
  for (const HistoryFile& file : written)
    changed.files.push_back(std::make_shared<const StoredFile>(folder_, file));
  ++flushes_since_points_;
  if (new_points_ || flushes_since_points_ >= kFlushesPerPoints)
    TRY(SavePoints(changed.sequence_end));
  return Publish(std::move(changed), true);
}

// Those with rows in the tail, by product and path. A point without a name (its thing is gone, its
// samples are in the log) is stored all the same.
std::vector<ParquetHistory::TailPoint> ParquetHistory::PointsWithRows(const TailByPoint& tail) {
  const std::lock_guard lock(mutex_);
  for (uint32_t id = 0; id < tail.points(); ++id)
    if (tail.rows_of(id) > 0 && points_.EntryOf(PointId{id}) == HistoryPoints::kNone)
      points_.Bind(PointId{id}, points_.Add(fmt::format("unnamed/{}", id), kUnnamedProduct));
  std::vector<TailPoint> found;
  for (const uint32_t entry : points_.Sorted()) {
    const HistoryPoints::Entry& point = points_[entry];
    if (point.id < tail.points() && tail.rows_of(point.id) > 0)
      found.push_back({entry, point.id, &point.path, &points_.product(point.product)});
  }
  return found;
}

Result<std::vector<HistoryFile>> ParquetHistory::WriteTail(const TailByPoint& tail,
                                                           std::vector<RowOfPoint>& lasts) {
  std::map<std::pair<std::string, std::string>, FileRows> groups;  // By product and day.
  TailRows one;
  constexpr Time kBegin = Time::min(), kEnd = Time::max();
  const bool one_day = DayOf(tail.first_time()) == DayOf(tail.last_time());
  // Of most flushes all points of a product go into one file: its group is not looked up again.
  FileRows* group = nullptr;
  const std::string* group_product = nullptr;
  const auto group_of = [&](const std::string& product, const std::string& day) {
    // Times outside the days that have names stay with the first or the last of them.
    const Time begin = *DayBegin(day), next = begin + std::chrono::days(1);
    const bool is_first = begin == Time{}, is_last = DayOf(next) == day;
    return &groups
                .try_emplace({product, day}, tail, is_first ? kBegin : begin, is_last ? kEnd : next)
                .first->second;
  };
  for (const TailPoint& point : PointsWithRows(tail)) {
    if (one_day) {
      if (std::exchange(group_product, point.product) != point.product)
        group = group_of(*point.product, DayOf(tail.first_time()));
      group->points.push_back(point);
      continue;
    }
    tail.Take(point.id, one);
    for (auto time = one.times().begin(); time != one.times().end();) {
      const std::string day = DayOf(*time);
      group_of(*point.product, day)->points.push_back(point);
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

}  // namespace penstock::storage
