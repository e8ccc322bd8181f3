// Merging small files of one product and day into a larger one, in the
// background and within bounded memory: the inputs are sorted, so they are read
// side by side, a block of rows of each in memory. Of one point the input with
// the earliest row gives all its rows up to the next input's, which mostly is
// all of them. A row that two files have (same point, time and sequence) is
// written once.
//
// The first merge of a row also takes it into the rollup by hours; those
// rollups are merged by themselves, month by month.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "storage/disk.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

constexpr size_t kMergeBlockRows = 1 << 14;

std::string FileList(std::span<const std::string> paths) {
  std::string list;
  for (const std::string& path : paths) list += (list.empty() ? "" : ",") + SqlText(path);
  return "read_parquet([" + list + "])";
}

// The rows of a source in the order of a file, a stretch of one point at a
// time.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  // The next stretch becomes run(); false at the end.
  virtual Result<bool> Advance() = 0;

  RowRun run;
  size_t at = 0;  // Rows before it are used up.

  bool HasRows() const { return at < run.size(); }
  std::pair<Time, uint64_t> head() const { return {run.time[at], run.sequence[at]}; }
};

class OwnCursor final : public RowCursor {
 public:
  explicit OwnCursor(ParquetFilePointer file) : file_(std::move(file)) {}

  Result<bool> Advance() override {
    while (point_ == points_.size()) {
      if (group_ == file_->groups().size()) return false;
      TRY(LoadGroup());
    }
    const PointRows& rows = points_[point_];
    const size_t from = rows.from + done_, some = std::min(kMergeBlockRows, rows.rows - done_);
    time_.resize(some);
    ingest_.resize(some);
    value_.resize(some);
    quality_.resize(some);
    sequence_.resize(some);
    void* const into[] = {time_.data(), ingest_.data(), value_.data(), quality_.data(),
                          sequence_.data()};
    for (size_t c = 0; c < std::size(into); ++c) TRY(columns_[c].Read(from, from + some, into[c]));
    run = {rows.point, time_, ingest_, value_, quality_, sequence_};
    at = 0;
    done_ += some;
    if (done_ == rows.rows) ++point_, done_ = 0;
    return true;
  }

 private:
  Status LoadGroup() {
    columns_.clear();
    ASSIGN_OR_RETURN(paths_, ParquetColumnReader::Load(*file_, group_, 0));
    for (size_t c = 1; c <= 5; ++c) {
      ASSIGN_OR_RETURN(auto reader, ParquetColumnReader::Load(*file_, group_, c));
      columns_.push_back(std::move(reader));
    }
    ASSIGN_OR_RETURN(points_, paths_->Points());
    point_ = done_ = 0;
    ++group_;
    return {};
  }

  const ParquetFilePointer file_;
  size_t group_ = 0, point_ = 0, done_ = 0;
  std::optional<ParquetColumnReader> paths_;
  std::vector<ParquetColumnReader> columns_;
  std::vector<PointRows> points_;
  std::vector<Time> time_, ingest_;
  std::vector<double> value_;
  std::vector<uint32_t> quality_;
  std::vector<uint64_t> sequence_;
};

// All files of other writers together, sorted by DuckDB, on disk when it must.
class ForeignCursor final : public RowCursor {
 public:
  static Result<std::unique_ptr<RowCursor>> Open(Duck& duck, std::span<const std::string> files) {
    auto cursor = std::make_unique<ForeignCursor>();
    ASSIGN_OR_RETURN(
        cursor->cursor_,
        duck.Ask(fmt::format("SELECT point, time, ingest_time, value, quality, sequence "
                             "FROM {} ORDER BY point, time, sequence",
                             FileList(files))));
    return cursor;
  }
  Result<bool> Advance() override {
    if (chunk_ == nullptr || next_ == chunk_->size()) {
      ASSIGN_OR_RETURN(chunk_, cursor_->Next());
      next_ = 0;
      if (chunk_ == nullptr) return false;
    }
    const std::string_view path = chunk_->Text(0, next_);
    size_t end = next_ + 1;
    while (end < chunk_->size() && chunk_->Text(0, end) == path) ++end;
    const size_t from = std::exchange(next_, end), count = end - from;
    run = {path,
           chunk_->Column<Time>(1).subspan(from, count),
           chunk_->Column<Time>(2).subspan(from, count),
           chunk_->Column<double>(3).subspan(from, count),
           chunk_->Column<uint32_t>(4).subspan(from, count),
           chunk_->Column<uint64_t>(5).subspan(from, count)};
    at = 0;
    return true;
  }

