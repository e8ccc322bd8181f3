// The hot tail of the history: the rows that are not in a file yet, one set of columns per point.
//
// Thread rule: one writer; the caller (History) holds its lock, or has frozen the tail.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/duck.h"
#include "storage/history.h"

namespace penstock::storage {

struct TailPoint {
  std::vector<Time> time, ingest_time;
  std::vector<double> value;
  std::vector<uint32_t> quality;
  std::vector<uint64_t> sequence;
  bool sorted = true;  // By time.

  size_t size() const { return time.size(); }
  void Sort();
  // Of a sorted point: the rows in [from, to). `path` is borrowed.
  RowRun Run(std::string_view path, size_t from, size_t to) const;
};

class HistoryTail {
 public:
  // Rows from `skip` on.
  void Append(const HistoryColumns& columns, size_t skip);
  // Sorts every point by time, equal times in the order of arrival.
  void Sort();

  size_t rows() const { return rows_; }
  uint64_t sequence_end() const { return sequence_end_; }  // One past the highest; 0 when empty.
  std::span<const TailPoint> points() const { return points_; }  // By PointId.value.
  const TailPoint* Find(PointId id) const;

 private:
  std::vector<TailPoint> points_;
  size_t rows_ = 0;
  uint64_t sequence_end_ = 0;
};

}  // namespace penstock::storage
