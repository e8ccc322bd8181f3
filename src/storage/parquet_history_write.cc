// One file of samples with its rollups, which see the same rows on their way.
// Nothing here is visible to anyone before the manifest names it.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "base/file.h"
#include "storage/disk.h"
#include "storage/history_rollup.h"
#include "storage/parquet_history.h"
#include "storage/parquet_writer.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

constexpr ParquetColumn kRowColumns[] = {{"point", ParquetKind::kText},
                                         {"time", ParquetKind::kTime},
                                         {"ingest_time", ParquetKind::kTime, false, false, true},
                                         {"value", ParquetKind::kDouble},
                                         {"quality", ParquetKind::kUint32},
                                         {"sequence", ParquetKind::kInt64, false, true, true},
                                         {"text", ParquetKind::kText, true, false, true}};

// A file without its name, which tells the sequences and is known at the end
// only; and what must be synced then. `relative` is a name in the same folder.
class NewFile {
 public:
  NewFile(const std::string& root, const std::string& relative)
      : root_(root),
        folder_(fs::path(root + "/" + relative).parent_path()),
        temporary_((folder_ / fmt::format("new-{}.parquet.tmp", next_++)).string()),
        is_new_(!fs::exists(folder_)) {}
  const std::string& temporary() const { return temporary_; }
  Status Commit(const std::string& relative) const {
    const std::string path = root_ + "/" + relative;
    if (rename(temporary_.c_str(), path.c_str()) != 0)
      return FileError(errno, "cannot rename to", path);
    fs::path folder = folder_;
    TRY(SyncFolder(folder.string()));
    while (is_new_ && folder != fs::path(root_)) {
      folder = folder.parent_path();
      TRY(SyncFolder(folder.string()));
    }
    return {};
  }

 private:
  static inline std::atomic<uint64_t> next_{0};
  const std::string root_;
  const fs::path folder_;
  const std::string temporary_;
  const bool is_new_;  // Its folder.
};

}  // namespace

std::span<const ParquetColumn> RowColumns() { return kRowColumns; }

namespace {

// Rows into a file; of points of text, each stretch of one text by itself.
Status PutRun(ParquetWriter& writer, const RowRun& run, const History::TextOf& text_of) {
  const auto put = [&](size_t from, size_t to, const std::string_view* text) {
    const void* const data[] = {&run.time[from],    &run.ingest_time[from], &run.value[from],
                                &run.quality[from], &run.sequence[from],    text};
    return writer.Add(run.path, data, to - from);
  };
  if (run.size() == 0) return {};
  if (!text_of) return put(0, run.size(), nullptr);
  for (size_t from = 0; from < run.size();) {
    size_t to = from + 1;
    while (to < run.size() && run.value[to] == run.value[from]) ++to;
    const auto text = text_of(run.value[from]);
    TRY(put(from, to, text ? &*text : nullptr));
    from = to;
  }
  return {};
}

}  // namespace

// How the texts of a point are found; empty when it is none of text.
History::TextOf ParquetHistory::TextsOf(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  const uint32_t entry = points_.Find(path);
  if (entry == HistoryPoints::kNone || !points_[entry].text) return nullptr;
  return text_of_;
}

// Rows alone, for others to read.
Status ParquetHistory::WriteRows(RowSource& rows, const std::string& path) {
  ASSIGN_OR_RETURN(const auto writer, ParquetWriter::Create(path, kRowColumns));
  while (true) {
    ASSIGN_OR_RETURN(const auto run, rows.Next());
    if (!run) return writer->Finish();
    TRY(PutRun(*writer, *run, TextsOf(run->path)));
  }
}

// Fills in what the file has; `hours` is given when its rows are to be rolled
// up by hours too.
Status ParquetHistory::WriteFile(RowSource& rows, HistoryFile& file, HistoryRollup* hours) {
  const NewFile raw(folder_, file.RelativePath()), seconds(folder_, file.SecondsPath()),
      minutes(folder_, file.MinutesPath());
  std::optional<NewFile> hour_file;
  TRY(MakeFolders(fs::path(raw.temporary()).parent_path().string()));
  RollupBuilder by_second(kSecondStep, seconds.temporary(), false),
      by_minute(kMinuteStep, minutes.temporary(), false);
  std::optional<RollupBuilder> by_hour;
  if (hours != nullptr) {
    hour_file.emplace(folder_, hours->RelativePath());
    by_hour.emplace(kHourStep, hour_file->temporary(), true);
  }
  file.rows = 0;
  file.first_sequence = UINT64_MAX;
  file.last_sequence = 0;
  // What is merged stays; what is fresh is asked for most, and soon merged.
  ASSIGN_OR_RETURN(const auto writer,
                   ParquetWriter::Create(raw.temporary(), kRowColumns, {.dense = file.level > 0}));
  std::string text_path;  // The point whose rows come, and how its texts are found.
  TextOf text_of;
  while (true) {
    ASSIGN_OR_RETURN(const auto run, rows.Next());
    if (!run) break;
    if (text_path != run->path) {
      text_path = run->path;
      text_of = TextsOf(text_path);
    }
    TRY(PutRun(*writer, *run, text_of));
    if (run->size() == 0) continue;
    const Time first = run->time.front(), last = run->time.back();
    file.first_time = file.rows == 0 ? first : std::min(file.first_time, first);
    file.last_time = file.rows == 0 ? last : std::max(file.last_time, last);
    for (const uint64_t sequence : run->sequence) {
      file.first_sequence = std::min(file.first_sequence, sequence);
      file.last_sequence = std::max(file.last_sequence, sequence);
    }
    file.rows += run->size();
    if (text_of) continue;  // The number of a text has no mean.
    TRY(by_second.Add(*run));
    TRY(by_minute.Add(*run));
    if (by_hour) TRY(by_hour->Add(*run));
  }
  TRY(writer->Finish());
  file.bytes = writer->bytes();
  TRY(raw.Commit(file.RelativePath()));
  ASSIGN_OR_RETURN(file.by_second, by_second.Finish());
  ASSIGN_OR_RETURN(file.by_minute, by_minute.Finish());
  file.rollup_bytes = by_second.writer().bytes() + by_minute.writer().bytes();
  if (file.by_second) TRY(seconds.Commit(file.SecondsPath()));
  if (file.by_minute) TRY(minutes.Commit(file.MinutesPath()));
  if (!by_hour) return {};
  ASSIGN_OR_RETURN(const bool has_hours, by_hour->Finish());
  file.by_hour = true;
  hours->rows = by_hour->writer().rows();
  hours->bytes = by_hour->writer().bytes();
  hours->first_time = by_hour->writer().first();
  hours->last_time = by_hour->writer().last();
  hours->first_sequence = file.first_sequence;
  hours->last_sequence = file.last_sequence;
  return has_hours ? hour_file->Commit(hours->RelativePath()) : Status();
}

}  // namespace penstock::storage
