// The history over Parquet files, as it changes: flushes, merges, retention. What it is made of and
// how it is read: history_reader.h. The public face is storage/history.h; this header is for its
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
#include <vector>

#include "storage/history_reader.h"

namespace penstock::storage {

class ParquetHistory final : public HistoryReader {
 public:
  ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only);
  ~ParquetHistory() override;
  Status Start();

  void NamePoint(PointId id, const std::string& path, const std::string& product) override;
  void NameText(PointId id) override;
  void SetTexts(TextOf text_of) override;
  Status VisitTexts(const std::function<void(std::string_view)>& visit) override;
  Status Append(const HistoryColumns& columns) override;
  void FlushOnlyIf(std::function<bool()> may) override { may_flush_ = std::move(may); }
  Status Flush() override;
  void FlushSoon(std::function<void(Status)> done) override;
  Result<uint64_t> Retain(Time cutoff, uint64_t max_bytes) override;
  Result<std::vector<HistoryDeletion>> RetainBy(const HistoryRetention& rules) override;
  Result<ProductRows> RowsOf(std::string_view product, const std::string& tail_file) override;
  Result<Evicted> EvictArchived(Time before, uint64_t max_bytes) override;
  std::vector<ProductSize> Products() override;
  Status CopyTo(const std::string& folder) override;

 private:
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
  class FileRows;  // The rows of a file about to be written, out of the tail.
  class ProductTail;
  class MergedRows;  // The rows of several files, in order, each once.

  // parquet_history.cc: start.
  Status LoadCatalog() override;
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

  // Guarded by mutex_.
  uint64_t flushing_end_ = 0;  // One past its highest sequence.
  TextOf text_of_;
  std::function<bool()> may_flush_;  // Of Append's thread. Unset: always.
  uint64_t next_sequence_ = 0;
  std::chrono::steady_clock::time_point last_flush_ = std::chrono::steady_clock::now();
  // Days whose samples are to go once they are in a rollup by minutes; what
  // went since RetainBy.
  std::vector<std::pair<std::string, std::string>> to_condense_;  // Product and day.
  std::vector<HistoryDeletion> condensed_;
  SequenceSpan not_counted_;  // As RetainBy was told.

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

}  // namespace penstock::storage
