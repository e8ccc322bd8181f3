// What a start finds: the points, files that nobody named, files that somebody
// removed, a manifest that is gone. Files speak for themselves: a history
// without a manifest is rebuilt from their names and contents, its rollups are
// made anew.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/disk.h"
#include "storage/parquet_history.h"

namespace penstock::storage {
namespace {

namespace fs = std::filesystem;

// Paths of all Parquet files and temporary ones, relative to `folder`.
Result<std::vector<std::string>> ParquetFilesBelow(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".parquet") || name.ends_with(".parquet.tmp"))
      found.push_back(it->path().lexically_relative(folder).string());
  }
  if (error) return FileError(error.value(), "cannot list history", folder);
  std::sort(found.begin(), found.end());
  return found;
}

bool IsPointsFile(std::string_view relative) {
  return relative.starts_with("points-") && relative.find('/') == std::string_view::npos;
}

uint64_t EndOfPointsFile(std::string_view name) {
  return std::strtoull(std::string(name.substr(7)).c_str(), nullptr, 10);
}

}  // namespace

// The file of points, then what newer files add to it; without one, what all
// files have.
Status ParquetHistory::LoadPoints(bool rebuild) {
  ASSIGN_OR_RETURN(auto names, ListFiles(folder_, ".parquet"));
  std::erase_if(names, [](const std::string& name) {
    return !IsPointsFile(fs::path(name).filename().string());
  });
  uint64_t known = 0;
  const std::lock_guard lock(mutex_);
  if (!names.empty()) {
    const std::string name = fs::path(names.back()).filename().string();
    if (const Status loaded = points_.Load(folder_ + "/" + name); !loaded) {
      LogWarn("{}: {}; the points are looked up in the files", name, loaded.error().ToString());
    } else {
      known = rebuild ? 0 : EndOfPointsFile(name);
      points_file_ = name;
    }
  }
  for (const auto& [product, path] : catalog_->old_points)
    points_[points_.Add(path, product)].stored = true;
  for (const StoredFilePointer& file : catalog_->files) {
    if (file->info.last_sequence < known) continue;
    if (const Status scanned = ScanLast(*file); !scanned)
      LogWarn("{}: last rows: {}", file->path, scanned.error().ToString());
    new_points_ = true;
  }
  return {};
}

// The caller holds mutex_ or is alone.
Status ParquetHistory::ScanLast(const StoredFile& file) {
  const auto take = [&](std::string_view path, Time time, Time ingest, double value,
                        uint32_t quality, uint64_t sequence) {
    (void)points_.TakeLast(points_.Add(path, file.info.product), time, ingest, value, quality,
                           sequence);
  };
  const auto own = ParquetFile::Open(file.path, RowColumns());
  if (!own && own.error().code != Code::kUnimplemented) return std::unexpected(own.error());
  if (!own)
    return duck_->Query(fmt::format("SELECT point, r.t, r.i, r.v, r.q, r.s FROM (SELECT point, "
                                    "max({{'t': time, "
                                    "'s': sequence, 'i': ingest_time, 'v': value, 'q': "
                                    "quality}}) AS r FROM "
                                    "read_parquet({}) GROUP BY point)",
                                    SqlText(file.path)),
                        [&](const Duck::Chunk& chunk) {
                          for (size_t i = 0; i < chunk.size(); ++i)
                            take(chunk.Text(0, i), chunk.Column<Time>(1)[i],
                                 chunk.Column<Time>(2)[i], chunk.Column<double>(3)[i],
                                 chunk.Column<uint32_t>(4)[i], chunk.Column<uint64_t>(5)[i]);
                          return true;
                        });
  for (size_t group = 0; group < (*own)->groups().size(); ++group) {
    std::vector<ParquetColumnReader> columns;
    for (size_t c = 0; c < 6; ++c) {
      ASSIGN_OR_RETURN(auto reader, ParquetColumnReader::Load(**own, group, c));
      columns.push_back(std::move(reader));
    }
    ASSIGN_OR_RETURN(const auto points, columns[0].Points());
    for (const PointRows& rows : points) {
      const size_t at = rows.from + rows.rows - 1;
      Time time, ingest;
      double value = 0;
      uint32_t quality = 0;
      uint64_t sequence = 0;
      TRY(columns[1].Read(at, at + 1, &time));
      TRY(columns[2].Read(at, at + 1, &ingest));
      TRY(columns[3].Read(at, at + 1, &value));
      TRY(columns[4].Read(at, at + 1, &quality));
      TRY(columns[5].Read(at, at + 1, &sequence));
      take(rows.point, time, ingest, value, quality, sequence);
    }
  }
  return {};
}