 private:
  std::unique_ptr<Duck::Cursor> cursor_;
  const Duck::Chunk* chunk_ = nullptr;
  size_t next_ = 0;
};

}  // namespace

class ParquetHistory::MergedRows final : public RowSource {
 public:
  explicit MergedRows(std::stop_token stop) : stop_(std::move(stop)) {}

  Status Open(ParquetHistory& history, std::span<const StoredFilePointer> files) {
    std::vector<std::string> foreign;
    for (const StoredFilePointer& file : files) {
      auto own = history.OpenRows(*file);
      if (own) {
        cursors_.push_back(std::make_unique<OwnCursor>(*own));
      } else if (own.error().code == Code::kUnimplemented) {
        ASSIGN_OR_RETURN(const HistoryFileView local, history.Local(ViewOf(*file)));
        foreign.push_back(local.path);
        kept_.push_back(local.keep);
      } else {
        return std::unexpected(own.error());
      }
    }
    if (!foreign.empty()) {
      ASSIGN_OR_RETURN(auto cursor, ForeignCursor::Open(*history.duck_, foreign));
      cursors_.push_back(std::move(cursor));
    }
    for (auto& cursor : cursors_) TRY(cursor->Advance());
    return {};
  }

  uint64_t repeated() const { return repeated_; }

  Result<std::optional<RowRun>> Next() override {
    if (stop_.stop_requested()) return Cancelled("the node stops");
    if (last_ != nullptr) TRY(Refill(std::exchange(last_, nullptr)));
    while (true) {
      if (active_.empty() && !NextPoint()) return std::nullopt;
      // The input with the earliest row, and where the next one's rows begin.
      RowCursor *first = active_.front(), *second = nullptr;
      for (size_t i = 1; i < active_.size(); ++i) {
        RowCursor* const other = active_[i];
        if (other->head() < first->head()) {
          second = std::exchange(first, other);
        } else if (second == nullptr || other->head() < second->head()) {
          second = other;
        }
      }
      const size_t from = first->at;
      size_t to = first->run.size();
      if (second != nullptr) {
        to = Before(*first, from, to, second->head());
        if (to == from) {  // Equal heads: the same row twice.
          ++repeated_;
          ++first->at;
          TRY(Refill(first));
          continue;
        }
      }
      const auto part = [&](const auto& column) { return column.subspan(from, to - from); };
      last_ = first;
      first->at = to;
      return RowRun{point_,
                    part(first->run.time),
                    part(first->run.ingest_time),
                    part(first->run.value),
                    part(first->run.quality),
                    part(first->run.sequence)};
    }
  }

