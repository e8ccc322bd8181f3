// The history over Parquet files: a catalog of files, a tail in memory, DuckDB between them. The
// public face is storage/history.h; this header is for its three .cc files only.
//
// Thread rule: as in history.h; merging runs on a thread of its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/duck.h"
#include "storage/folder_lock.h"
#include "storage/history.h"
#include "storage/history_catalog.h"
#include "storage/history_tail.h"

namespace penstock::storage {

class ParquetHistory final : public History {
 public:
  ParquetHistory(std::string folder, const HistoryOptions& options, bool read_only);
  ~ParquetHistory() override;
  Status Start();

  void NamePoint(PointId id, const std::string& path, const std::string& product) override;
  Status Append(const HistoryColumns& columns) override;
  Status Flush() override;
  uint64_t flushed_sequence_end() const override;
  Result<std::vector<HistoryRow>> Read(const std::string& path, Time from, Time to,
                                       size_t limit) override;
  Result<std::vector<TrendBucket>> Trend(const std::string& path, Time from, Time to,
                                         size_t buckets) override;
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time from,
                                           Time to) override;
  Result<std::vector<LastRow>> Last(std::span<const std::string> paths) override;
  Result<uint64_t> Retain(Time cutoff, uint64_t max_bytes) override;
  Result<ProductRows> RowsOf(std::string_view product, const std::string& tail_file) override;
  std::vector<ProductSize> Products() override;
  Size size() const override;

 private:
  struct PointName {
    std::string path, product;
  };
  // Rows of one point as a query sees them.
  struct Rows {
    std::span<const Time> time;
    std::span<const double> value;
    std::span<const uint32_t> quality;
  };
  using VisitRows = std::function<void(const Rows&)>;
  // What a query works on, unchanged by what happens meanwhile.
  struct View {
    std::shared_ptr<const Catalog> catalog;
    std::shared_ptr<const HistoryTail> flushing;  // Shared with the flush that is writing it.
    PointId id;
    TailPoint tail;  // A copy of the point's rows in the range.
  };
  class TailRows;
  class MergedRows;
  class ProductTail;

  // parquet_history.cc
  Status LoadCatalog();
  Status RebuildCatalog();
  Status RemoveStrays();
  PointName NameOf(PointId id) const;
  Result<std::vector<HistoryFile>> WriteTail(const HistoryTail& tail);
  Status WriteFile(RowSource& rows, HistoryFile& file);
  Status Publish(Catalog changed, bool tail_is_in_files);

  // parquet_history_query.cc
  View Look(const std::string& path, Time from, Time to);
  Status ScanFiles(std::span<const StoredFilePointer> files, const std::string& path, Time from,
                   Time to, const VisitRows& visit);
  static void ScanTail(const View& view, Time from, Time to, const VisitRows& visit);
  Status Scan(const std::string& path, Time from, Time to, const VisitRows& visit);

  // parquet_history_merge.cc
  void MergeLoop(const std::stop_token& stop);
  Result<bool> MergeOnce(const std::stop_token& stop);

  std::shared_ptr<const Catalog> catalog() const;

  const std::string folder_;
  const HistoryOptions options_;
  const bool read_only_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<Duck> duck_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::shared_ptr<const Catalog> catalog_ = std::make_shared<Catalog>();
  std::shared_ptr<HistoryTail> tail_ = std::make_shared<HistoryTail>();
  std::shared_ptr<const HistoryTail>
      flushing_;                  // Frozen, being written, or waiting for the next attempt.
  std::vector<PointName> names_;  // By PointId.value.
  std::unordered_map<std::string, PointId> ids_;
  uint64_t next_sequence_ = 0;
  std::string manifest_stamp_;  // Read-only: which manifest was read last.

  std::mutex publish_mutex_;  // One change of the catalog at a time; taken before mutex_.
  std::chrono::steady_clock::time_point last_flush_ = std::chrono::steady_clock::now();

  std::condition_variable_any merge_wanted_;
  bool merge_due_ = false;
  std::jthread merger_;  // Last: it stops before what it uses is gone.
};

}  // namespace penstock::storage
