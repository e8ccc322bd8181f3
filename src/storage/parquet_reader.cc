// Of the format only what parquet_writer.cc writes is read here: data pages of
// version 2, a dictionary page first, flat columns. That keeps the reader small
// enough to be checked bound by bound, and fast: a point's rows are found by
// two binary searches, over the sorted texts of the dictionary and over the
// rows, whose indexes rise.
#include "storage/parquet_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "storage/disk.h"
#include "storage/parquet_thrift.h"

namespace penstock::storage {
namespace {

constexpr size_t kFooterBytesMax = 256 << 20;
constexpr size_t kPagePlainMax = 64 << 20;
constexpr uint64_t kGroupRowsMax = 1 << 24;

Status ReadAt(int fd, uint64_t offset, std::span<uint8_t> into, const std::string& path) {
  while (!into.empty()) {
    const ssize_t got = pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "cannot read", path);
    if (got == 0) return DataLoss("{}: ends at byte {}", path, offset);
    into = into.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

uint64_t Number(std::string_view bytes) {
  uint64_t number = 0;
  std::memcpy(&number, bytes.data(), std::min<size_t>(bytes.size(), 8));
  return number;
}

struct ChunkParts {
  int64_t data_offset = 0, dictionary_offset = -1, bytes = -1, values = -1;
  std::string_view name, low, high;
};

void TakeStatistics(ThriftReader& thrift, ChunkParts& parts) {
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    if (field == 5 && type == ThriftType::kBinary) {
      parts.high = thrift.Text();
    } else if (field == 6 && type == ThriftType::kBinary) {
      parts.low = thrift.Text();
    } else {
      thrift.Skip(type);
    }
  }
}

void TakeColumnMeta(ThriftReader& thrift, ChunkParts& parts) {
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    if (field == 3 && type == ThriftType::kList) {
      ThriftType element{};
      for (size_t left = thrift.List(element); left > 0 && thrift.ok(); --left)
        parts.name = thrift.Text();
    } else if (field == 5 && type == ThriftType::kI64) {
      parts.values = thrift.Integer(type);
    } else if (field == 7 && type == ThriftType::kI64) {
      parts.bytes = thrift.Integer(type);
    } else if (field == 9 && type == ThriftType::kI64) {
      parts.data_offset = thrift.Integer(type);
    } else if (field == 11 && type == ThriftType::kI64) {
      parts.dictionary_offset = thrift.Integer(type);
    } else if (field == 12 && type == ThriftType::kStruct) {
      TakeStatistics(thrift, parts);
    } else {
      thrift.Skip(type);
    }
  }
}

ChunkParts TakeChunk(ThriftReader& thrift) {
  ChunkParts parts;
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    if (field == 3 && type == ThriftType::kStruct) {
      TakeColumnMeta(thrift, parts);
    } else {
      thrift.Skip(type);
    }
  }
  return parts;
}

std::optional<uint32_t> ConstantOf(const ChunkParts& chunk, const ParquetColumn& column) {
  if (column.kind != ParquetKind::kUint32 || column.optional || chunk.low.size() != 4 ||
      chunk.low != chunk.high)
    return std::nullopt;
  return static_cast<uint32_t>(Number(chunk.low));
}

struct GroupParts {
  int64_t rows = -1;
  std::vector<ChunkParts> chunks;
};

GroupParts TakeGroup(ThriftReader& thrift) {
  GroupParts parts;
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    if (field == 1 && type == ThriftType::kList) {
      ThriftType element{};
      const size_t size = thrift.List(element);
      if (element != ThriftType::kStruct) return parts;
      for (size_t i = 0; i < size && thrift.ok(); ++i) parts.chunks.push_back(TakeChunk(thrift));
    } else if (field == 3 && type == ThriftType::kI64) {
      parts.rows = thrift.Integer(type);
    } else {
      thrift.Skip(type);
    }
  }
  return parts;
}

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

// A context of its own for each thread: making one asks the processor for its features, which in a
// virtual machine costs more than most pages.
bool Expand(ByteView stored, Bytes& plain) {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  if (context == nullptr) return false;
  const size_t size =
      ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), stored.data(), stored.size());
  return ZSTD_isError(size) == 0 && size == plain.size();
}

}  // namespace

