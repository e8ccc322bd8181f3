// The file is written front to back, a row group at a time, and the footer
// last: a file without a footer is no Parquet file, so a crash leaves nothing
// that could be mistaken for one.
#include "storage/parquet_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/version.h"
#include "storage/disk.h"
#include "storage/parquet_thrift.h"

namespace penstock::storage {
namespace {

constexpr size_t kRowsOfLongPoint = 2048, kPagesOfLongPoint = 4;

int64_t PhysicalType(ParquetKind kind) {
  switch (kind) {
    case ParquetKind::kText:
      return parquet::kByteArrayType;
    case ParquetKind::kDouble:
      return parquet::kDoubleType;
    case ParquetKind::kUint32:
      return parquet::kInt32Type;
    default:
      return parquet::kInt64Type;
  }
}

// SchemaElement; 3: repetition, 4: name, 6: converted type, 10: logical type.
void PutColumn(const ParquetColumn& column, ThriftWriter& thrift) {
  thrift.BeginElement();
  thrift.Integer(1, PhysicalType(column.kind));
  thrift.Integer(3, column.optional ? 1 : 0);
  thrift.Text(4, column.name);
  switch (column.kind) {
    case ParquetKind::kText:
      thrift.Integer(6, parquet::kUtf8);
      thrift.BeginStruct(10);
      thrift.BeginStruct(1);
      thrift.EndStruct();
      thrift.EndStruct();
      break;
    case ParquetKind::kTime:
      thrift.Integer(6, parquet::kTimestampMicros);
      thrift.BeginStruct(10);
      thrift.BeginStruct(8);
      thrift.Bool(1, true);
      thrift.BeginStruct(2);
      thrift.BeginStruct(2);
      thrift.EndStruct();
      thrift.EndStruct();
      thrift.EndStruct();
      thrift.EndStruct();
      break;
    case ParquetKind::kUint32:
      thrift.Integer(6, parquet::kUint32Converted);
      thrift.BeginStruct(10);
      thrift.BeginStruct(10);
      thrift.Integer(1, 32, ThriftType::kByte);
      thrift.Bool(2, false);
      thrift.EndStruct();
      thrift.EndStruct();
      break;
    default:
      break;
  }
  thrift.EndStruct();
}

// ColumnChunk with its ColumnMetaData.
void PutChunk(const ParquetColumn& column, const ParquetChunkMeta& meta, ThriftWriter& thrift) {
  thrift.BeginElement();
  thrift.Integer(2, static_cast<int64_t>(meta.offset), ThriftType::kI64);
  thrift.BeginStruct(3);
  thrift.Integer(1, PhysicalType(column.kind));
  thrift.BeginList(2, ThriftType::kI32, meta.has_dictionary ? 3 : 2);
  thrift.AddInteger(parquet::kRle);
  if (meta.has_dictionary) thrift.AddInteger(parquet::kPlain);
  thrift.AddInteger(meta.encoding);
  thrift.BeginList(3, ThriftType::kBinary, 1);
  thrift.AddText(column.name);
  thrift.Integer(4, parquet::kZstd);
  thrift.Integer(5, static_cast<int64_t>(meta.rows), ThriftType::kI64);
  thrift.Integer(6, static_cast<int64_t>(meta.plain_bytes), ThriftType::kI64);
  thrift.Integer(7, static_cast<int64_t>(meta.bytes), ThriftType::kI64);
  thrift.Integer(9, static_cast<int64_t>(meta.offset + meta.data_offset), ThriftType::kI64);
  if (meta.has_dictionary) thrift.Integer(11, static_cast<int64_t>(meta.offset), ThriftType::kI64);
  thrift.BeginStruct(12);
  thrift.Integer(3, static_cast<int64_t>(meta.nulls), ThriftType::kI64);
  if (meta.high) thrift.Text(5, *meta.high);
  if (meta.low) thrift.Text(6, *meta.low);
  thrift.EndStruct();
  thrift.EndStruct();
  thrift.EndStruct();
}

}  // namespace

Result<std::unique_ptr<ParquetWriter>> ParquetWriter::Create(const std::string& path,
                                                             std::span<const ParquetColumn> columns,
                                                             const ParquetOptions& options) {
  CHECK(!columns.empty() && columns[0].kind == ParquetKind::kText && !columns[0].optional);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return FileError(errno, "cannot create", path);
  std::unique_ptr<ParquetWriter> writer(new ParquetWriter(fd, path, columns, options));
  TRY(writer->Put(AsBytes(parquet::kMagic)));
  return writer;
}

ParquetWriter::ParquetWriter(int fd, std::string path, std::span<const ParquetColumn> columns,
                             const ParquetOptions& options)
    : fd_(fd),
      path_(std::move(path)),
      schema_(columns),
      options_(options),
      scratch_(options.zstd_level) {
  for (const ParquetColumn& column : columns) columns_.emplace_back(column);
}

ParquetWriter::~ParquetWriter() {
  if (fd_ >= 0) close(fd_);
  if (!finished_) unlink(path_.c_str());
}

Status ParquetWriter::Put(ByteView bytes) {
  offset_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FileError(written == 0 ? EIO : errno, "cannot write", path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status ParquetWriter::Add(std::string_view point, std::span<const void* const> data, size_t rows) {
  CHECK(data.size() + 1 == schema_.size());
  if (rows_ == 0)
    for (ParquetChunk& column : columns_) column.Reserve(options_.group_rows);
  for (size_t at = 0; at < rows;) {
    const bool many_points = columns_[0].texts() >= options_.group_points;
    if (group_rows_ == options_.group_rows || (many_points && at == 0)) TRY(WriteGroup());
    const size_t some = std::min(rows - at, options_.group_rows - group_rows_);
    columns_[0].AddText(&point, some);
    for (size_t c = 1; c < schema_.size(); ++c) {
      switch (schema_[c].kind) {
        case ParquetKind::kText:
          columns_[c].AddText(static_cast<const std::string_view*>(data[c - 1]), some);
          break;
        case ParquetKind::kUint32:
          columns_[c].AddNumbers(static_cast<const uint32_t*>(data[c - 1]) + at, some);
          break;
        default:
          columns_[c].AddNumbers(static_cast<const uint64_t*>(data[c - 1]) + at, some);
      }
    }
    group_rows_ += some;
    at += some;
  }
  rows_ += rows;
  return {};
}

Status ParquetWriter::WriteGroup() {
  if (group_rows_ == 0) return {};
  Group group{.offset = offset_, .rows = group_rows_};
  Bytes encoded;
  // Long stretches of one point have what repeats far apart: larger pages bring it together.
  const bool long_points = columns_[0].texts() * kRowsOfLongPoint <= group_rows_;
  const size_t page_rows = options_.page_rows * (long_points ? kPagesOfLongPoint : 1);
  for (ParquetChunk& column : columns_) {
    encoded.clear();
    ParquetChunkMeta meta = column.Encode(page_rows, options_.dense, scratch_, encoded);
    meta.offset = offset_;
    TRY(Put(encoded));
    group.chunks.push_back(std::move(meta));
  }
  groups_.push_back(std::move(group));
  group_rows_ = 0;
  return {};
}

// FileMetaData; 4: row groups, 6: created_by, 7: the order that minima and
// maxima follow.
Bytes ParquetWriter::Footer() const {
  Bytes out;
  ThriftWriter thrift(out);
  thrift.BeginRoot();
  thrift.Integer(1, 2);
  thrift.BeginList(2, ThriftType::kStruct, schema_.size() + 1);
  thrift.BeginElement();
  thrift.Text(4, "samples");
  thrift.Integer(5, static_cast<int64_t>(schema_.size()));
  thrift.EndStruct();
  for (const ParquetColumn& column : schema_) PutColumn(column, thrift);
  thrift.Integer(3, static_cast<int64_t>(rows_), ThriftType::kI64);
  thrift.BeginList(4, ThriftType::kStruct, groups_.size());
  for (const Group& group : groups_) {
    uint64_t plain = 0, bytes = 0;
    thrift.BeginElement();
    thrift.BeginList(1, ThriftType::kStruct, group.chunks.size());
    for (size_t c = 0; c < group.chunks.size(); ++c) {
      PutChunk(schema_[c], group.chunks[c], thrift);
      plain += group.chunks[c].plain_bytes;
      bytes += group.chunks[c].bytes;
    }
    thrift.Integer(2, static_cast<int64_t>(plain), ThriftType::kI64);
    thrift.Integer(3, static_cast<int64_t>(group.rows), ThriftType::kI64);
    thrift.BeginList(4, ThriftType::kStruct, 2);
    for (const int64_t sorted_by : {0, 1}) {
      thrift.BeginElement();
      thrift.Integer(1, sorted_by);
      thrift.Bool(2, false);
      thrift.Bool(3, false);
      thrift.EndStruct();
    }
    thrift.Integer(5, static_cast<int64_t>(group.offset), ThriftType::kI64);
    thrift.Integer(6, static_cast<int64_t>(bytes), ThriftType::kI64);
    thrift.EndStruct();
  }
  thrift.Text(6, fmt::format("{}{}", kParquetCreator, kVersion));
  thrift.BeginList(7, ThriftType::kStruct, schema_.size());
  for (size_t c = 0; c < schema_.size(); ++c) {
    thrift.BeginElement();
    thrift.BeginStruct(1);
    thrift.EndStruct();
    thrift.EndStruct();
  }
  thrift.EndStruct();
  return out;
}

Status ParquetWriter::Finish() {
  TRY(WriteGroup());
  Bytes footer = Footer();
  const auto size = static_cast<uint32_t>(footer.size());
  for (int byte = 0; byte < 4; ++byte) footer.push_back(static_cast<uint8_t>(size >> (8 * byte)));
  footer.insert(footer.end(), parquet::kMagic.begin(), parquet::kMagic.end());
  TRY(Put(footer));
  if (fsync(fd_) != 0) return FileError(errno, "cannot sync", path_);
  if (close(std::exchange(fd_, -1)) != 0) return FileError(errno, "cannot close", path_);
  finished_ = true;
  return {};
}

}  // namespace penstock::storage
