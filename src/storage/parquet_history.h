// The history over Parquet files: a catalog of files, the points, a tail in
// memory, rollups. The public face is storage/history.h; this header is for its
// own .cc files only.
//
// Thread rule: as in history.h; merging runs on a thread of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
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

class ParquetHistory final : public History {
 public:
  ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only);
  ~ParquetHistory() override;
  Status Start();

  void NamePoint(PointId id, const std::string& path, const std::string& product) override;
  void NameText(PointId id) override;
  void SetTexts(TextOf text_of) override;
  Status VisitTexts(const std::function<void(std::string_view)>& visit) override;
  Status Append(const HistoryColumns& columns) override;
  Status Flush() override;
  void FlushSoon(std::function<void(Status)> done) override;
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
  Result<uint64_t> Retain(Time cutoff, uint64_t max_bytes) override;
  Result<std::vector<HistoryDeletion>> RetainBy(const HistoryRetention& rules) override;
  std::vector<HistoryFileView> Files(std::string_view product) override;
  Result<ProductRows> RowsOf(std::string_view product, const std::string& tail_file) override;
  Result<HistoryFileView> Local(const HistoryFileView& file) override;
  Result<Evicted> EvictArchived(Time before, uint64_t max_bytes) override;
  std::vector<ProductSize> Products() override;
  Status CopyTo(const std::string& folder) override;
  Size size() const override;

 private:
  // Rows of one point as a query sees them.
  struct Rows {
    std::span<const Time> time;
    std::span<const double> value;
    std::span<const uint32_t> quality;
  };
  // False: enough.
  using VisitRows = std::function<bool(const Rows&)>;
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
  struct RowOfPoint {
    uint32_t entry;  // In points_.
    Time time, ingest_time;
    double value;
    uint32_t quality;
    uint64_t sequence;
  };
  struct SequenceSpan {
    uint64_t from = 0, to = 0;  // [from, to)
    bool Has(uint64_t sequence) const { return sequence >= from && sequence < to; }
  };
  struct TailPoint {
    uint32_t entry, id;  // In points_; PointId.value.
    const std::string *path, *product;
  };
  class GroupScan;
  class FileRows;  // The rows of a file about to be written, out of the tail.
  class ProductTail;
  class MergedRows;  // The rows of several files, in order, each once.

  // parquet_history.cc: start.
  Status LoadCatalog();
  Status ForgetMissing();

  // parquet_history_flush.cc
  void Freeze();
  Status FlushUntil(uint64_t sequence_end);
  Status WriteFrozen(const TailSnapshot& frozen, uint64_t sequence_end);
  void FlushLoop(const std::stop_token& stop);
  std::vector<TailPoint> PointsWithRows(const TailByPoint& tail);
  Result<std::vector<HistoryFile>> WriteTail(const TailByPoint& tail,
                                             std::vector<RowOfPoint>& lasts);
  void TakeLasts(std::span<const RowOfPoint> lasts);
  Status Publish(Catalog changed, bool tail_is_in_files);
  Status SavePoints(uint64_t sequence_end);

  // parquet_history_write.cc: one file, alone or with its rollups.
  TextOf TextsOf(std::string_view path) const;
  Status WriteRows(RowSource& rows, const std::string& path);
  Status WriteFile(RowSource& rows, HistoryFile& file, HistoryRollup* hours);

  // parquet_history_rebuild.cc
  Status LoadPoints(bool rebuild);
  Status RebuildCatalog();
  Status Describe(const std::string& path, HistoryFile& file);
  Status ScanLast(const StoredFile& file);

  // parquet_history_query.cc
  View Look();
  Target TargetOf(const std::string& path) const;
  void ScanTails(const View& view, const Target& target, Time from, Time to,
                 const VisitRows& visit) const;
  Status ScanFile(const StoredFile& file, const std::string& path, std::span<const TimeSpan> spans,
                  const VisitRows& visit);
  Status ScanForeign(const StoredFile& file, const std::string& path,
                     std::span<const TimeSpan> spans, const VisitRows& visit);
  void ForgetOpened(const std::string& path);
  Result<ParquetFilePointer> OpenArchived(const StoredFile& file);
  Result<ParquetFilePointer> OpenRows(const StoredFile& file);  // Of samples, wherever it is.
  Result<ParquetFilePointer> OpenFile(const std::string& path,
                                      std::span<const ParquetColumn> schema);

  // parquet_history_trend.cc
  Status Fold(const View& view, const Target& target, TrendFold& fold, Time from, Time to);
  Status FoldMany(const View& view, std::span<const Target> targets, Time from, Time to,
                  std::vector<TrendFold>& folds);
  using VisitPoint = std::function<void(size_t place, const Rows&)>;
  using VisitPointStep = std::function<void(size_t place, const RollupStep&)>;

  // parquet_history_many.cc. Rows that lie in one span may come as a step instead, if `fold` is set.
  Status ScanMany(const StoredFile& file, std::span<const SortedPath> paths,
                  std::span<const TimeSpan> spans, const VisitPoint& visit,
                  const VisitPointStep& fold = nullptr);
  Result<std::shared_ptr<const HistoryIndex::Group>> PointsOf(const ParquetFilePointer& file,
                                                              size_t group);
  Result<std::optional<PointRows>> StretchOf(const ParquetFilePointer& file, size_t group,
                                             const std::string& path);

  // parquet_history_retain.cc: RetainBy, Retain, CopyTo and this.
  Result<std::vector<HistoryDeletion>> Drop(const std::function<bool(const HistoryFile&)>& raw,
                                            const std::function<bool(const HistoryRollup&)>& rollup,
                                            SequenceSpan not_counted);
  // Adds the file's rows by path, but those with these sequences.
  void CountRows(const StoredFile& file, SequenceSpan not_counted,
                 std::map<std::string, uint64_t, std::less<>>& of_point);
  Status CountOwnRows(const ParquetFile& file, SequenceSpan not_counted,
                      std::map<std::string, uint64_t, std::less<>>& of_point);
  Result<bool> Condense(const std::stop_token& stop);

  // parquet_history_merge.cc
  void MergeLoop(const std::stop_token& stop);
  struct MergeTask {
    std::vector<StoredFilePointer> inputs;
    bool merge = true;  // False: only to be rolled up by hours.
  };
  MergeTask FindTask(const Catalog& catalog) const;
  Result<bool> MergeOnce(const std::stop_token& stop);
  Status RollUp(RowSource& rows, HistoryRollup& rollup);
  Status RollUpFiles(std::span<const StoredFilePointer> files, HistoryRollup& rollup,
                     const std::stop_token& stop);
  Status CommitRollup(RollupWriter& writer, HistoryRollup& rollup, std::string temporary = "");
  Result<bool> MergeRollups(const std::stop_token& stop);
  void WakeMerger();

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
  uint64_t flushing_end_ = 0;             // One past its highest sequence.
  HistoryPoints points_;
  TextOf text_of_;
  uint64_t next_sequence_ = 0;
  std::chrono::steady_clock::time_point last_flush_ = std::chrono::steady_clock::now();
  // Days whose samples are to go once they are in a rollup by minutes; what
  // went since RetainBy.
  std::vector<std::pair<std::string, std::string>> to_condense_;  // Product and day.
  std::vector<HistoryDeletion> condensed_;
  SequenceSpan not_counted_;    // As RetainBy was told.
  std::string manifest_stamp_;  // Read-only: which manifest was read last.

  HistoryIndex index_;
  // Footers of files, the least lately used forgotten first.
  std::mutex open_mutex_;
  struct OpenedFile {
    ParquetFilePointer file;
    uint64_t used = 0;
  };
  std::unordered_map<std::string, OpenedFile> opened_;
  uint64_t uses_ = 0;
  size_t opened_groups_ = 0;

  std::mutex publish_mutex_;  // One change of the catalog at a time; taken
                              // before mutex_.
  std::mutex flush_mutex_;    // One flush at a time; taken before both.
  // Of the thread that flushes.
  bool new_points_ = false;
  size_t flushes_since_points_ = 0;
  std::string points_file_;

  std::function<void(Status)> flush_done_;  // Of the flush that FlushSoon asked for.
  uint64_t flush_end_ = 0;                  // What it is to reach.
  std::condition_variable_any flush_wanted_;
  std::condition_variable_any merge_wanted_;
  bool merge_due_ = false;
  // Last: they stop before what they use is gone.
  std::jthread merger_, flusher_;
};

// Of points that nobody named.
inline constexpr std::string_view kUnnamedProduct = "unnamed";
// kInvalidArgument unless from < to.
Status CheckHistoryRange(Time from, Time to);
// As anyone may see it; `keep` is not set.
HistoryFileView ViewOf(const StoredFile& file);
// The columns of a file of samples.
std::span<const ParquetColumn> RowColumns();

}  // namespace penstock::storage
