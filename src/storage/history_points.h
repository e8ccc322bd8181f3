// The points that the history has or had: path, product, and the last row that
// is in a file. Kept in one Parquet file beside the manifest, so that a node
// knows all last values at its start, however long a point has been silent.
// Layout: docs/formats/history.md.
//
// Thread rule: guarded by the history's lock. Paths and names of products may
// be borrowed for longer: they never move and never change.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "storage/history.h"
#include "storage/parquet_format.h"

namespace penstock::storage {

class HistoryPoints {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    std::string path;
    uint32_t product = 0;
    uint32_t id = kNone;    // PointId.value in this process.
    bool stored = false;    // Has rows in files, or had.
    bool text = false;      // Its values are codes of texts.
    bool has_last = false;  // The five below are known.
    uint32_t quality = 0;
    Time time, ingest_time;
    double value = 0;
    uint64_t sequence = 0;
  };

  // The entry of a path; new ones are added. Another product than before is
  // remembered beside it.
  uint32_t Add(std::string_view path, std::string_view product);
  void Bind(PointId id, uint32_t entry);
  uint32_t EntryOf(PointId id) const { return id.value < by_id_.size() ? by_id_[id.value] : kNone; }
  uint32_t Find(std::string_view path) const;  // kNone when unknown.
  Entry& operator[](uint32_t entry) { return entries_[entry]; }
  const Entry& operator[](uint32_t entry) const { return entries_[entry]; }
  size_t size() const { return entries_.size(); }
  const std::string& product(uint32_t number) const { return products_[number]; }
  // Adds the products that the point was ever stored under and that `products` does not have.
  void AddProductsOf(uint32_t entry, std::vector<std::string>& products) const;
  // Takes a row as the last one when it is later; true when it was.
  bool TakeLast(uint32_t entry, Time time, Time ingest_time, double value, uint32_t quality,
                uint64_t sequence);
  // Entries by product, then path. Until the next Add.
  const std::vector<uint32_t>& Sorted();

  // A stored entry under one of its products; the texts are the entry's own, which never move.
  struct Stored {
    std::string_view path, product;
    bool has_last;
    uint32_t quality;
    Time time, ingest_time;
    double value;
    uint64_t sequence;
  };
  std::vector<Stored> AllStored();  // By product and path.
  // `path` is overwritten.
  static Status Save(std::span<const Stored> stored, const std::string& path);
  Status Load(const std::string& path);

 private:
  uint32_t ProductNumber(std::string_view product);

  std::deque<Entry> entries_;
  std::unordered_map<std::string_view, uint32_t> by_path_;  // Into entries_.
  std::vector<uint32_t> by_id_;
  std::deque<std::string> products_;
  std::unordered_map<std::string_view, uint32_t> product_numbers_;
  std::unordered_multimap<uint32_t, uint32_t> moved_;  // Entry -> a product it had before.
  std::vector<uint32_t> sorted_;
  bool is_sorted_ = false;
};

}  // namespace penstock::storage
