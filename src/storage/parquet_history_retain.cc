// What goes, and says so. Samples go by whole days. Where rollups by minutes
// are kept longer than the samples, a day's samples are folded into one first,
// by the thread that merges: so RetainBy tells of such a day at its next call.
// Hours go by whole months.
//
// A full disk does not wait for that: days that go for their bytes keep their
// hours alone.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/descriptor.h"
#include "base/file.h"
#include "base/log.h"
#include "storage/disk.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kCondensedAtOnce = 2'000'000;  // Rows; some 100 ms.

Status CopyFile(const std::string& from, const std::string& to) {
  TRY(MakeFolders(fs::path(to).parent_path().string()));
  if (link(from.c_str(), to.c_str()) == 0) return {};
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) return FileError(error.value(), "cannot copy to", to);
  const Descriptor copied(open(to.c_str(), O_RDONLY | O_CLOEXEC));
  if (copied.get() < 0 || fsync(copied.get()) != 0) return FileError(errno, "cannot sync", to);
  return {};
}

}  // namespace

// A file is a few row groups sorted by point, so its points are counted by their runs.
Status ParquetHistory::CountOwnRows(const ParquetFile& file, SequenceSpan not_counted,
                                    std::map<std::string, uint64_t, std::less<>>& of_point) {
  std::vector<uint64_t> sequences;
  for (size_t group = 0; group < file.groups().size(); ++group) {
    ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(file, group, 0));
    ASSIGN_OR_RETURN(const auto points, paths.Points());
    std::optional<ParquetColumnReader> column;
    if (not_counted.from < not_counted.to) {
      ASSIGN_OR_RETURN(column, ParquetColumnReader::Load(file, group, 5));
    }
    for (const PointRows& point : points) {
      uint64_t rows = point.rows;
      if (column) {
        sequences.resize(point.rows);
        TRY(column->Read(point.from, point.from + point.rows, sequences.data()));
        rows -= static_cast<uint64_t>(std::ranges::count_if(
            sequences, [&](uint64_t sequence) { return not_counted.Has(sequence); }));
      }
      if (rows > 0) of_point[std::string(point.point)] += rows;
    }
  }
  return {};
}

void ParquetHistory::CountRows(const StoredFile& file, SequenceSpan not_counted,
                               std::map<std::string, uint64_t, std::less<>>& of_point) {
  const HistoryFile& info = file.info;
  if (not_counted.Has(info.first_sequence) && not_counted.Has(info.last_sequence)) return;
  const bool apart = info.last_sequence < not_counted.from || info.first_sequence >= not_counted.to;
  std::map<std::string, uint64_t, std::less<>> counted;
  const auto opened = OpenRows(file);
  Status status = opened ? CountOwnRows(**opened, apart ? SequenceSpan() : not_counted, counted)
                         : std::unexpected(opened.error());
  const bool foreign = !status && status.error().code == Code::kUnimplemented;
  if (const auto local = foreign ? Local(ViewOf(file)) : HistoryFileView(); foreign && local)
    status = duck_->Query(
        fmt::format("SELECT point, CAST(count(*) AS BIGINT) FROM read_parquet({}) WHERE sequence < "
                    "{} OR sequence >= {} GROUP BY point",
                    SqlText(local->path), not_counted.from, not_counted.to),
        [&](const Duck::Chunk& chunk) {
          for (size_t row = 0; row < chunk.size(); ++row)
            counted[std::string(chunk.Text(0, row))] +=
                static_cast<uint64_t>(chunk.Column<int64_t>(1)[row]);
          return true;
        });
  if (!status) {
    LogWarn("{}: {} rows go, of which points is not known: {}", file.path, info.rows,
            status.error().ToString());
    counted = {{"", info.rows}};
  }
  for (const auto& [path, rows] : counted) of_point[path] += rows;
}

