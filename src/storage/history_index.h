// Which points the row groups of open files have, as numbers: what a question over thousands of
// points asks of every group, and what costs more to decode each time than their few rows.
//
// Bound: kStretchesMax stretches (8 MB), those of the file least lately asked for go first.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "storage/parquet_reader.h"

namespace penstock::storage {

class HistoryIndex {
 public:
  // Rows from `from` up to the next stretch's, or the group's end, are of this point.
  struct Stretch {
    uint32_t entry;  // Of HistoryPoints.
    uint32_t from;
  };
  using Group = std::vector<Stretch>;  // By `from`.
  static constexpr size_t kStretchesMax = 1 << 20;

  // Null when it is not known.
  std::shared_ptr<const Group> Find(const ParquetFilePointer& file, size_t group);
  void Keep(const ParquetFilePointer& file, size_t group, std::shared_ptr<const Group> points);

 private:
  struct Known {
    std::weak_ptr<const ParquetFile> file;
    std::vector<std::shared_ptr<const Group>> groups;
    size_t stretches = 0;
    uint64_t used = 0;
  };
  void MakeRoom(size_t stretches);

  std::mutex mutex_;
  std::unordered_map<const ParquetFile*, Known> known_;
  size_t stretches_ = 0;
  uint64_t uses_ = 0;
};

}  // namespace penstock::storage
