// A point's rows are found by two binary searches, over the sorted texts of the dictionary and over
// the rows, whose indexes rise.
#include "storage/parquet_reader.h"

#include <algorithm>
#include <cstring>

namespace penstock::storage {

Result<ParquetColumnReader> ParquetColumnReader::Load(const ParquetFile& file, size_t group,
                                                      size_t column, ParquetPagesPointer pages) {
  ParquetColumnReader reader;
  reader.file_ = &file;
  reader.bytes_ = ParquetChunkBytes(file, file.groups()[group].chunks[column]);
  reader.rows_ = file.groups()[group].rows;
  reader.column_ = &file.schema()[column];
  if (const Status taken = reader.TakePages(std::move(pages)); !taken)
    return std::unexpected(Error(taken.error()).Where(file.path()));
  return reader;
}

Result<ParquetColumnReader> ParquetColumnReader::Parse(ByteView bytes, uint64_t rows,
                                                       const ParquetColumn& column) {
  ParquetColumnReader reader;
  reader.bytes_ = ParquetChunkBytes(bytes);
  reader.rows_ = rows;
  reader.column_ = &column;
  TRY(reader.TakePages(nullptr));
  return reader;
}

Status ParquetColumnReader::TakePages(ParquetPagesPointer pages) {
  pages_ = std::move(pages);
  if (pages_ != nullptr) return {};
  ASSIGN_OR_RETURN(pages_, ParquetPages::Find(bytes_, rows_, *column_));
  return {};
}

size_t ParquetColumnReader::distinct() const {
  if (column_->kind == ParquetKind::kText) return pages_->texts.size();
  return pages_->dictionary.size() / width();
}

Result<ParquetColumnReader::Page*> ParquetColumnReader::PageOf(size_t row) {
  for (Page& page : held_)
    if (row - page.begin < page.rows) return &page;
  const auto& pages = pages_->pages;
  const auto behind = std::upper_bound(pages.begin(), pages.end(), row,
                                       [](size_t r, const auto& page) { return r < page.begin; });
  if (behind == pages.begin()) return DataLoss("column {}: no row {}", column_->name, row);
  Page& page = held_[next_held_];
  next_held_ = (next_held_ + 1) % kPagesHeld;
  page.rows = 0;
  if (Status ready = Prepare(static_cast<size_t>(behind - pages.begin()) - 1, page); !ready) {
    page.rows = 0;
    if (file_ != nullptr) ready.error().Where(file_->path());
    return std::unexpected(ready.error());
  }
  return &page;
}

Status ParquetColumnReader::Prepare(size_t number, Page& page) {
  const ParquetPages::Page& about = pages_->pages[number];
  ASSIGN_OR_RETURN(const ByteView all, bytes_.At(about.offset, about.stored, page.stored));
  std::atomic<bool>& checked = pages_->checked[number];
  if (file_ != nullptr && !checked.load(std::memory_order_relaxed)) {
    if (!HasChecksum(all, about.crc))
      return DataLoss("column {}: checksum of a page differs", column_->name);
    checked.store(true, std::memory_order_relaxed);
  }
  ByteView body = all.subspan(about.levels);
  if (!about.pressed && body.size() != about.plain)
    return DataLoss("column {}: a page of {} bytes", column_->name, body.size());
  if (about.pressed) {
    const auto plain = page.plain.Take(about.plain);
    if (!ExpandPage(body, plain)) return DataLoss("column {}: damaged page", column_->name);
    body = plain;
  }
  page.begin = about.begin;
  page.nulls = about.nulls;
  page.encoding = about.encoding;
  const size_t values = about.rows - about.nulls;
  switch (about.encoding) {
    case parquet::kRleDictionary: {
      if (body.empty()) return DataLoss("column {}: empty page", column_->name);
      ASSIGN_OR_RETURN(page.indexes, HybridView::Parse(body.subspan(1), body[0], values));
      break;
    }
    case parquet::kDeltaBinaryPacked: {
      if (width() != 8) return DataLoss("column {}: deltas of 32 bits", column_->name);
      const auto numbers = page.number_room.Take(values);
      TRY(DecodeDelta(body, numbers));
      page.numbers = numbers;
      break;
    }
    case parquet::kByteStreamSplit:
    case parquet::kPlain:
      if (body.size() != values * width())
        return DataLoss("column {}: a page of {} bytes", column_->name, body.size());
      page.body = body;
      break;
    default:
      return DataLoss("column {}: encoding {}", column_->name, about.encoding);
  }
  page.rows = about.rows;
  return {};
}

// What the dictionary has at the places of rows [from, from + rows) of the page.
Status ParquetColumnReader::ReadPlaces(const Page& page, size_t from, size_t rows,
                                       uint8_t* out) const {
  constexpr size_t kAtOnce = 1024;
  uint32_t index[kAtOnce];
  const size_t known = distinct();
  const uint8_t* const dictionary = pages_->dictionary.data();
  for (size_t at = 0; at < rows; at += kAtOnce) {
    const size_t some = std::min(kAtOnce, rows - at);
    page.indexes.Decode(from + at, from + at + some, index);
    uint32_t highest = 0;
    for (size_t i = 0; i < some; ++i) highest = std::max(highest, index[i]);
    if (highest >= known) return DataLoss("column {}: index outside", column_->name);
    if (width() == 8) {
      for (size_t i = 0; i < some; ++i)
        std::memcpy(out + (at + i) * 8, dictionary + size_t{index[i]} * 8, 8);
    } else {
      for (size_t i = 0; i < some; ++i)
        std::memcpy(out + (at + i) * 4, dictionary + size_t{index[i]} * 4, 4);
    }
  }
  return {};
}

Status ParquetColumnReader::Read(size_t from, size_t to, void* out) {
  if (column_->kind == ParquetKind::kText || to > rows_)
    return InvalidArgument("column {}: rows {} to {}", column_->name, from, to);
  const size_t wide = width();
  auto* bytes = static_cast<uint8_t*>(out);
  while (from < to) {
    ASSIGN_OR_RETURN(Page* const page, PageOf(from));
    const size_t begin = from - page->begin, rows = std::min(to - page->begin, page->rows) - begin;
    if (page->encoding == parquet::kRleDictionary) {
      TRY(ReadPlaces(*page, begin, rows, bytes));
    } else if (page->encoding == parquet::kDeltaBinaryPacked) {
      std::memcpy(bytes, page->numbers.data() + begin, rows * 8);
    } else if (page->encoding == parquet::kPlain) {
      std::memcpy(bytes, page->body.data() + begin * wide, rows * wide);
    } else {
      for (size_t i = 0; i < rows; ++i)
        for (size_t byte = 0; byte < wide; ++byte)
          bytes[i * wide + byte] = page->body[byte * page->rows + begin + i];
    }
    bytes += rows * wide;
    from += rows;
  }
  return {};
}

Result<uint32_t> ParquetColumnReader::IndexAt(size_t row) {
  ASSIGN_OR_RETURN(Page* const page, PageOf(row));
  if (page->encoding != parquet::kRleDictionary || page->nulls > 0)
    return DataLoss("column {}: no indexes", column_->name);
  uint32_t index = 0;
  page->indexes.Decode(row - page->begin, row - page->begin + 1, &index);
  return index;
}

Result<std::optional<PointRows>> ParquetColumnReader::Find(std::string_view point) {
  const auto& texts = pages_->texts;
  const auto text = std::lower_bound(texts.begin(), texts.end(), point);
  if (text == texts.end() || *text != point) return std::nullopt;
  const auto wanted = static_cast<uint32_t>(text - texts.begin());
  const auto first_row = [&](uint64_t index) -> Result<size_t> {
    size_t low = 0, high = rows_;
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      ASSIGN_OR_RETURN(const uint32_t at, IndexAt(middle));
      if (at < index) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  ASSIGN_OR_RETURN(const size_t begin, first_row(wanted));
  ASSIGN_OR_RETURN(const size_t end, first_row(uint64_t{wanted} + 1));
  return PointRows{*text, begin, end - begin};
}

Result<std::vector<PointRows>> ParquetColumnReader::Points() {
  std::vector<PointRows> points;
  const auto& texts = pages_->texts;
  points.reserve(texts.size());
  uint32_t last = UINT32_MAX;
  std::vector<uint32_t> indexes;
  const auto take = [&](uint32_t index, size_t from, size_t rows) {
    if (index == last) {
      points.back().rows += rows;
      return true;
    }
    if (index >= texts.size()) return false;
    points.push_back({texts[index], from, rows});
    last = index;
    return true;
  };
  for (size_t row = 0; row < rows_;) {
    ASSIGN_OR_RETURN(Page* const page, PageOf(row));
    if (page->encoding != parquet::kRleDictionary || page->nulls > 0)
      return DataLoss("column {}: no indexes", column_->name);
    for (const HybridRun& run : page->indexes.runs()) {
      bool whole = true;
      if (run.packed == nullptr) {
        whole = take(run.value, row + run.begin, run.rows);
      } else {
        indexes.resize(run.rows);
        page->indexes.Decode(run.begin, run.begin + run.rows, indexes.data());
        for (size_t i = 0; i < run.rows && whole; ++i)
          whole = take(indexes[i], row + run.begin + i, 1);
      }
      if (!whole) return DataLoss("column {}: index outside", column_->name);
    }
    row += page->rows;
  }
  return points;
}

}  // namespace penstock::storage
