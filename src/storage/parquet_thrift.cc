#include "storage/parquet_thrift.h"

#include "base/check.h"

namespace penstock::storage {

void ThriftWriter::Field(int16_t field, ThriftType type) {
  int16_t& last = last_[depth_ - 1];
  CHECK(field > last && field - last < 16);
  Byte(static_cast<uint8_t>(((field - last) << 4) | static_cast<int>(type)));
  last = field;
}

void ThriftWriter::Integer(int16_t field, int64_t value, ThriftType type) {
  Field(field, type);
  if (type == ThriftType::kByte) return Byte(static_cast<uint8_t>(value));
  Varint(wire::ZigZag(value));
}

void ThriftWriter::Bool(int16_t field, bool value) {
  Field(field, value ? ThriftType::kTrue : ThriftType::kFalse);
}

void ThriftWriter::Text(int16_t field, std::string_view value) {
  Field(field, ThriftType::kBinary);
  AddText(value);
}

void ThriftWriter::AddText(std::string_view value) {
  Varint(value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

void ThriftWriter::BeginElement() {
  CHECK(depth_ < kDepthMax);
  last_[depth_++] = 0;
}

void ThriftWriter::BeginStruct(int16_t field) {
  Field(field, ThriftType::kStruct);
  BeginElement();
}

void ThriftWriter::EndStruct() {
  Byte(static_cast<uint8_t>(ThriftType::kStop));
  --depth_;
}

void ThriftWriter::BeginList(int16_t field, ThriftType element, size_t size) {
  Field(field, ThriftType::kList);
  if (size < 15) return Byte(static_cast<uint8_t>((size << 4) | static_cast<size_t>(element)));
  Byte(static_cast<uint8_t>(0xF0 | static_cast<int>(element)));
  Varint(size);
}

uint8_t ThriftReader::Byte() {
  if (rest_.empty()) {
    Fail();
    return 0;
  }
  const auto byte = rest_.front();
  rest_ = rest_.subspan(1);
  return byte;
}

uint64_t ThriftReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = Byte();
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return ok_ ? value : 0;
  }
  Fail();
  return 0;
}

void ThriftReader::BeginStruct() {
  if (depth_ == kDepthMax) return Fail();
  last_[depth_++] = 0;
}

bool ThriftReader::NextField(int16_t& field, ThriftType& type) {
  const uint8_t head = Byte();
  type = static_cast<ThriftType>(head & 0x0F);
  if (!ok_ || depth_ == 0 || type == ThriftType::kStop) {
    if (depth_ > 0) --depth_;
    return false;
  }
  int16_t& last = last_[depth_ - 1];
  if ((head >> 4) != 0) {
    last = static_cast<int16_t>(last + (head >> 4));
  } else {
    last = static_cast<int16_t>(Integer(ThriftType::kI16));
  }
  field = last;
  return ok_;
}

int64_t ThriftReader::Integer(ThriftType type) {
  switch (type) {
    case ThriftType::kTrue:
      return 1;
    case ThriftType::kFalse:
      return 0;
    case ThriftType::kByte:
      return static_cast<int8_t>(Byte());
    case ThriftType::kI16:
    case ThriftType::kI32:
    case ThriftType::kI64: {
      const uint64_t raw = Varint();
      return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
    }
    default:
      Fail();
      return 0;
  }
}

std::string_view ThriftReader::Text() {
  const uint64_t size = Varint();
  if (size > rest_.size()) {
    Fail();
    return {};
  }
  const std::string_view text(reinterpret_cast<const char*>(rest_.data()), size);
  rest_ = rest_.subspan(size);
  return text;
}

size_t ThriftReader::List(ThriftType& element) {
  const uint8_t head = Byte();
  element = static_cast<ThriftType>(head & 0x0F);
  const uint64_t size = (head >> 4) == 15 ? Varint() : head >> 4;
  // An element has at least a byte: no list is longer than what is left.
  if (size > rest_.size()) {
    Fail();
    return 0;
  }
  return size;
}

void ThriftReader::Skip(ThriftType type) {
  switch (type) {
    case ThriftType::kTrue:
    case ThriftType::kFalse:
      return;
    case ThriftType::kByte:
    case ThriftType::kI16:
    case ThriftType::kI32:
    case ThriftType::kI64:
      (void)Integer(type);
      return;
    case ThriftType::kDouble:
      if (rest_.size() < 8) return Fail();
      rest_ = rest_.subspan(8);
      return;
    case ThriftType::kBinary:
      (void)Text();
      return;
    case ThriftType::kList:
    case ThriftType::kSet: {
      if (depth_ == kDepthMax) return Fail();
      ++depth_;
      ThriftType element{};
      for (size_t left = List(element); left > 0 && ok_; --left) {
        // A bool in a list is a byte.
        if (element == ThriftType::kTrue || element == ThriftType::kFalse)
          (void)Byte();
        else
          Skip(element);
      }
      if (depth_ > 0) --depth_;
      return;
    }
    case ThriftType::kStruct: {
      BeginStruct();
      int16_t field = 0;
      ThriftType inner{};
      while (ok_ && NextField(field, inner)) Skip(inner);
      return;
    }
    default:
      Fail();  // A map: Parquet has none.
  }
}

}  // namespace penstock::storage
