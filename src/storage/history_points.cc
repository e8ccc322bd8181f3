#include "storage/history_points.h"

#include <algorithm>
#include <numeric>

#include "storage/parquet_reader.h"
#include "storage/parquet_writer.h"

namespace penstock::storage {
namespace {

constexpr ParquetColumn kPointColumns[] = {
    {"point", ParquetKind::kText},       {"time", ParquetKind::kTime},
    {"ingest_time", ParquetKind::kTime}, {"value", ParquetKind::kDouble},
    {"quality", ParquetKind::kUint32},   {"sequence", ParquetKind::kInt64},
    {"product", ParquetKind::kText},     {"known", ParquetKind::kUint32}};

}  // namespace

uint32_t HistoryPoints::ProductNumber(std::string_view product) {
  const auto known = product_numbers_.find(product);
  if (known != product_numbers_.end()) return known->second;
  const auto number = static_cast<uint32_t>(products_.size());
  products_.emplace_back(product);
  product_numbers_.emplace(products_.back(), number);
  return number;
}

uint32_t HistoryPoints::Add(std::string_view path, std::string_view product) {
  const uint32_t number = ProductNumber(product);
  const auto known = by_path_.find(path);
  if (known != by_path_.end()) {
    Entry& entry = entries_[known->second];
    if (entry.product != number) {
      const auto [first, last] = moved_.equal_range(known->second);
      const bool remembered = std::any_of(
          first, last, [&](const auto& moved) { return moved.second == entry.product; });
      if (entry.stored && !remembered) moved_.emplace(known->second, entry.product);
      entry.product = number;
      is_sorted_ = false;
    }
    return known->second;
  }
  const auto at = static_cast<uint32_t>(entries_.size());
  entries_.push_back({.path = std::string(path), .product = number});
  by_path_.emplace(entries_.back().path, at);
  is_sorted_ = false;
  return at;
}

void HistoryPoints::Bind(PointId id, uint32_t entry) {
  if (id.value >= by_id_.size()) by_id_.resize(size_t{id.value} + 1, kNone);
  by_id_[id.value] = entry;
  entries_[entry].id = id.value;
}

uint32_t HistoryPoints::Find(std::string_view path) const {
  const auto known = by_path_.find(path);
  return known != by_path_.end() ? known->second : kNone;
}

void HistoryPoints::AddProductsOf(uint32_t entry, std::vector<std::string>& products) const {
  const auto add = [&](uint32_t product) {
    if (std::ranges::find(products, products_[product]) == products.end())
      products.push_back(products_[product]);
  };
  add(entries_[entry].product);
  const auto [first, last] = moved_.equal_range(entry);
  for (auto moved = first; moved != last; ++moved) add(moved->second);
}

bool HistoryPoints::TakeLast(uint32_t entry, Time time, Time ingest_time, double value,
                             uint32_t quality, uint64_t sequence) {
  Entry& e = entries_[entry];
  e.stored = true;
  if (e.has_last && std::pair(e.time, e.sequence) >= std::pair(time, sequence)) return false;
  e.has_last = true;
  e.time = time;
  e.ingest_time = ingest_time;
  e.value = value;
  e.quality = quality;
  e.sequence = sequence;
  return true;
}

const std::vector<uint32_t>& HistoryPoints::Sorted() {
  if (is_sorted_) return sorted_;
  sorted_.resize(entries_.size());
  std::iota(sorted_.begin(), sorted_.end(), 0U);
  std::sort(sorted_.begin(), sorted_.end(), [&](uint32_t a, uint32_t b) {
    const Entry &left = entries_[a], &right = entries_[b];
    if (left.product != right.product) return products_[left.product] < products_[right.product];
    return left.path < right.path;
  });
  is_sorted_ = true;
  return sorted_;
}

std::vector<HistoryPoints::Stored> HistoryPoints::AllStored() {
  std::vector<Stored> all;
  const auto add = [&](const Entry& e, uint32_t product, bool has_last) {
    all.push_back({e.path, products_[product], has_last, e.quality, e.time, e.ingest_time, e.value,
                   e.sequence});
  };
  for (const uint32_t at : Sorted()) {
    const Entry& entry = entries_[at];
    if (!entry.stored) continue;
    const auto [first, last] = moved_.equal_range(at);
    for (auto moved = first; moved != last; ++moved) add(entry, moved->second, false);
    add(entry, entry.product, entry.has_last);
  }
  return all;
}

Status HistoryPoints::Save(std::span<const Stored> stored, const std::string& path) {
  ASSIGN_OR_RETURN(const auto writer, ParquetWriter::Create(path, kPointColumns));
  for (const Stored& point : stored) {
    const uint32_t known = point.has_last ? 1 : 0;
    const void* const data[] = {&point.time,     &point.ingest_time, &point.value, &point.quality,
                                &point.sequence, &point.product,     &known};
    TRY(writer->Add(point.path, data, 1));
  }
  return writer->Finish();
}

Status HistoryPoints::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, ParquetFile::Open(path, kPointColumns));
  for (size_t group = 0; group < file->groups().size(); ++group) {
    const size_t rows = file->groups()[group].rows;
    std::vector<int64_t> time(rows), ingest(rows), sequence(rows);
    std::vector<double> value(rows);
    std::vector<uint32_t> quality(rows), known(rows);
    void* const columns[] = {time.data(),     ingest.data(), value.data(), quality.data(),
                             sequence.data(), nullptr,       known.data()};
    for (size_t c = 0; c < std::size(columns); ++c) {
      if (columns[c] == nullptr) continue;
      ASSIGN_OR_RETURN(auto reader, ParquetColumnReader::Load(*file, group, c + 1));
      TRY(reader.Read(0, rows, columns[c]));
    }
    ASSIGN_OR_RETURN(auto names, ParquetColumnReader::Load(*file, group, 6));
    ASSIGN_OR_RETURN(const auto products, names.Points());
    ASSIGN_OR_RETURN(auto paths, ParquetColumnReader::Load(*file, group, 0));
    ASSIGN_OR_RETURN(const auto points, paths.Points());
    size_t run = 0;
    for (const PointRows& point : points) {
      for (size_t row = point.from; row < point.from + point.rows; ++row) {
        while (products[run].from + products[run].rows <= row) ++run;
        const uint32_t entry = Add(point.point, products[run].point);
        entries_[entry].stored = true;
        if (known[row] != 0)
          (void)TakeLast(entry, FromMicros(time[row]), FromMicros(ingest[row]), value[row],
                         quality[row], static_cast<uint64_t>(sequence[row]));
      }
    }
  }
  return {};
}

}  // namespace penstock::storage