// Takes files and rollups out of the catalog; the caller holds publish_mutex_.
Result<std::vector<HistoryDeletion>> ParquetHistory::Drop(
    const std::function<bool(const HistoryFile&)>& raw,
    const std::function<bool(const HistoryRollup&)>& rollup, SequenceSpan not_counted) {
  Catalog changed = *catalog();
  std::vector<StoredFilePointer> files;
  std::vector<StoredRollupPointer> rollups;
  std::map<std::pair<std::string, std::string>, HistoryDeletion> deletions;
  const auto count = [&](const auto& info, const std::string& level) {
    auto [at, is_new] = deletions.try_emplace({info.product, level});
    HistoryDeletion& deletion = at->second;
    deletion.product = info.product;
    deletion.level = level;
    deletion.rows += info.rows;
    deletion.first = is_new ? info.first_time : std::min(deletion.first, info.first_time);
    deletion.last = is_new ? info.last_time : std::max(deletion.last, info.last_time);
    return &deletion;
  };
  std::erase_if(changed.files, [&](const StoredFilePointer& file) {
    if (!raw(file->info)) return false;
    CountRows(*file, not_counted, count(file->info, "raw")->of_point);
    files.push_back(file);
    return true;
  });
  std::erase_if(changed.rollups, [&](const StoredRollupPointer& stored) {
    if (!rollup(stored->info)) return false;
    count(stored->info, stored->info.hours ? "1h" : "1m");
    rollups.push_back(stored);
    return true;
  });
  if (files.empty() && rollups.empty()) return std::vector<HistoryDeletion>();
  TRY(Publish(std::move(changed), false));
  std::set<std::string> folders;
  for (const StoredFilePointer& file : files) {
    file->UnlinkWhenUnused();
    ForgetOpened(*file);
    folders.insert(fs::path(file->path).parent_path().string());
    for (const std::string& tied : {file->info.SecondsPath(), file->info.MinutesPath()})
      folders.insert(fs::path(folder_ + "/" + tied).parent_path().string());
  }
  for (const StoredRollupPointer& stored : rollups) {
    stored->UnlinkWhenUnused();
    ForgetOpened(*stored);
    folders.insert(fs::path(stored->path).parent_path().string());
  }
  files.clear();
  rollups.clear();
  for (const std::string& folder : folders)
    rmdir(folder.c_str());  // Stays while a query reads in it.
  std::vector<HistoryDeletion> gone;
  for (auto& [key, deletion] : deletions) gone.push_back(std::move(deletion));
  return gone;
}

Result<uint64_t> ParquetHistory::Retain(Time cutoff, uint64_t max_bytes) {
  HistoryRetention rules{.raw = cutoff, .max_bytes = max_bytes};
  rules.minutes = cutoff;
  ASSIGN_OR_RETURN(const auto gone, RetainBy(rules));
  uint64_t rows = 0;
  for (const HistoryDeletion& deletion : gone)
    if (deletion.level == "raw") rows += deletion.rows;
  return rows;
}

Result<std::vector<HistoryDeletion>> ParquetHistory::RetainBy(const HistoryRetention& rules) {
  auto now = catalog();
  uint64_t bytes = 0;
  std::map<std::string, uint64_t> bytes_of_day;  // Oldest first.
  for (const StoredFilePointer& file : now->files) {
    const uint64_t size = (file->info.archived ? 0 : file->info.bytes) + file->info.rollup_bytes;
    bytes_of_day[file->info.day] += size;
    bytes += size;
  }
  for (const StoredRollupPointer& rollup : now->rollups) bytes += rollup->info.bytes;
  now.reset();  // It would keep what is deleted.
  const auto cutoff_of = [&](const std::string& product) {
    const auto own = rules.raw_of_product.find(product);
    return own != rules.raw_of_product.end() ? own->second : rules.raw;
  };
  const std::string minutes_day = DayOf(rules.minutes),
                    hours_month = DayOf(rules.hours).substr(0, 7);
  std::set<std::string> crowded;  // Days that go for their bytes.
  for (const auto& [day, size] : bytes_of_day) {
    const bool goes = day < DayOf(rules.raw);
    if (!goes && (bytes <= rules.max_bytes || day == bytes_of_day.rbegin()->first)) break;
    if (!goes) crowded.insert(day);
    bytes -= size;
  }
  std::vector<HistoryDeletion> gone;
  std::set<std::pair<std::string, std::string>> to_condense;
  const SequenceSpan not_counted{rules.not_counted_from, rules.not_counted_to};
  {
    const std::lock_guard publishing(publish_mutex_);
    ASSIGN_OR_RETURN(gone, Drop(
                               [&](const HistoryFile& file) {
                                 if (crowded.contains(file.day)) return true;
                                 if (file.day >= DayOf(cutoff_of(file.product))) return false;
                                 if (file.day < minutes_day) return true;
                                 to_condense.emplace(file.product, file.day);
                                 return false;
                               },
                               [&](const HistoryRollup& rollup) {
                                 return rollup.hours ? rollup.period < hours_month
                                                     : rollup.period < minutes_day;
                               },
                               not_counted));
  }
  {
    const std::lock_guard lock(mutex_);
    to_condense_.assign(to_condense.begin(), to_condense.end());
    not_counted_ = not_counted;
  }
  uint64_t rows = 0;  // Few are folded here and now.
  for (const StoredFilePointer& file : catalog()->files)
    if (to_condense.contains({file->info.product, file->info.day})) rows += file->info.rows;
  if (options_.merge_in_background && rows > kCondensedAtOnce) {
    WakeMerger();
  } else {
    for (bool more = true; more;) {
      ASSIGN_OR_RETURN(more, Condense({}));
    }
  }
  const std::lock_guard lock(mutex_);
  gone.insert(gone.end(), condensed_.begin(), condensed_.end());
  condensed_.clear();
  return gone;
}

