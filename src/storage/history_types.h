// What the history takes and gives: rows as columns, steps of time, files, rules of deletion.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace penstock::storage {

class FileArchive;  // storage/blobs_archive.h

struct HistoryOptions {
  uint64_t memory_limit_mb = 96;  // For DuckDB.
  int threads = 1;
  Duration flush_every = std::chrono::seconds(60);  // Real time between Parquet files.
  size_t tail_rows_max = 2'000'000;                 // Earlier flush when the tail grows beyond.
  size_t merge_files = 16;          // So many small files of a day become a larger one.
  bool merge_in_background = true;  // False: Flush merges before it returns.
  FileArchive* archive = nullptr;   // Where files may go to (EvictArchived). Outlives the history.
};

// Equal-length columns, as telemetry::Batch has them.
struct HistoryColumns {
  std::span<const PointId> point;
  std::span<const Time> source_time;
  std::span<const Time> ingest_time;
  std::span<const double> value;
  std::span<const uint32_t> quality;
  uint64_t first_sequence = 0;
};

struct HistoryRow {
  Time time;
  double value = 0;
  uint32_t quality = 0;
};

// One pixel column of a trend: at most four points (first, min, max, last), gaps visible. All but
// the counts are over samples that are not bad, and NaN when there is none.
struct TrendBucket {
  Time from;
  double first = 0, min = 0, max = 0, last = 0, mean = 0;
  uint64_t count = 0, bad = 0;
  uint64_t good = 0;  // Rows in min, max and mean: neither bad nor NaN.
};

// Buckets of one point.
struct TrendSeries {
  std::string path;
  std::vector<TrendBucket> buckets;
};

// The latest row of a point: by time, among equal times by sequence.
struct LastRow {
  std::string path;
  Time time, ingest_time;
  double value = 0;
  uint32_t quality = 0;
  uint64_t sequence = 0;
};

// What goes: rows before a cutoff, by whole UTC days (hours: by whole months).
struct HistoryRetention {
  Time raw{}, minutes{}, hours{};  // Of the samples, of the 1 min and of the 1 h rollups.
  std::map<std::string, Time, std::less<>> raw_of_product;  // Instead of `raw`, where given.
  uint64_t max_bytes = UINT64_MAX;  // Then the oldest days of samples go too; the newest stays.
  // Rows with sequences in [not_counted_from, not_counted_to) are not in HistoryDeletion::of_point.
  uint64_t not_counted_from = 0, not_counted_to = 0;
};
struct HistoryDeletion {
  std::string product, level;  // "raw", "1m" or "1h".
  uint64_t rows = 0;
  Time first, last;  // Times of the rows that went.
  // Of "raw": rows by path. "": of a file that could not be read any more.
  std::map<std::string, uint64_t, std::less<>> of_point;
};

// A file of a product as anyone may read it; stays on disk while `keep` lives.
struct HistoryFileView {
  std::string path, product, day, level;  // Absolute; "pump", "2026-01-31", "raw" | "1m" | "1h".
  uint64_t rows = 0, bytes = 0;
  Time first, last;
  std::shared_ptr<const void> keep;
  bool archived = false;  // Nothing is at `path`: Local brings it.
};

// Everything a product holds at one moment; no row is in two files.
struct ProductRows {
  std::vector<HistoryFileView> files;   // By day and time.
  std::optional<HistoryFileView> tail;  // Of the rows that are in no file of the history yet.
};
struct ProductSize {
  std::string product;
  uint64_t files = 0, file_rows = 0, file_bytes = 0, tail_rows = 0;
  Time first, last;  // Of the rows in files.
};

}  // namespace penstock::storage
