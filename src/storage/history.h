// History: samples as plain Parquet files, one folder per data product and day, sorted by point and
// time, written and queried through DuckDB, with the not yet written tail in memory. Layout:
// docs/formats/history.md.
//
// Thread rule: Append and FlushSoon from one thread; Flush and queries from any.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "storage/history_types.h"

namespace penstock::storage {

class History {
 public:
  virtual ~History() = default;
  static Result<std::unique_ptr<History>> Open(const std::string& folder,
                                               const HistoryOptions& options);
  // Reads only the Parquet files (another process writes).
  static Result<std::unique_ptr<History>> OpenReadOnly(const std::string& folder);

  // Names for the files' columns: which path and product a point id has. Before its first Append.
  virtual void NamePoint(PointId id, const std::string& path, const std::string& product) = 0;
  // Row i has sequence first_sequence + i. Rows below the highest sequence seen so far are there
  // already and are left out, so that the log can be replayed from anywhere. Flushes by itself when
  // nobody did for twice flush_every or the tail is half as long again as tail_rows_max; a failed
  // one is logged and tried again later. kResourceExhausted when twice tail_rows_max wait.
  virtual Status Append(const HistoryColumns& columns) = 0;
  // From now on it flushes by itself only when this says so, which is asked in Append.
  virtual void FlushOnlyIf(std::function<bool()> /*may*/) {}
  // Writes the tail to Parquet and fsyncs it; 80 ms for 250,000 rows. Afterwards everything
  // appended is durable in files. After an error the rows stay in the tail.
  virtual Status Flush() = 0;
  // The same on a thread of the history's own: Append may go on meanwhile, all rows stay visible.
  // `done` comes from any thread, perhaps before this returns; the next one not before it.
  virtual void FlushSoon(std::function<void(Status)> done) { done(Flush()); }
  // One past the highest sequence that is safely in Parquet (from the files' metadata after a
  // restart).
  virtual uint64_t flushed_sequence_end() const = 0;

  // Rows of one point in [from, to), by time, at most `limit` (the latest ones).
  virtual Result<std::vector<HistoryRow>> Read(const std::string& path, Time from, Time to,
                                               size_t limit) = 0;
  // Min/max per pixel over [from, to) in `buckets` equal steps; empty buckets are left out.
  virtual Result<std::vector<TrendBucket>> Trend(const std::string& path, Time from, Time to,
                                                 size_t buckets) = 0;
  // Count of samples and of bad ones, first and last time, per path, in [from, to): for data
  // readiness.
  struct Coverage {
    std::string path;
    uint64_t count = 0, bad = 0;
    Time first, last;
    uint64_t minutes_present = 0;  // Distinct minutes with at least one good sample.
  };
  virtual Result<std::vector<Coverage>> CoverageOf(std::span<const std::string> paths, Time from,
                                                   Time to) = 0;
  // The latest row of each of these points, of all that have one when none are named; sorted by
  // path. Meant for the start of a node: the answer is as large as the number of points.
  virtual Result<std::vector<LastRow>> Last(std::span<const std::string>) {
    return std::vector<LastRow>();
  }
  // Buckets of `every` (0: one) over [from, to) of many points at once, in the order of `paths`.
  virtual Result<std::vector<TrendSeries>> Aggregate(std::span<const std::string>, Time, Time,
                                                     Duration) {
    return std::vector<TrendSeries>();
  }
  // Deletes whole days before `cutoff`; returns the number of rows gone.
  virtual Result<uint64_t> Retain(Time cutoff, uint64_t max_bytes) = 0;
  // The same by level and product; says what went.
  virtual Result<std::vector<HistoryDeletion>> RetainBy(const HistoryRetention&) {
    return std::vector<HistoryDeletion>();
  }
  // The files of a product that hold rows now, by time.
  virtual std::vector<HistoryFileView> Files(std::string_view) { return {}; }
  // The same with what is in memory, which is written to `tail_file` in the files' layout (a file
  // there is replaced; the caller removes it). 80 ms for 250,000 rows in memory.
  virtual Result<ProductRows> RowsOf(std::string_view, const std::string&) { return ProductRows(); }
  // The same file where it can be read: an archived one is brought into the archive's cache, where
  // it stays while `keep` lives. kUnavailable when the archive is away, kResourceExhausted when
  // those held at once are more than the cache may have.
  virtual Result<HistoryFileView> Local(const HistoryFileView& file) { return file; }
  // Removes files here of which the archive has a copy: all of days before `before`, then the
  // oldest until at most `max_bytes` are here; never of the newest day. Rollups stay here.
  struct Evicted {
    uint64_t files = 0, bytes = 0;
  };
  virtual Result<Evicted> EvictArchived(Time /*before*/, uint64_t /*max_bytes*/) {
    return Evicted();
  }
  virtual std::vector<ProductSize> Products() { return {}; }  // By name.
  // A copy of all files (hard links where possible) and a manifest in the empty `folder`; synced.
  virtual Status CopyTo(const std::string&) { return {}; }
  // A point of text: its values are codes of texts, and files carry the text beside the code. Other
  // values of such a point (from before it was one of text) stand without a text.
  using TextOf = std::function<std::optional<std::string_view>(double code)>;
  virtual void NameText(PointId) {}
  virtual void SetTexts(TextOf) {}
  // Every text that stands in a file, some of them several times: for a node that lost its table.
  virtual Status VisitTexts(const std::function<void(std::string_view text)>&) { return {}; }
  // Rows now in memory and in files; bytes of the files.
  struct Size {
    uint64_t tail_rows = 0, file_rows = 0, file_bytes = 0, files = 0;
    uint64_t archived_files = 0, archived_bytes = 0;  // Of these, in the archive alone.
  };
  virtual Size size() const = 0;
};

}  // namespace penstock::storage
