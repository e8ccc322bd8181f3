// The hot tail of the history: rows that are not in a file yet, as columns in
// the order of arrival. Appending is copying; a flush puts the rows in order by
// counting them per point.
//
// Thread rule: one writer under the history's lock. A snapshot is constant and
// needs no lock, though the writer goes on: rows behind a snapshot's end are
// not looked at.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "storage/duck.h"
#include "storage/history.h"

namespace penstock::storage {

// A block of rows, allocated once and never moved.
//
// Rows that came together have one ingest time and numbers in sequence, so these two are kept by
// stretch; in a block of more stretches than a byte can number, from there on by row.
struct TailBlock {
  static constexpr size_t kRows = 1 << 14;
  std::array<uint32_t, kRows> point;
  std::array<int64_t, kRows> time;
  std::array<double, kRows> value;
  std::array<uint32_t, kRows> quality;

  int64_t ingest_time(size_t row) const {
    return stretch_[row] == kByRow ? by_row_->ingest_time[row] : stretches_[stretch_[row]].ingest;
  }
  uint64_t sequence(size_t row) const {
    return stretch_[row] == kByRow ? by_row_->sequence[row]
                                   : stretches_[stretch_[row]].sequence + row;
  }
  // Rows [row, row + ingest.size()), behind all that were put; numbered from `sequence` on.
  void Put(size_t row, std::span<const Time> ingest, uint64_t sequence);

  // Calls visit(row) for the rows of a point in their order. Of a full block, which is not written
  // to any more; for any thread.
  template <typename Visit>
  void ForRowsOf(PointId of, const Visit& visit) const {
    const Chains& chains = ChainsOf();
    for (uint16_t row = chains.first[ChainOf(of.value)]; row < kRows; row = chains.next[row])
      if (point[row] == of.value) visit(row);
  }

 private:
  // Rows whose points fall together, each with the next one; kRows ends them.
  static constexpr int kChainBits = 12;
  struct Chains {
    std::array<uint16_t, 1 << kChainBits> first;
    std::array<uint16_t, kRows> next;
  };
  static size_t ChainOf(uint32_t point) { return (point * 0x9E3779B1U) >> (32 - kChainBits); }
  const Chains& ChainsOf() const;

  static constexpr uint8_t kByRow = 255;
  struct Stretch {
    int64_t ingest;
    uint64_t sequence;  // Of row 0, if it were of the stretch.
    bool operator==(const Stretch&) const = default;
  };
  struct ByRow {
    std::array<int64_t, kRows> ingest_time;
    std::array<uint64_t, kRows> sequence;
  };
  std::array<uint8_t, kRows> stretch_;
  std::array<Stretch, kByRow> stretches_;
  size_t stretches_used_ = 0;  // The writer's alone.
  std::unique_ptr<ByRow> by_row_;
  // Made by who asks first: blocks that nobody asks for a point need none. A tenth of the block.
  mutable std::once_flag chained_;
  mutable std::unique_ptr<const Chains> chains_;
};

// Rows of one point, sorted by time, of equal times in the order of arrival.
struct TailRows {
  std::vector<int64_t> time, ingest_time;
  std::vector<double> value;
  std::vector<uint32_t> quality;
  std::vector<uint64_t> sequence;

  size_t size() const { return time.size(); }
  void Clear();
  void Append(const TailRows& other);
  void Sort();
  RowRun Run(std::string_view path) const;  // All; `path` is borrowed.
  std::span<const Time> times() const {
    return {reinterpret_cast<const Time*>(time.data()), time.size()};
  }
};

class TailSnapshot {
 public:
  // Shared with the tail that goes on.
  std::vector<std::shared_ptr<const TailBlock>> blocks;
  size_t rows = 0;

  // Calls visit(block, row in it) for each row, in the order of arrival.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (size_t b = 0, left = rows; left > 0; ++b) {
      const size_t some = std::min(left, TailBlock::kRows);
      for (size_t i = 0; i < some; ++i) visit(*blocks[b], i);
      left -= some;
    }
  }
  // Rows of `point` in [from, to) are put behind those in `out`, not yet
  // sorted.
  void Collect(PointId point, Time from, Time to, TailRows& out) const;
};

// All rows, point by point.
class TailByPoint {
 public:
  explicit TailByPoint(TailSnapshot tail);
  size_t points() const { return begin_.size() - 1; }  // By PointId.value.
  size_t rows_of(size_t point) const { return begin_[point + 1] - begin_[point]; }
  Time first_time() const { return FromMicros(first_); }
  Time last_time() const { return FromMicros(last_); }
  // Replaces `out` by the rows of a point, sorted.
  void Take(size_t point, TailRows& out) const;

 private:
  TailSnapshot tail_;
  int64_t first_ = INT64_MAX, last_ = INT64_MIN;
  std::vector<uint32_t> begin_;  // Into order_, by point.
  std::vector<uint32_t> order_;  // Rows by point.
};

class HistoryTail {
 public:
  // Rows from `skip` on.
  void Append(const HistoryColumns& columns, size_t skip);
  TailSnapshot Snapshot() const;
  size_t rows() const { return rows_; }
  uint64_t sequence_end() const { return sequence_end_; }  // One past the highest; 0 when empty.

 private:
  std::vector<std::shared_ptr<TailBlock>> blocks_;
  size_t rows_ = 0;
  uint64_t sequence_end_ = 0;
};

}  // namespace penstock::storage
