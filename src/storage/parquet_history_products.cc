// A product as others read it: its files, and the rows that are in none yet as
// one file more. Both are of one moment, so that a row is in exactly one of
// them: a view has the catalog and the tails as they were under one lock, and
// none of them changes.
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "storage/parquet_history.h"

namespace penstock::storage {

// The rows of one product in a tail, point by point.
class ParquetHistory::ProductTail final : public RowSource {
 public:
  struct Point {
    std::string path;
    PointId id;
  };
  ProductTail(std::vector<Point> points, const std::vector<TailSnapshot>& tails)
      : points_(std::move(points)) {
    for (const TailSnapshot& tail : tails) tails_.emplace_back(tail);
  }

  Result<std::optional<RowRun>> Next() override {
    while (next_ < points_.size()) {
      const Point& point = points_[next_++];
      rows_.Clear();
      for (const TailByPoint& tail : tails_) {
        if (point.id.value >= tail.points()) continue;
        tail.Take(point.id.value, part_);
        rows_.Append(part_);
      }
      if (rows_.size() == 0) continue;
      rows_.Sort();
      const auto times = rows_.times();
      view.first = view.rows == 0 ? times.front() : std::min(view.first, times.front());
      view.last = view.rows == 0 ? times.back() : std::max(view.last, times.back());
      view.rows += rows_.size();
      return rows_.Run(point.path);
    }
    return std::nullopt;
  }

  HistoryFileView view;  // Rows and times of what was given.

 private:
  const std::vector<Point> points_;
  std::vector<TailByPoint> tails_;
  TailRows rows_, part_;
  size_t next_ = 0;
};

Result<ProductRows> ParquetHistory::RowsOf(std::string_view product, const std::string& tail_file) {
  const View view = Look();
  ProductRows rows;
  for (const StoredFilePointer& file : view.catalog->files)
    if (file->info.product == product) {
      rows.files.push_back(ViewOf(*file));
      rows.files.back().keep = file;
    }
  std::sort(rows.files.begin(), rows.files.end(), [](const auto& a, const auto& b) {
    return std::tie(a.day, a.first, a.path) < std::tie(b.day, b.first, b.path);
  });
  std::vector<bool> present;
  for (const TailSnapshot& tail : view.tails)
    tail.ForEach([&](const TailBlock& block, size_t row) {
      if (block.point[row] >= present.size()) present.resize(size_t{block.point[row]} + 1);
      present[block.point[row]] = true;
    });
  std::vector<ProductTail::Point> points;
  for (uint32_t id = 0; id < present.size(); ++id) {
    if (!present[id]) continue;
    const std::lock_guard lock(mutex_);
    const uint32_t entry = points_.EntryOf(PointId{id});
    const std::string path =
        entry != HistoryPoints::kNone ? points_[entry].path : fmt::format("unnamed/{}", id);
    const std::string_view its = entry != HistoryPoints::kNone
                                     ? std::string_view(points_.product(points_[entry].product))
                                     : std::string_view("unnamed");
    if (its == product) points.push_back({path, PointId{id}});
  }
  if (points.empty()) return rows;
  std::sort(points.begin(), points.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  ProductTail tail(std::move(points), view.tails);
  TRY(WriteRows(tail, tail_file));
  struct stat info {};
  if (stat(tail_file.c_str(), &info) != 0) return FromErrno(errno, "cannot find the tail's file");
  HistoryFileView file = tail.view;
  file.path = tail_file;
  file.product = product;
  file.day = "tail";
  file.level = "raw";
  file.bytes = static_cast<uint64_t>(info.st_size);
  rows.tail = std::move(file);
  return rows;
}

std::vector<ProductSize> ParquetHistory::Products() {
  const View view = Look();
  std::map<std::string, ProductSize, std::less<>> sizes;
  for (const StoredFilePointer& file : view.catalog->files) {
    ProductSize& size = sizes[file->info.product];
    size.first =
        size.files == 0 ? file->info.first_time : std::min(size.first, file->info.first_time);
    size.last = size.files == 0 ? file->info.last_time : std::max(size.last, file->info.last_time);
    size.file_rows += file->info.rows;
    size.file_bytes += file->info.bytes;
    ++size.files;
  }
  std::vector<uint64_t> counts;  // By PointId.
  for (const TailSnapshot& tail : view.tails)
    tail.ForEach([&](const TailBlock& block, size_t row) {
      if (block.point[row] >= counts.size()) counts.resize(size_t{block.point[row]} + 1);
      ++counts[block.point[row]];
    });
  {
    const std::lock_guard lock(mutex_);
    for (uint32_t id = 0; id < counts.size(); ++id) {
      if (counts[id] == 0) continue;
      const uint32_t entry = points_.EntryOf(PointId{id});
      const bool named = entry != HistoryPoints::kNone;
      sizes[named ? points_.product(points_[entry].product) : "unnamed"].tail_rows += counts[id];
    }
  }
  std::vector<ProductSize> all;
  for (auto& [name, size] : sizes) {
    size.product = name;
    all.push_back(std::move(size));
  }
  return all;
}

}  // namespace penstock::storage