Result<ParquetFilePointer> ParquetFile::Open(const std::string& path,
                                             std::span<const ParquetColumn> schema) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0) return FileError(errno, "cannot open", path);
  const auto size = static_cast<uint64_t>(info.st_size);
  uint8_t tail[8];
  if (size < 12) return DataLoss("{}: too short for a Parquet file", path);
  TRY(ReadAt(fd.get(), size - 8, tail, path));
  uint32_t footer_bytes = 0;
  std::memcpy(&footer_bytes, tail, 4);
  if (AsText(ByteView(tail).subspan(4)) != parquet::kMagic || footer_bytes > size - 12 ||
      footer_bytes > kFooterBytesMax)
    return DataLoss("{}: no footer of a Parquet file", path);
  Bytes footer(footer_bytes);
  TRY(ReadAt(fd.get(), size - 8 - footer_bytes, footer, path));
  return FromFooter(footer, size, path, schema);
}

Result<ParquetFilePointer> ParquetFile::FromFooter(ByteView footer, uint64_t file_bytes,
                                                   const std::string& path,
                                                   std::span<const ParquetColumn> schema) {
  auto file = std::make_shared<ParquetFile>();
  file->path_ = path;
  file->schema_ = schema;
  std::vector<GroupParts> groups;
  std::string_view creator;
  int64_t rows = -1;
  ThriftReader thrift(footer);
  thrift.BeginStruct();
  int16_t field = 0;
  ThriftType type{};
  while (thrift.NextField(field, type)) {
    if (field == 3 && type == ThriftType::kI64) {
      rows = thrift.Integer(type);
    } else if (field == 4 && type == ThriftType::kList) {
      ThriftType element{};
      const size_t size = thrift.List(element);
      if (element != ThriftType::kStruct) return DataLoss("{}: bad list of row groups", path);
      for (size_t i = 0; i < size && thrift.ok(); ++i) groups.push_back(TakeGroup(thrift));
    } else if (field == 6 && type == ThriftType::kBinary) {
      creator = thrift.Text();
    } else {
      thrift.Skip(type);
    }
  }
  if (!thrift.ok()) return DataLoss("{}: damaged footer", path);
  if (!creator.starts_with(kParquetCreator))
    return Unimplemented("{}: written by \"{}\"", path, creator.substr(0, 60));
  for (const GroupParts& parts : groups) {
    if (parts.rows < 0 || static_cast<uint64_t>(parts.rows) > kGroupRowsMax)
      return DataLoss("{}: a row group of {} rows", path, parts.rows);
    if (parts.chunks.size() != schema.size())
      return Unimplemented("{}: {} columns", path, parts.chunks.size());
    Group group{.rows = static_cast<uint64_t>(parts.rows)};
    for (size_t c = 0; c < schema.size(); ++c) {
      const ChunkParts& chunk = parts.chunks[c];
      if (chunk.name != schema[c].name)
        return Unimplemented("{}: column \"{}\"", path, chunk.name.substr(0, 60));
      const int64_t begin =
          chunk.dictionary_offset >= 0 ? chunk.dictionary_offset : chunk.data_offset;
      if (begin < 4 || chunk.bytes < 0 || static_cast<uint64_t>(begin) > file_bytes ||
          static_cast<uint64_t>(chunk.bytes) > file_bytes - static_cast<uint64_t>(begin) ||
          chunk.values != parts.rows)
        return DataLoss("{}: column {} lies outside the file", path, schema[c].name);
      group.chunks.push_back({static_cast<uint64_t>(begin), static_cast<uint64_t>(chunk.bytes),
                              ConstantOf(chunk, schema[c])});
    }
    group.first_point = parts.chunks[0].low;
    group.last_point = parts.chunks[0].high;
    if (schema.size() > 1) {
      group.first_time = FromMicros(static_cast<int64_t>(Number(parts.chunks[1].low)));
      group.last_time = FromMicros(static_cast<int64_t>(Number(parts.chunks[1].high)));
    }
    file->rows_ += group.rows;
    file->groups_.push_back(std::move(group));
  }
  if (rows < 0 || static_cast<uint64_t>(rows) != file->rows_)
    return DataLoss("{}: the number of rows differs", path);
  file->checked_ = std::make_unique<std::atomic<bool>[]>(groups.size() * schema.size());
  return file;
}

bool ParquetFile::TakeUnchecked(size_t group, size_t column) const {
  return !checked_[group * schema_.size() + column].exchange(true, std::memory_order_relaxed);
}