 private:
  static size_t Before(const RowCursor& cursor, size_t low, size_t high,
                       std::pair<Time, uint64_t> head) {
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      if (std::pair(cursor.run.time[middle], cursor.run.sequence[middle]) < head) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  // The inputs that have the next point.
  bool NextPoint() {
    const RowCursor* least = nullptr;
    for (const auto& cursor : cursors_)
      if (cursor->HasRows() && (least == nullptr || cursor->run.path < least->run.path))
        least = cursor.get();
    if (least == nullptr) return false;
    point_ = least->run.path;
    for (const auto& cursor : cursors_)
      if (cursor->HasRows() && cursor->run.path == point_) active_.push_back(cursor.get());
    return true;
  }
  // After rows were given out their input may need the next stretch.
  Status Refill(RowCursor* cursor) {
    if (cursor->HasRows()) return {};
    ASSIGN_OR_RETURN(const bool more, cursor->Advance());
    if (!more) cursor->run = {}, cursor->at = 0;
    if (!more || cursor->run.path != point_) std::erase(active_, cursor);
    return {};
  }

  const std::stop_token stop_;
  std::vector<std::unique_ptr<RowCursor>> cursors_;
  std::vector<RowCursor*> active_;                 // Those that have rows of point_.
  RowCursor* last_ = nullptr;                      // Whose rows were given out.
  std::vector<std::shared_ptr<const void>> kept_;  // Files that were brought here for this.
  std::string point_;
  uint64_t repeated_ = 0;
};

void ParquetHistory::WakeMerger() {
  const std::lock_guard lock(mutex_);
  merge_due_ = true;
  merge_wanted_.notify_one();
}

// What is to be merged next: first files that may have a row twice, then those
// that were never rolled up by hours, then small ones.
ParquetHistory::MergeTask ParquetHistory::FindTask(const Catalog& catalog) const {
  if (auto overlapping = FindOverlap(catalog); !overlapping.empty())
    return {std::move(overlapping), true};
  for (const StoredFilePointer& file : catalog.files)
    if (file->info.level > 0 && !file->info.by_hour && !file->info.archived) return {{file}, false};
  std::vector<StoredFilePointer> files = FindMerge(catalog, options_.merge_files);
  const auto rolled = [](const auto& file) { return file->info.by_hour; };
  if (std::any_of(files.begin(), files.end(), rolled) &&
      !std::all_of(files.begin(), files.end(), rolled)) {
    std::erase_if(files, rolled);
    return {{files.front()}, false};
  }
  return {std::move(files), true};
}

// Does one task; false when there is none.
Result<bool> ParquetHistory::MergeOnce(const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const bool condensed, Condense(stop));
  if (condensed) return true;
  const MergeTask task = FindTask(*catalog());
  if (task.inputs.empty()) return MergeRollups(stop);
  const HistoryFile& first = task.inputs.front()->info;
  HistoryFile merged{.product = first.product, .day = first.day, .level = first.level + 1};
  bool rolled = true;
  for (const auto& input : task.inputs) {
    merged.level = std::max(merged.level, input->info.level + 1);
    rolled = rolled && input->info.by_hour;
  }
  MergedRows rows(stop);
  TRY(rows.Open(*this, task.inputs));
  std::optional<HistoryRollup> hours;
  if (!rolled) hours = HistoryRollup{.product = first.product, .period = first.day.substr(0, 7)};
  if (task.merge) {
    TRY(WriteFile(rows, merged, hours ? &*hours : nullptr));
    merged.by_hour = true;
  } else {
    TRY(RollUp(rows, *hours));
    merged = first;
    merged.by_hour = true;
  }

  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  const size_t before = changed.files.size();
  std::erase_if(changed.files, [&](const StoredFilePointer& file) {
    return std::find(task.inputs.begin(), task.inputs.end(), file) != task.inputs.end();
  });
  auto output = std::make_shared<const StoredFile>(folder_, std::move(merged));
  std::shared_ptr<const StoredRollup> rollup;
  if (hours && hours->rows > 0) rollup = std::make_shared<const StoredRollup>(folder_, *hours);
  if (before - changed.files.size() != task.inputs.size()) {
    // The day was dropped meanwhile.
    if (task.merge) output->UnlinkWhenUnused();
    if (rollup) rollup->UnlinkWhenUnused();
    return true;
  }
  changed.files.push_back(output);
  if (rollup) changed.rollups.push_back(rollup);
  TRY(Publish(std::move(changed), false));
  if (!task.merge) return true;
  for (const StoredFilePointer& input : task.inputs) {
    // Of an input that held all the rows of the others the output has taken the name.
    if (input->path != output->path) input->UnlinkWhenUnused();
    ForgetOpened(*input);
  }
  return true;
}