// Many files a question. Those that are in the archive alone stay there: their texts stand in them,
// and to bring them all would put off the node's start by hours.
Status ParquetHistory::VisitTexts(const std::function<void(std::string_view)>& visit) {
  constexpr size_t kFilesTogether = 100;
  const auto now = catalog();  // Its files stay while it lives.
  std::vector<std::string> lists(1);
  size_t in_list = 0;
  for (const StoredFilePointer& file : now->files) {
    if (file->info.archived) continue;
    if (in_list == kFilesTogether) lists.emplace_back(), in_list = 0;
    lists.back() += (in_list++ == 0 ? "" : ",") + SqlText(file->path);
  }
  for (const std::string& list : lists) {
    if (list.empty()) continue;
    bool texts = false;  // Files of an earlier version have no such column.
    TRY(duck_->Query(
        fmt::format("SELECT count(*) FROM parquet_schema([{}]) WHERE name = 'text'", list),
        [&](const Duck::Chunk& chunk) {
          texts = chunk.Column<int64_t>(0)[0] > 0;
          return true;
        }));
    if (!texts) continue;
    TRY(duck_->Query(fmt::format("SELECT DISTINCT text FROM read_parquet([{}], union_by_name = "
                                 "true) WHERE text IS NOT NULL",
                                 list),
                     [&](const Duck::Chunk& chunk) {
                       for (size_t i = 0; i < chunk.size(); ++i) visit(chunk.Text(0, i));
                       return true;
                     }));
  }
  return {};
}

// Rows, times and bytes of a file whose name is known.
Status ParquetHistory::Describe(const std::string& path, HistoryFile& file) {
  bool known = false;
  const auto take = [&](Time first, Time last, uint64_t rows) {
    file.first_time = known ? std::min(file.first_time, first) : first;
    file.last_time = known ? std::max(file.last_time, last) : last;
    file.rows += rows;
    known = true;
  };
  const auto own = ParquetFile::Open(path, RowColumns());
  if (own) {
    for (const auto& group : (*own)->groups()) take(group.first_time, group.last_time, group.rows);
  } else if (own.error().code == Code::kUnimplemented) {
    TRY(duck_->Query(
        fmt::format("SELECT min(time), max(time), count(*) FROM read_parquet({})", SqlText(path)),
        [&](const Duck::Chunk& chunk) {
          if (chunk.Column<int64_t>(2)[0] > 0)
            take(chunk.Column<Time>(0)[0], chunk.Column<Time>(1)[0],
                 static_cast<uint64_t>(chunk.Column<int64_t>(2)[0]));
          return true;
        }));
  } else {
    return std::unexpected(own.error());
  }
  std::error_code ignored;
  file.bytes = fs::file_size(path, ignored);
  return {};
}