Result<ParquetColumnReader> ParquetColumnReader::Load(const ParquetFile& file, size_t group,
                                                      size_t column) {
  const ParquetFile::Group& meta = file.groups()[group];
  const ParquetFile::Chunk& chunk = meta.chunks[column];
  const Descriptor fd(open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, "cannot open", file.path());
  Bytes bytes(chunk.bytes);
  TRY(ReadAt(fd.get(), chunk.offset, bytes, file.path()));
  auto reader =
      Parse(std::move(bytes), meta.rows, file.schema()[column], file.TakeUnchecked(group, column));
  if (!reader) reader.error().Where(file.path());
  return reader;
}

Result<ParquetColumnReader> ParquetColumnReader::Parse(Bytes bytes, uint64_t rows,
                                                       const ParquetColumn& column, bool check) {
  ParquetColumnReader reader;
  reader.bytes_ = std::move(bytes);
  reader.rows_ = rows;
  reader.column_ = &column;
  TRY(reader.TakePages(check));
  return reader;
}

Status ParquetColumnReader::TakePages(bool check) {
  ByteView rest = bytes_;
  size_t row = 0;
  while (!rest.empty()) {
    ThriftReader thrift(rest);
    const PageHeader head = TakePageHeader(thrift);
    if (!thrift.ok()) return DataLoss("column {}: damaged page header", column_->name);
    rest = rest.last(thrift.left());
    if (head.stored < 0 || static_cast<uint64_t>(head.stored) > rest.size() || head.plain < 0 ||
        static_cast<uint64_t>(head.plain) > kPagePlainMax)
      return DataLoss("column {}: a page of {} bytes", column_->name, head.stored);
    const ByteView stored = rest.first(static_cast<size_t>(head.stored));
    rest = rest.subspan(stored.size());
    if (check && head.crc >= 0 &&
        crc32_z(0, stored.data(), static_cast<z_size_t>(stored.size())) !=
            static_cast<uint64_t>(head.crc))
      return DataLoss("column {}: checksum of a page differs", column_->name);
    if (head.type == parquet::kDictionaryPage) {
      TRY(TakeDictionary(stored, static_cast<size_t>(head.plain),
                         static_cast<size_t>(std::max<int64_t>(head.values, 0))));
      continue;
    }
    if (head.type != parquet::kDataPageV2 || head.rows <= 0 || head.levels < 0 ||
        head.repetitions != 0 || head.nulls < 0 || head.nulls > head.rows ||
        head.levels > std::min(head.plain, head.stored) ||
        static_cast<uint64_t>(head.rows) > rows_ - row || (head.nulls > 0 && !column_->optional))
      return DataLoss("column {}: a page that does not fit", column_->name);
    Page page{.begin = row,
              .rows = static_cast<size_t>(head.rows),
              .nulls = static_cast<size_t>(head.nulls),
              .encoding = head.encoding,
              .stored = stored.subspan(static_cast<size_t>(head.levels)),
              .plain_bytes = static_cast<size_t>(head.plain - head.levels),
              .pressed = head.pressed};
    row += page.rows;
    pages_.push_back(std::move(page));
  }
  if (row != rows_) return DataLoss("column {}: {} rows of {}", column_->name, row, rows_);
  return {};
}

Status ParquetColumnReader::TakeDictionary(ByteView stored, size_t plain_bytes, size_t values) {
  dictionary_.resize(plain_bytes);
  if (!Expand(stored, dictionary_)) return DataLoss("column {}: damaged dictionary", column_->name);
  if (column_->kind != ParquetKind::kText) return {};
  ByteView rest = dictionary_;
  texts_.clear();
  texts_.reserve(std::min(values, plain_bytes / 4));
  while (!rest.empty()) {
    uint32_t size = 0;
    if (rest.size() < 4) return DataLoss("column {}: damaged dictionary", column_->name);
    std::memcpy(&size, rest.data(), 4);
    if (size > rest.size() - 4) return DataLoss("column {}: damaged dictionary", column_->name);
    texts_.push_back(AsText(rest.subspan(4, size)));
    rest = rest.subspan(4 + size);
  }
  return {};
}

size_t ParquetColumnReader::distinct() const {
  if (column_->kind == ParquetKind::kText) return texts_.size();
  return dictionary_.size() / (column_->kind == ParquetKind::kUint32 ? 4 : 8);
}

