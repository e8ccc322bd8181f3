// The rows of one row group as a question wants them: of one point, or of one after the other. For
// the history's own .cc files only.
//
// Thread rule: one caller.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "storage/history_reader.h"

namespace penstock::storage {

class HistoryReader::GroupScan {
 public:
  static constexpr size_t kRowsAtOnce = 1 << 16;  // In memory.

  // The file must outlive the scan.
  static Result<GroupScan> Open(HistoryReader& reader, const ParquetFilePointer& file,
                                size_t group);
  // All rows of the group are known to count, unless their value is NaN.
  bool all_good() const { return constant_ && !IsBadQuality(*constant_); }

  // The first of the rows [low, high), which are of one point, that is not before `time`.
  Result<size_t> FirstRow(size_t low, size_t high, Time time);
  // Rows [from, to), at most kRowsAtOnce; until the next call.
  Result<Rows> Read(size_t from, size_t to);
  // Those of rows [from, to) of one point that lie in the spans.
  Status Visit(size_t from, size_t to, std::span<const TimeSpan> spans,
               const std::function<void(const Rows&)>& visit);
  // All rows [from, to) of one point as one step, at most kRowsAtOnce and all good; false when that
  // cannot be.
  Result<bool> Fold(size_t from, size_t to, RollupStep& step);

 private:
  Status ReadBesidesTimes(size_t from, size_t to);
  Rows Part(size_t from, size_t rows) const;

  std::optional<ParquetColumnReader> time_, value_, quality_;
  std::optional<uint32_t> constant_;  // The quality of all rows.
  std::vector<Time> times_;
  std::vector<double> values_;
  std::vector<uint32_t> qualities_;
};

}  // namespace penstock::storage