// Without a manifest the files speak for themselves; a file whose sequences lie
// inside those of another of its day was merged into that one.
Status ParquetHistory::RebuildCatalog() {
  ASSIGN_OR_RETURN(const auto paths, ParquetFilesBelow(folder_));
  std::vector<HistoryFile> files;
  for (const std::string& path : paths)
    if (auto file = FileOfPath(path)) files.push_back(std::move(*file));
  const auto inside_another = [&](const HistoryFile& a) {
    return std::any_of(files.begin(), files.end(), [&](const HistoryFile& b) {
      const bool same = a.first_sequence == b.first_sequence && a.last_sequence == b.last_sequence;
      return !same && a.product == b.product && a.day == b.day &&
             b.first_sequence <= a.first_sequence && a.last_sequence <= b.last_sequence;
    });
  };
  Catalog rebuilt;
  for (HistoryFile& file : files) {
    const std::string path = folder_ + "/" + file.RelativePath();
    Status status;
    const bool merged = inside_another(file);
    if (!merged) status = Describe(path, file);
    if (!status || merged || file.rows == 0) {
      const std::string aside = path + (status ? ".superseded" : ".damaged");
      LogWarn("{}: put aside as {}{}", path, aside, status ? "" : ": " + status.error().ToString());
      if (rename(path.c_str(), aside.c_str()) != 0) return FileError(errno, "cannot rename", path);
      continue;
    }
    rebuilt.sequence_end = std::max(rebuilt.sequence_end, file.last_sequence + 1);
    rebuilt.files.push_back(std::make_shared<const StoredFile>(folder_, file));
  }
  if (!rebuilt.files.empty())
    LogWarn("{}: manifest rebuilt from {} files", folder_, rebuilt.files.size());
  TRY(Publish(std::move(rebuilt), false));
  return LoadPoints(true);
}

// Removes what a crash left behind, and forgets files that somebody removed.
Status ParquetHistory::ForgetMissing() {
  ASSIGN_OR_RETURN(const auto paths, ParquetFilesBelow(folder_));
  std::set<std::string, std::less<>> present(paths.begin(), paths.end());
  Catalog kept = *catalog_;
  bool changed = false;
  std::set<std::pair<std::string, std::string>> lost_months;  // Product and month.
  std::vector<StoredFilePointer> files;
  for (const StoredFilePointer& file : kept.files) {
    const HistoryFile& info = file->info;
    // Of an archived one, what a crash left here is removed below.
    if (!info.archived && present.erase(info.RelativePath()) == 0) {
      LogError("{}: {} rows of history are gone: the file is missing", file->path, info.rows);
      Counter("penstock_history_files_missing_total",
              "Files of the manifest that were not there at start.")
          .Add();
      changed = true;
      continue;
    }
    HistoryFile found = info;
    found.by_second = info.by_second && present.erase(info.SecondsPath()) > 0;
    found.by_minute = info.by_minute && present.erase(info.MinutesPath()) > 0;
    if (found.by_second != info.by_second || found.by_minute != info.by_minute) {
      changed = true;
      files.push_back(std::make_shared<const StoredFile>(folder_, found));
    } else {
      files.push_back(file);
    }
  }
  kept.files = std::move(files);
  std::erase_if(kept.rollups, [&](const StoredRollupPointer& rollup) {
    if (present.erase(rollup->info.RelativePath()) > 0) return false;
    LogWarn("{}: the rollup is missing and will be made again", rollup->path);
    if (rollup->info.hours) lost_months.emplace(rollup->info.product, rollup->info.period);
    return changed = true;
  });
  // What is left of such a month may hold the same rows again, so it is made as
  // a whole.
  for (const auto& [product, month] : lost_months) {
    std::erase_if(kept.rollups, [&](const StoredRollupPointer& rollup) {
      if (!rollup->info.hours || rollup->info.product != product || rollup->info.period != month)
        return false;
      present.insert(rollup->info.RelativePath());
      return true;
    });
    for (StoredFilePointer& file : kept.files) {
      if (file->info.product != product || !file->info.day.starts_with(month)) continue;
      HistoryFile again = file->info;
      again.by_hour = false;
      file = std::make_shared<const StoredFile>(folder_, std::move(again));
    }
  }
  if (!points_file_.empty()) present.erase(points_file_);
  if (changed) TRY(Publish(std::move(kept), false));
  for (const std::string& stray : present) {
    LogInfo("{}/{}: removed, it was never committed", folder_, stray);
    unlink((folder_ + "/" + stray).c_str());
  }
  return {};
}

}  // namespace penstock::storage
