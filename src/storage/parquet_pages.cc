// Of the format only what parquet_writer.cc writes is read: data pages of version 2, a dictionary
// page first, flat columns.
#include "storage/parquet_pages.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "storage/parquet_thrift.h"

namespace penstock::storage {
namespace {

constexpr size_t kPagePlainMax = 64 << 20;
constexpr size_t kHeaderBytesMax = 256;     // Ours take 40.
constexpr uint64_t kReadAtOnce = 32 << 10;  // So short chunks are.

struct PageHeader {
  int64_t type = -1, plain = -1, stored = -1, crc = -1;
  int64_t values = -1, nulls = 0, rows = -1, encoding = -1, levels = 0, repetitions = 0;
  bool pressed = true;
};

PageHeader TakePageHeader(ThriftReader& thrift) {
  PageHeader page;
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    const bool number = type == ThriftType::kI32;
    if (field == 1 && number)
      page.type = thrift.Integer(type);
    else if (field == 2 && number)
      page.plain = thrift.Integer(type);
    else if (field == 3 && number)
      page.stored = thrift.Integer(type);
    else if (field == 4 && number)
      page.crc = static_cast<uint32_t>(thrift.Integer(type));
    else if ((field == 7 || field == 8) && type == ThriftType::kStruct) {
      const bool dictionary = field == 7;
      thrift.BeginStruct();
      int16_t inner = 0;
      while (thrift.NextField(inner, type)) {
        const bool flag = type == ThriftType::kTrue || type == ThriftType::kFalse;
        if (type != ThriftType::kI32 && !(inner == 7 && flag)) {
          thrift.Skip(type);
          continue;
        }
        const int64_t value = thrift.Integer(type);
        if (inner == 1)
          page.values = value;
        else if (dictionary && inner == 2)
          page.encoding = value;
        else if (dictionary)
          continue;
        else if (inner == 2)
          page.nulls = value;
        else if (inner == 3)
          page.rows = value;
        else if (inner == 4)
          page.encoding = value;
        else if (inner == 5)
          page.levels = value;
        else if (inner == 6)
          page.repetitions = value;
        else if (inner == 7)
          page.pressed = value != 0;
      }
    } else {
      thrift.Skip(type);
    }
  }
  return page;
}

// The page that `head` tells of, from byte `offset` on and row `row` on.
Result<ParquetPages::Page> PageOfHeader(const PageHeader& head, uint64_t offset, uint64_t row,
                                        uint64_t rows, const ParquetColumn& column) {
  if (head.type != parquet::kDataPageV2 || head.rows <= 0 || head.levels < 0 ||
      head.repetitions != 0 || head.nulls < 0 || head.nulls > head.rows ||
      head.levels > std::min(head.plain, head.stored) ||
      static_cast<uint64_t>(head.rows) > rows - row || (head.nulls > 0 && !column.optional))
    return DataLoss("column {}: a page that does not fit", column.name);
  return ParquetPages::Page{.offset = offset,
                            .begin = static_cast<uint32_t>(row),
                            .rows = static_cast<uint32_t>(head.rows),
                            .nulls = static_cast<uint32_t>(head.nulls),
                            .stored = static_cast<uint32_t>(head.stored),
                            .levels = static_cast<uint32_t>(head.levels),
                            .plain = static_cast<uint32_t>(head.plain - head.levels),
                            .crc = head.crc,
                            .encoding = head.encoding,
                            .pressed = head.pressed};
}

Status TakeTexts(const PageHeader& head, const ParquetColumn& column, ParquetPages& found) {
  ByteView rest = found.dictionary;
  const auto values = static_cast<size_t>(std::max<int64_t>(head.values, 0));
  found.texts.clear();
  found.texts.reserve(std::min(values, rest.size() / 4));
  while (!rest.empty()) {
    uint32_t size = 0;
    if (rest.size() < 4) return DataLoss("column {}: damaged dictionary", column.name);
    std::memcpy(&size, rest.data(), 4);
    if (size > rest.size() - 4) return DataLoss("column {}: damaged dictionary", column.name);
    found.texts.push_back(AsText(rest.subspan(4, size)));
    rest = rest.subspan(4 + size);
  }
  return {};
}

}  // namespace

// A context of its own for each thread: making one asks the processor for its features, which in a
// virtual machine costs more than most pages.
bool ExpandPage(ByteView stored, std::span<uint8_t> plain) {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  if (context == nullptr) return false;
  const size_t size =
      ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), stored.data(), stored.size());
  return ZSTD_isError(size) == 0 && size == plain.size();
}

bool HasChecksum(ByteView stored, int64_t crc) {
  return crc < 0 || crc32_z(0, stored.data(), static_cast<z_size_t>(stored.size())) ==
                        static_cast<uint64_t>(crc);
}

Result<ByteView> ParquetChunkBytes::At(uint64_t offset, size_t size, ParquetBuffer& room) {
  if (file_ != nullptr && in_memory_.empty() && size_ <= kReadAtOnce) {
    const auto all = whole_.Take(size_);
    TRY(file_->ReadAt(offset_, all));
    in_memory_ = all;
  }
  if (!in_memory_.empty() || size == 0) return in_memory_.subspan(offset, size);
  const auto into = room.Take(size);
  TRY(file_->ReadAt(offset_ + offset, into));
  return into;
}

size_t ParquetPages::memory() const {
  return sizeof(ParquetPages) + pages.size() * (sizeof(Page) + 1) + dictionary.size() +
         texts.size() * sizeof(std::string_view);
}

Result<ParquetPagesPointer> ParquetPages::Find(ParquetChunkBytes& bytes, uint64_t rows,
                                               const ParquetColumn& column) {
  auto found = std::make_shared<ParquetPages>();
  ParquetBuffer room;
  uint64_t row = 0;
  for (uint64_t at = 0; at < bytes.size();) {
    const uint64_t left = bytes.size() - at;
    ASSIGN_OR_RETURN(const ByteView window,
                     bytes.At(at, std::min<uint64_t>(left, kHeaderBytesMax), room));
    ThriftReader thrift(window);
    const PageHeader head = TakePageHeader(thrift);
    if (!thrift.ok()) return DataLoss("column {}: damaged page header", column.name);
    at += window.size() - thrift.left();
    if (head.stored < 0 || static_cast<uint64_t>(head.stored) > bytes.size() - at ||
        head.plain < 0 || static_cast<uint64_t>(head.plain) > kPagePlainMax)
      return DataLoss("column {}: a page of {} bytes", column.name, head.stored);
    const uint64_t body = at;
    at += static_cast<uint64_t>(head.stored);
    if (head.type != parquet::kDictionaryPage) {
      ASSIGN_OR_RETURN(found->pages.emplace_back(), PageOfHeader(head, body, row, rows, column));
      row += found->pages.back().rows;
      continue;
    }
    ASSIGN_OR_RETURN(const ByteView stored, bytes.At(body, static_cast<size_t>(head.stored), room));
    if (!HasChecksum(stored, head.crc))
      return DataLoss("column {}: checksum of the dictionary differs", column.name);
    found->dictionary.resize(static_cast<size_t>(head.plain));
    if (!ExpandPage(stored, found->dictionary))
      return DataLoss("column {}: damaged dictionary", column.name);
    if (column.kind == ParquetKind::kText) TRY(TakeTexts(head, column, *found));
  }
  if (row != rows) return DataLoss("column {}: {} rows of {}", column.name, row, rows);
  found->checked = std::make_unique<std::atomic<bool>[]>(found->pages.size());
  return found;
}

}  // namespace penstock::storage
