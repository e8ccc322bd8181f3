// Merging small files of one product and day into a larger one, in the background and within
// bounded memory.
//
// The inputs are sorted, and their points' times seldom overlap, so most of a merge is copying. It
// is done piece by piece in the order of the output: many small points at once, sorted by DuckDB in
// memory; a large point (a waveform) alone, and unsorted when its files follow each other in time.
// Should late samples make them overlap, DuckDB sorts that point too, on disk when it must.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

#include "base/log.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

constexpr uint64_t kRowsSortedAtOnce = 400'000;

std::string FileList(std::span<const std::string> paths) {
  std::string list;
  for (const std::string& path : paths) list += (list.empty() ? "" : ",") + SqlText(path);
  return "read_parquet([" + list + "], filename = true)";
}

}  // namespace

class ParquetHistory::MergedRows final : public RowSource {
 public:
  MergedRows(Duck& duck, std::span<const StoredFilePointer> files, std::stop_token stop)
      : duck_(duck), stop_(std::move(stop)) {
    for (const StoredFilePointer& file : files) all_files_.push_back(file->path);
  }

  // Cuts the output into pieces. Must come first.
  Status Plan();
  uint64_t rows() const { return rows_; }
  Result<std::optional<RowRun>> Next() override;

 private:
  struct Part {  // What one file has of one point.
    std::string file;
    Time first, last;
    uint64_t rows = 0;
  };
  struct Piece {
    std::string first, last;  // Points, both included.
    uint64_t rows = 0;
    std::vector<std::string> files;
    bool sort = true;
  };
  void AddPoint(const std::string& path, std::vector<Part> parts);
  std::string Question(const Piece& piece) const;

  Duck& duck_;
  const std::stop_token stop_;
  std::vector<std::string> all_files_;
  std::deque<Piece> pieces_;
  uint64_t rows_ = 0;
  std::unique_ptr<Duck::Cursor> cursor_;  // Of the piece being read.
  const Duck::Chunk* chunk_ = nullptr;
  size_t at_ = 0;
};

Status ParquetHistory::MergedRows::Plan() {
  std::map<std::string, std::vector<Part>> points;
  TRY(duck_.Query(
      fmt::format(
          "SELECT point, filename, min(time), max(time), count(*) FROM {} GROUP BY point, filename",
          FileList(all_files_)),
      [&](const Duck::Chunk& chunk) {
        for (size_t i = 0; i < chunk.size(); ++i)
          points[std::string(chunk.Text(0, i))].push_back(
              {.file = std::string(chunk.Text(1, i)),
               .first = chunk.Column<Time>(2)[i],
               .last = chunk.Column<Time>(3)[i],
               .rows = static_cast<uint64_t>(chunk.Column<int64_t>(4)[i])});
        return true;
      }));
  for (auto& [path, parts] : points) AddPoint(path, std::move(parts));
  return {};
}

void ParquetHistory::MergedRows::AddPoint(const std::string& path, std::vector<Part> parts) {
  uint64_t rows = 0;
  for (const Part& part : parts) rows += part.rows;
  rows_ += rows;
  if (!pieces_.empty() && pieces_.back().rows + rows <= kRowsSortedAtOnce) {
    pieces_.back().last = path;
    pieces_.back().rows += rows;
    return;
  }
  Piece piece{.first = path, .last = path, .rows = rows, .files = all_files_};
  if (rows > kRowsSortedAtOnce) {
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.first < b.first; });
    piece.files.clear();
    piece.sort = false;
    for (size_t i = 0; i < parts.size(); ++i) {
      piece.files.push_back(parts[i].file);
      if (i > 0 && parts[i].first < parts[i - 1].last) piece.sort = true;
    }
  }
  pieces_.push_back(std::move(piece));
}

std::string ParquetHistory::MergedRows::Question(const Piece& piece) const {
  return fmt::format(
      "SELECT point, time, ingest_time, value, quality, sequence FROM {} WHERE point >= {} AND "
      "point <= {}{}",
      FileList(piece.files), SqlText(piece.first), SqlText(piece.last),
      piece.sort ? " ORDER BY point, time, sequence" : "");
}

// The next rows of one point out of the present chunk.
Result<std::optional<RowRun>> ParquetHistory::MergedRows::Next() {
  if (stop_.stop_requested()) return Cancelled("the node stops");
  while (chunk_ == nullptr || at_ == chunk_->size()) {
    if (cursor_ == nullptr) {
      if (pieces_.empty()) return std::nullopt;
      ASSIGN_OR_RETURN(cursor_, duck_.Ask(Question(pieces_.front())));
      pieces_.pop_front();
    }
    ASSIGN_OR_RETURN(chunk_, cursor_->Next());
    at_ = 0;
    if (chunk_ == nullptr) cursor_.reset();
  }
  const std::string_view path = chunk_->Text(0, at_);
  size_t end = at_ + 1;
  while (end < chunk_->size() && chunk_->Text(0, end) == path) ++end;
  const size_t from = std::exchange(at_, end), count = end - from;
  return RowRun{.path = path,
                .time = chunk_->Column<Time>(1).subspan(from, count),
                .ingest_time = chunk_->Column<Time>(2).subspan(from, count),
                .value = chunk_->Column<double>(3).subspan(from, count),
                .quality = chunk_->Column<uint32_t>(4).subspan(from, count),
                .sequence = chunk_->Column<uint64_t>(5).subspan(from, count)};
}

// Merges one group; false when there is none.
Result<bool> ParquetHistory::MergeOnce(const std::stop_token& stop) {
  const std::vector<StoredFilePointer> inputs = FindMerge(*catalog(), options_.merge_files);
  if (inputs.empty()) return false;
  HistoryFile merged = inputs.front()->info;
  ++merged.level;
  for (const StoredFilePointer& input : inputs) {
    merged.first_sequence = std::min(merged.first_sequence, input->info.first_sequence);
    merged.last_sequence = std::max(merged.last_sequence, input->info.last_sequence);
    merged.first_time = std::min(merged.first_time, input->info.first_time);
    merged.last_time = std::max(merged.last_time, input->info.last_time);
  }
  MergedRows rows(*duck_, inputs, stop);
  TRY(rows.Plan());
  merged.rows = rows.rows();
  TRY(WriteFile(rows, merged));

  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  const size_t before = changed.files.size();
  std::erase_if(changed.files, [&](const StoredFilePointer& file) {
    return std::find(inputs.begin(), inputs.end(), file) != inputs.end();
  });
  auto output = std::make_shared<const StoredFile>(folder_, std::move(merged));
  if (before - changed.files.size() != inputs.size()) {
    // The day was dropped meanwhile.
    output->UnlinkWhenUnused();
    return true;
  }
  changed.files.push_back(output);
  TRY(Publish(std::move(changed), false));
  for (const StoredFilePointer& input : inputs) input->UnlinkWhenUnused();
  return true;
}

void ParquetHistory::MergeLoop(const std::stop_token& stop) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 10);  // Linux: of this thread alone.
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