// The samples of one product and day become a rollup by minutes, and by hours
// what was not yet.
Result<bool> ParquetHistory::Condense(const std::stop_token& stop) {
  std::pair<std::string, std::string> key;
  SequenceSpan not_counted;
  {
    const std::lock_guard lock(mutex_);
    if (to_condense_.empty()) return false;
    not_counted = not_counted_;
    key = to_condense_.back();
    to_condense_.pop_back();
  }
  std::vector<StoredFilePointer> files, unrolled;
  for (const StoredFilePointer& file : catalog()->files) {
    if (file->info.product != key.first || file->info.day != key.second) continue;
    files.push_back(file);
    if (!file->info.by_hour) unrolled.push_back(file);
  }
  if (files.empty()) return true;
  std::vector<StoredRollupPointer> made;
  for (const bool hours : {false, true}) {
    HistoryRollup rollup{.hours = hours,
                         .product = key.first,
                         .period = hours ? key.second.substr(0, 7) : key.second};
    TRY(RollUpFiles(hours ? unrolled : files, rollup, stop));
    if (rollup.rows > 0) made.push_back(std::make_shared<const StoredRollup>(folder_, rollup));
  }
  const std::lock_guard publishing(publish_mutex_);
  Catalog changed = *catalog();
  const bool all_there = std::all_of(files.begin(), files.end(), [&](const auto& file) {
    return std::find(changed.files.begin(), changed.files.end(), file) != changed.files.end();
  });
  if (!all_there) {  // Merged meanwhile; the next RetainBy asks again.
    for (const auto& rollup : made) rollup->UnlinkWhenUnused();
    return true;
  }
  std::erase_if(changed.files, [&](const StoredFilePointer& file) {
    return std::find(files.begin(), files.end(), file) != files.end();
  });
  changed.rollups.insert(changed.rollups.end(), made.begin(), made.end());
  HistoryDeletion deletion{.product = key.first,
                           .level = "raw",
                           .first = files.front()->info.first_time,
                           .last = files.front()->info.last_time,
                           .of_point = {}};
  for (const StoredFilePointer& file : files) CountRows(*file, not_counted, deletion.of_point);
  TRY(Publish(std::move(changed), false));
  for (const StoredFilePointer& file : files) {
    deletion.rows += file->info.rows;
    deletion.first = std::min(deletion.first, file->info.first_time);
    deletion.last = std::max(deletion.last, file->info.last_time);
    file->UnlinkWhenUnused();
    ForgetOpened(*file);
  }
  const std::string folder = fs::path(files.front()->path).parent_path().string();
  files.clear();
  unrolled.clear();
  rmdir(folder.c_str());
  const std::lock_guard lock(mutex_);
  condensed_.push_back(std::move(deletion));
  return true;
}

Status ParquetHistory::CopyTo(const std::string& folder) {
  const View view = Look();
  Catalog copied = *view.catalog;
  for (const StoredFilePointer& file : copied.files) {
    const HistoryFile& info = file->info;
    if (!info.archived) TRY(CopyFile(file->path, folder + "/" + info.RelativePath()));
    if (info.by_second)
      TRY(CopyFile(folder_ + "/" + info.SecondsPath(), folder + "/" + info.SecondsPath()));
    if (info.by_minute)
      TRY(CopyFile(folder_ + "/" + info.MinutesPath(), folder + "/" + info.MinutesPath()));
  }
  for (const StoredRollupPointer& rollup : copied.rollups)
    TRY(CopyFile(rollup->path, folder + "/" + rollup->info.RelativePath()));
  TRY(MakeFolders(folder));
  std::set<std::string> folders;
  for (fs::recursive_directory_iterator it(folder), end; it != end; ++it)
    if (it->is_directory()) folders.insert(it->path().string());
  for (const std::string& each : folders) TRY(SyncFolder(each));
  return WriteFileAtomically(folder + "/manifest", FormatManifest(copied));
}

}  // namespace penstock::storage