Result<ParquetColumnReader::Page*> ParquetColumnReader::PageOf(size_t row) {
  auto page = std::upper_bound(pages_.begin(), pages_.end(), row,
                               [](size_t r, const Page& p) { return r < p.begin; });
  if (page == pages_.begin()) return DataLoss("column {}: no row {}", column_->name, row);
  --page;
  if (!page->ready) TRY(Prepare(*page));
  return &*page;
}

Status ParquetColumnReader::Prepare(Page& page) {
  ByteView body = page.stored;
  if (!page.pressed && page.stored.size() != page.plain_bytes)
    return DataLoss("column {}: a page of {} bytes", column_->name, page.stored.size());
  if (page.pressed) {
    page.plain.resize(page.plain_bytes);
    if (!Expand(page.stored, page.plain)) return DataLoss("column {}: damaged page", column_->name);
    body = page.plain;
  }
  const size_t width = column_->kind == ParquetKind::kUint32 ? 4 : 8,
               values = page.rows - page.nulls;
  switch (page.encoding) {
    case parquet::kRleDictionary: {
      if (body.empty()) return DataLoss("column {}: empty page", column_->name);
      ASSIGN_OR_RETURN(page.indexes, HybridView::Parse(body.subspan(1), body[0], values));
      break;
    }
    case parquet::kDeltaBinaryPacked:
      if (width != 8) return DataLoss("column {}: deltas of 32 bits", column_->name);
      TRY(DecodeDelta(body, values, page.numbers));
      break;
    case parquet::kByteStreamSplit:
    case parquet::kPlain:
      if (body.size() != values * width)
        return DataLoss("column {}: a page of {} bytes", column_->name, body.size());
      page.body = body;
      break;
    default:
      return DataLoss("column {}: encoding {}", column_->name, page.encoding);
  }
  page.ready = true;
  return {};
}

Status ParquetColumnReader::Read(size_t from, size_t to, void* out) {
  if (column_->kind == ParquetKind::kText || to > rows_)
    return InvalidArgument("column {}: rows {} to {}", column_->name, from, to);
  const size_t width = column_->kind == ParquetKind::kUint32 ? 4 : 8, known = distinct();
  auto* bytes = static_cast<uint8_t*>(out);
  while (from < to) {
    ASSIGN_OR_RETURN(Page* const page, PageOf(from));
    const size_t begin = from - page->begin, end = std::min(to - page->begin, page->rows);
    const size_t rows = end - begin;
    if (page->encoding == parquet::kRleDictionary) {
      constexpr size_t kAtOnce = 1024;
      uint32_t index[kAtOnce];
      for (size_t at = 0; at < rows; at += kAtOnce) {
        const size_t some = std::min(kAtOnce, rows - at);
        page->indexes.Decode(begin + at, begin + at + some, index);
        uint32_t highest = 0;
        for (size_t i = 0; i < some; ++i) highest = std::max(highest, index[i]);
        if (highest >= known) return DataLoss("column {}: index outside", column_->name);
        if (width == 8) {
          for (size_t i = 0; i < some; ++i)
            std::memcpy(bytes + (at + i) * 8, dictionary_.data() + size_t{index[i]} * 8, 8);
        } else {
          for (size_t i = 0; i < some; ++i)
            std::memcpy(bytes + (at + i) * 4, dictionary_.data() + size_t{index[i]} * 4, 4);
        }
      }
    } else if (page->encoding == parquet::kDeltaBinaryPacked) {
      std::memcpy(bytes, page->numbers.data() + begin, rows * 8);
    } else if (page->encoding == parquet::kPlain) {
      std::memcpy(bytes, page->body.data() + begin * width, rows * width);
    } else {
      for (size_t i = 0; i < rows; ++i)
        for (size_t byte = 0; byte < width; ++byte)
          bytes[i * width + byte] = page->body[byte * page->rows + begin + i];
    }
    bytes += rows * width;
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
  const auto text = std::lower_bound(texts_.begin(), texts_.end(), point);
  if (text == texts_.end() || *text != point) return std::nullopt;
  const auto wanted = static_cast<uint32_t>(text - texts_.begin());
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
  points.reserve(texts_.size());
  uint32_t last = UINT32_MAX;
  std::vector<uint32_t> indexes;
  const auto take = [&](uint32_t index, size_t from, size_t rows) {
    if (index == last) {
      points.back().rows += rows;
      return true;
    }
    if (index >= texts_.size()) return false;
    points.push_back({texts_[index], from, rows});
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
