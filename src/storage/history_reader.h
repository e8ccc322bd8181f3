// The reading half of the history over Parquet files: its state, and every question asked of it. A
// query works on a view, in which each row is in exactly one place. For the history's own .cc files
// only.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/duck.h"
#include "storage/folder_lock.h"
#include "storage/history.h"
#include "storage/history_catalog.h"
#include "storage/history_fold.h"
#include "storage/history_index.h"
#include "storage/history_points.h"
#include "storage/history_rollup.h"
#include "storage/history_tail.h"
#include "storage/parquet_reader.h"

namespace penstock::storage {

class HistoryReader : public History {
 public:
  HistoryReader(std::string folder, const HistoryOptions& options, bool read_only)
      : folder_(std::move(folder)), options_(options), read_only_(read_only) {}

  uint64_t flushed_sequence_end() const override;
  Result<std::vector<HistoryRow>> Read(const std::string& path, Time from, Time to,
                                       size_t limit) override;
  Result<std::vector<TrendBucket>> Trend(const std::string& path, Time from, Time to,
                                         size_t buckets) override;
  Result<std::vector<TrendSeries>> Aggregate(std::span<const std::string> paths, Time from, Time to,
                                             Duration every) override;
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time from,
                                           Time to) override;
  Result<std::vector<LastRow>> Last(std::span<const std::string> paths) override;
  std::vector<HistoryFileView> Files(std::string_view product) override;
  Result<HistoryFileView> Local(const HistoryFileView& file) override;
  Size size() const override;

 protected:
  // Rows of one point as a query sees them.
  struct Rows {
    std::span<const Time> time;
    std::span<const double> value;
    std::span<const uint32_t> quality;
  };
  // False: enough.
  using VisitRows = std::function<bool(const Rows&)>;
  using VisitPoint = std::function<void(size_t place, const Rows&)>;
  // What a query works on, unchanged by what happens meanwhile.
  struct View {
    std::shared_ptr<const Catalog> catalog;
    std::vector<TailSnapshot> tails;  // Being written, and live.
  };
  struct Target {
    PointId id;
    std::string path;
    uint32_t entry = HistoryPoints::kNone;
    bool text = false;
    std::vector<std::string> products;
  };
  // Many of them, for one pass over what there is.
  struct Targets {
    std::vector<SortedPath> sorted;     // The paths are the caller's.
    std::vector<uint32_t> by_id;        // PointId.value -> first place in `sorted`, plus one.
    std::vector<std::string> products;  // Of all of them.
    bool texts = false;                 // Of some of them.
  };
  class GroupScan;

  virtual Status LoadCatalog() = 0;

  // parquet_history_query.cc
  View Look();
  Target TargetOf(const std::string& path) const;
  Targets TargetsOf(std::span<const std::string> paths) const;
  void ScanTails(const View& view, const Target& target, Time from, Time to,
                 const VisitRows& visit) const;
  Status ScanFile(const StoredFile& file, const std::string& path, std::span<const TimeSpan> spans,
                  const VisitRows& visit);
  Status ScanForeign(const StoredFile& file, const std::string& path,
                     std::span<const TimeSpan> spans, const VisitRows& visit);
  // What is to be unlinked is marked first: then nobody keeps it open again.
  void ForgetOpened(const StoredFile& file);
  void ForgetOpened(const StoredRollup& rollup);
  Result<ParquetFilePointer> OpenArchived(const StoredFile& file);
  Result<ParquetFilePointer> OpenRows(const StoredFile& file);  // Of samples, wherever it is.
  Result<ParquetFilePointer> OpenSteps(const StoredFile& file, const std::string& relative_path);
  Result<ParquetFilePointer> OpenSteps(const StoredRollup& rollup);
  Result<ParquetFilePointer> OpenFile(const std::string& path,
                                      std::span<const ParquetColumn> schema,
                                      const std::function<bool()>& goes);
  void ForgetPaths(std::span<const std::string> paths);

  // parquet_history_trend.cc
  Status Fold(const View& view, const Target& target, TrendFold& fold, Time from, Time to);
  Status FoldMany(const View& view, const Targets& targets, Time from, Time to,
                  std::vector<TrendFold>& folds);
  using VisitPointStep = std::function<void(size_t place, const RollupStep&)>;

  // parquet_history_many.cc: all rows in memory; those of a file, of which rows of one span may
  // come as a step instead, if `fold` is set.
  static void ScanTails(const View& view, const Targets& targets, const VisitPoint& visit);
  Status ScanMany(const StoredFile& file, std::span<const SortedPath> paths,
                  std::span<const TimeSpan> spans, const VisitPoint& visit,
                  const VisitPointStep& fold = nullptr);
  Result<HistoryIndex::PointsPointer> PointsOf(const ParquetFilePointer& file, size_t group);
  Result<std::optional<PointRows>> StretchOf(const ParquetFilePointer& file, size_t group,
                                             const std::string& path);
  Result<ParquetColumnReader> ColumnOf(const ParquetFilePointer& file, size_t group, size_t column);

  std::shared_ptr<const Catalog> catalog() const;

  const std::string folder_;
  const HistoryOptions options_;
  const bool read_only_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<Duck> duck_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::shared_ptr<const Catalog> catalog_ = std::make_shared<Catalog>();
  std::unique_ptr<HistoryTail> tail_ = std::make_unique<HistoryTail>();
  std::optional<TailSnapshot> flushing_;  // Being written, or waiting for the next attempt.
  HistoryPoints points_;
  std::string manifest_stamp_;  // Read-only: which manifest was read last.

  HistoryIndex index_;
  // Footers of files, the least lately used forgotten first; few of the files are open.
  std::mutex open_mutex_;
  struct OpenedFile {
    ParquetFilePointer file;
    uint64_t used = 0;
    bool closed = false;
  };
  using OpenedFiles = std::unordered_map<std::string, OpenedFile>;
  OpenedFiles opened_;
  void MakeRoomForOpened();
  void Forget(OpenedFiles::iterator file);
  uint64_t uses_ = 0;
  size_t opened_groups_ = 0, opened_files_ = 0;
};

inline constexpr size_t kOneByOne = 8;  // So few points are looked up each by itself.

// kInvalidArgument unless from < to.
Status CheckHistoryRange(Time from, Time to);
// As anyone may see it; `keep` is not set.
HistoryFileView ViewOf(const StoredFile& file);
// The columns of a file of samples.
std::span<const ParquetColumn> RowColumns();

}  // namespace penstock::storage