// Rollups by hours of one product and month become one.
Result<bool> ParquetHistory::MergeRollups(const std::stop_token& stop) {
  const std::vector<StoredRollupPointer> inputs = FindRollupMerge(*catalog());
  if (inputs.empty()) return false;
  HistoryRollup merged = inputs.front()->info;
  std::vector<RollupCursor> cursors;
  std::vector<bool> has;
  for (const StoredRollupPointer& input : inputs) {
    merged.level = std::max(merged.level, input->info.level + 1);
    merged.first_sequence = std::min(merged.first_sequence, input->info.first_sequence);
    merged.last_sequence = std::max(merged.last_sequence, input->info.last_sequence);
    ASSIGN_OR_RETURN(auto file, OpenSteps(*input));
    cursors.emplace_back(std::move(file));
    ASSIGN_OR_RETURN(const bool any, cursors.back().Next());
    has.push_back(any);
  }
  const std::string path = folder_ + "/" + merged.RelativePath(), temporary = path + ".tmp";
  RollupWriter writer(temporary);
  std::vector<RollupStep> steps;
  while (!stop.stop_requested()) {
    const std::string* point = nullptr;
    for (size_t i = 0; i < cursors.size(); ++i)
      if (has[i] && (point == nullptr || cursors[i].point() < *point)) point = &cursors[i].point();
    if (point == nullptr) break;
    const std::string present = *point;
    steps.clear();
    for (size_t i = 0; i < cursors.size(); ++i) {
      if (!has[i] || cursors[i].point() != present) continue;
      steps.insert(steps.end(), cursors[i].steps().begin(), cursors[i].steps().end());
      ASSIGN_OR_RETURN(const bool more, cursors[i].Next());
      has[i] = more;
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const RollupStep& a, const RollupStep& b) { return a.time < b.time; });
    size_t kept = 0;
    for (size_t i = 1; i < steps.size(); ++i) {
      if (steps[i].time == steps[kept].time) {
        MergeStep(steps[kept], steps[i]);
      } else {
        steps[++kept] = steps[i];
      }
    }
    TRY(writer.Add(present, std::span(steps).first(kept + 1)));
  }
  if (stop.stop_requested()) return Cancelled("the node stops");
  TRY(CommitRollup(writer, merged));

  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  const size_t before = changed.rollups.size();
  std::erase_if(changed.rollups, [&](const StoredRollupPointer& rollup) {
    return std::find(inputs.begin(), inputs.end(), rollup) != inputs.end();
  });
  auto output = std::make_shared<const StoredRollup>(folder_, std::move(merged));
  if (before - changed.rollups.size() != inputs.size()) {
    output->UnlinkWhenUnused();
    return true;
  }
  changed.rollups.push_back(output);
  TRY(Publish(std::move(changed), false));
  for (const StoredRollupPointer& input : inputs) {
    input->UnlinkWhenUnused();
    ForgetOpened(*input);
  }
  return true;
}

Status ParquetHistory::RollUpFiles(std::span<const StoredFilePointer> files, HistoryRollup& rollup,
                                   const std::stop_token& stop) {
  if (files.empty()) return {};
  MergedRows rows(stop);
  TRY(rows.Open(*this, files));
  return RollUp(rows, rollup);
}

// A rollup alone, of rows that are in files already.
Status ParquetHistory::RollUp(RowSource& rows, HistoryRollup& rollup) {
  rollup.first_sequence = UINT64_MAX;
  rollup.last_sequence = 0;
  const std::string temporary = folder_ + "/" + rollup.RelativePath() + ".tmp";
  RollupBuilder builder(rollup.hours ? kHourStep : kMinuteStep, temporary, true);
  while (true) {
    ASSIGN_OR_RETURN(const auto run, rows.Next());
    if (!run) break;
    for (const uint64_t sequence : run->sequence) {
      rollup.first_sequence = std::min(rollup.first_sequence, sequence);
      rollup.last_sequence = std::max(rollup.last_sequence, sequence);
    }
    TRY(builder.Add(*run));
  }
  TRY(builder.EndPoint());
  return CommitRollup(builder.writer(), rollup, temporary);
}

// Gives a rollup its name and fills in what it has. Nothing when it has no
// rows.
Status ParquetHistory::CommitRollup(RollupWriter& writer, HistoryRollup& rollup,
                                    std::string temporary) {
  if (temporary.empty()) temporary = folder_ + "/" + rollup.RelativePath() + ".tmp";
  rollup.rows = writer.rows();
  ASSIGN_OR_RETURN(const bool any, writer.Finish());
  if (!any) return {};
  rollup.bytes = writer.bytes();
  rollup.first_time = writer.first();
  rollup.last_time = writer.last();
  const std::string path = folder_ + "/" + rollup.RelativePath();
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return FileError(errno, "cannot rename to", path);
  for (std::filesystem::path folder = std::filesystem::path(path).parent_path();;
       folder = folder.parent_path()) {
    TRY(SyncFolder(folder.string()));
    if (folder == std::filesystem::path(folder_)) return {};
  }
}

void ParquetHistory::MergeLoop(const std::stop_token& stop) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()),
              10);  // Linux: of this thread alone.
  while (!stop.stop_requested()) {
    Result<bool> merged = MergeOnce(stop);
    if (!merged && merged.error().code != Code::kCancelled)
      LogSometimes(LogLevel::kWarn, "history merge",
                   "history not merged: " + merged.error().ToString());
    if (merged && *merged) continue;
    std::unique_lock lock(mutex_);
    merge_wanted_.wait(lock, stop, [&] { return merge_due_; });
    merge_due_ = false;
  }
}

}  // namespace penstock::storage
