// A product as others read it: its files, and the rows that are in none yet as one file more. Both
// are of one moment, so that a row is in exactly one of them: the catalog and the two tails are
// taken under one lock. The live tail goes on growing, and may be sorted and written, while it is
// read; so each point is copied under the lock, up to the sequence that was the end at the moment.
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "storage/parquet_history.h"

namespace penstock::storage {

class ParquetHistory::ProductTail final : public RowSource {
 public:
  // The caller holds the history's lock.
  ProductTail(const ParquetHistory& history, std::string_view product)
      : history_(history),
        live_(history.tail_),
        flushing_(history.flushing_),
        end_(history.next_sequence_) {
    const size_t size =
        std::max(live_->points().size(), flushing_ != nullptr ? flushing_->points().size() : 0);
    for (size_t i = 0; i < size; ++i) {
      const PointId id{static_cast<uint32_t>(i)};
      if (RowsOf(live_.get(), id) == 0 && RowsOf(flushing_.get(), id) == 0) continue;
      PointName name = history.NameOf(id);
      if (name.product == product) points_.emplace_back(std::move(name.path), id);
    }
    std::sort(points_.begin(), points_.end());
  }

  bool empty() const { return points_.empty(); }
  Result<std::optional<RowRun>> Next() override {
    while (next_ < points_.size()) {
      const auto& [path, id] = points_[next_++];
      rows_ = TailPoint();
      {
        const std::lock_guard lock(history_.mutex_);
        Copy(flushing_.get(), id);
        Copy(live_.get(), id);
      }
      if (rows_.size() == 0) continue;
      rows_.Sort();
      view.rows += rows_.size();
      view.first =
          view.rows == rows_.size() ? rows_.time.front() : std::min(view.first, rows_.time.front());
      view.last = std::max(view.last, rows_.time.back());
      return rows_.Run(path, 0, rows_.size());
    }
    return std::nullopt;
  }

  HistoryFileView view;  // Rows and times of what was given.

 private:
  static size_t RowsOf(const HistoryTail* tail, PointId id) {
    const TailPoint* point = tail != nullptr ? tail->Find(id) : nullptr;
    return point != nullptr ? point->size() : 0;
  }
  void Copy(const HistoryTail* tail, PointId id) {
    const TailPoint* point = tail != nullptr ? tail->Find(id) : nullptr;
    if (point == nullptr) return;
    for (size_t i = 0; i < point->size(); ++i) {
      if (point->sequence[i] >= end_) continue;
      if (!rows_.time.empty() && point->time[i] < rows_.time.back()) rows_.sorted = false;
      rows_.time.push_back(point->time[i]);
      rows_.ingest_time.push_back(point->ingest_time[i]);
      rows_.value.push_back(point->value[i]);
      rows_.quality.push_back(point->quality[i]);
      rows_.sequence.push_back(point->sequence[i]);
    }
  }

  const ParquetHistory& history_;
  const std::shared_ptr<const HistoryTail> live_, flushing_;
  const uint64_t end_;
  std::vector<std::pair<std::string, PointId>> points_;
  size_t next_ = 0;
  TailPoint rows_;  // Of the present point.
};

Result<ProductRows> ParquetHistory::RowsOf(std::string_view product, const std::string& tail_file) {
  ProductRows rows;
  std::unique_ptr<ProductTail> tail;
  {
    const std::lock_guard lock(mutex_);
    tail = std::make_unique<ProductTail>(*this, product);
    for (const StoredFilePointer& file : catalog_->files)
      if (file->info.product == product)
        rows.files.push_back({file->path, file->info.product, file->info.day, "raw",
                              file->info.rows, file->info.bytes, file->info.first_time,
                              file->info.last_time, file});
  }
  std::sort(rows.files.begin(), rows.files.end(), [](const auto& a, const auto& b) {
    return std::tie(a.day, a.first, a.path) < std::tie(b.day, b.first, b.path);
  });
  if (tail->empty()) return rows;
  TRY(duck_->Write(*tail, tail_file));
  HistoryFileView view = tail->view;
  struct stat info {};
  if (stat(tail_file.c_str(), &info) != 0) return FromErrno(errno, "cannot find the tail's file");
  view.path = tail_file;
  view.product = product;
  view.day = "tail";
  view.level = "raw";
  view.bytes = static_cast<uint64_t>(info.st_size);
  rows.tail = std::move(view);
  return rows;
}

std::vector<ProductSize> ParquetHistory::Products() {
  std::map<std::string, ProductSize, std::less<>> sizes;
  const std::lock_guard lock(mutex_);
  for (const StoredFilePointer& file : catalog_->files) {
    ProductSize& size = sizes[file->info.product];
    size.first =
        size.files == 0 ? file->info.first_time : std::min(size.first, file->info.first_time);
    size.last = std::max(size.last, file->info.last_time);
    size.file_rows += file->info.rows;
    size.file_bytes += file->info.bytes;
    ++size.files;
  }
  for (const HistoryTail* tail : {static_cast<const HistoryTail*>(tail_.get()), flushing_.get()}) {
    if (tail == nullptr) continue;
    for (size_t i = 0; i < tail->points().size(); ++i)
      if (const size_t count = tail->points()[i].size(); count > 0)
        sizes[NameOf(PointId{static_cast<uint32_t>(i)}).product].tail_rows += count;
  }
  std::vector<ProductSize> all;
  for (auto& [name, size] : sizes) {
    size.product = name;
    all.push_back(std::move(size));
  }
  return all;
}

}  // namespace penstock::storage
