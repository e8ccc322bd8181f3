// Of a footer only what parquet_writer.cc writes is taken; every length is checked against the
// file.
#include "storage/parquet_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "storage/disk.h"
#include "storage/parquet_thrift.h"

namespace penstock::storage {
namespace {

constexpr size_t kFooterBytesMax = 256 << 20;
constexpr uint64_t kGroupRowsMax = 1 << 24;

Status ReadFrom(const Descriptor& file, uint64_t offset, std::span<uint8_t> into,
                const std::string& path) {
  while (!into.empty()) {
    const ssize_t got = pread(file.get(), into.data(), into.size(), static_cast<off_t>(offset));
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

}  // namespace

Result<ParquetFilePointer> ParquetFile::Open(const std::string& path,
                                             std::span<const ParquetColumn> schema) {
  auto descriptor = std::make_shared<const Descriptor>(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (descriptor->get() < 0 || fstat(descriptor->get(), &info) != 0)
    return FileError(errno, "cannot open", path);
  const auto size = static_cast<uint64_t>(info.st_size);
  uint8_t tail[8];
  if (size < 12) return DataLoss("{}: too short for a Parquet file", path);
  TRY(ReadFrom(*descriptor, size - 8, tail, path));
  uint32_t footer_bytes = 0;
  std::memcpy(&footer_bytes, tail, 4);
  if (AsText(ByteView(tail).subspan(4)) != parquet::kMagic || footer_bytes > size - 12 ||
      footer_bytes > kFooterBytesMax)
    return DataLoss("{}: no footer of a Parquet file", path);
  Bytes footer(footer_bytes);
  TRY(ReadFrom(*descriptor, size - 8 - footer_bytes, footer, path));
  ASSIGN_OR_RETURN(auto file, Parse(footer, size, path, schema));
  file->descriptor_ = std::move(descriptor);
  return file;
}

Status ParquetFile::ReadAt(uint64_t offset, std::span<uint8_t> into) const {
  std::shared_ptr<const Descriptor> descriptor;
  {
    const std::lock_guard lock(mutex_);
    if (descriptor_ == nullptr) {
      descriptor_ = std::make_shared<const Descriptor>(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
      if (descriptor_->get() < 0) {
        descriptor_.reset();
        return FileError(errno, "cannot open", path_);
      }
    }
    descriptor = descriptor_;
  }
  return ReadFrom(*descriptor, offset, into, path_);
}

void ParquetFile::CloseForNow() const {
  const std::lock_guard lock(mutex_);
  descriptor_.reset();
}

Result<ParquetFilePointer> ParquetFile::FromFooter(ByteView footer, uint64_t file_bytes,
                                                   const std::string& path,
                                                   std::span<const ParquetColumn> schema) {
  return Parse(footer, file_bytes, path, schema);
}

Result<std::shared_ptr<ParquetFile>> ParquetFile::Parse(ByteView footer, uint64_t file_bytes,
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
  return file;
}

}  // namespace penstock::storage
