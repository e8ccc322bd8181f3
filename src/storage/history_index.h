// What was learned of the row groups of open files: which points they have, as numbers, and where
// the pages of their columns are, with the dictionaries. Both cost more to find out each time than
// the few rows that a question wants.
//
// Bound: kBytesMax. What is known of the file least lately asked for goes first.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "storage/parquet_pages.h"

namespace penstock::storage {

class HistoryIndex {
 public:
  // Stretches of rows by their begin: from begins[i] up to the next one's, or the group's end, they
  // are of entries[i] of HistoryPoints.
  struct Points {
    std::vector<uint32_t> entries, begins;

    std::optional<size_t> PlaceOf(uint32_t entry) const;
    // First row and end of stretch `i` of a group of so many rows.
    std::pair<size_t, size_t> RowsAt(size_t i, size_t rows) const {
      return {begins[i], i + 1 < begins.size() ? begins[i + 1] : rows};
    }
    size_t memory() const { return entries.size() * 2 * sizeof(uint32_t); }
  };
  using PointsPointer = std::shared_ptr<const Points>;
  static constexpr size_t kBytesMax = 16 << 20;

  // Null when it is not known.
  PointsPointer FindPoints(const ParquetFilePointer& file, size_t group);
  ParquetPagesPointer FindPages(const ParquetFilePointer& file, size_t group, size_t column);
  void KeepPoints(const ParquetFilePointer& file, size_t group, PointsPointer points);
  void KeepPages(const ParquetFilePointer& file, size_t group, size_t column,
                 ParquetPagesPointer pages);

 private:
  struct Group {
    PointsPointer points;
    std::vector<ParquetPagesPointer> pages;  // By column.
  };
  struct Known {
    std::weak_ptr<const ParquetFile> file;
    std::vector<Group> groups;
    size_t bytes = 0;
    uint64_t used = 0;
  };
  const Group* Find(const ParquetFilePointer& file, size_t group);
  // What was kept of the file, with room for so many bytes more; null: too many.
  Known* KnownOf(const ParquetFilePointer& file, size_t bytes);
  void MakeRoom(size_t bytes);

  std::mutex mutex_;
  std::unordered_map<const ParquetFile*, Known> known_;
  size_t bytes_ = 0;
  uint64_t uses_ = 0;
};

}  // namespace penstock::storage
