// Thrift's compact protocol, as far as Parquet's metadata needs it: structs of
// integers, texts, lists and structs. Source: "Thrift Compact protocol
// encoding" (Apache Thrift).
//
// Thread rule: none; values of one caller.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"

namespace penstock::storage {

enum class ThriftType : uint8_t {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12,
};

class ThriftWriter {
 public:
  explicit ThriftWriter(Bytes& out) : out_(out) {}

  void Integer(int16_t field, int64_t value, ThriftType type = ThriftType::kI32);
  void Bool(int16_t field, bool value);
  void Text(int16_t field, std::string_view value);
  void BeginStruct(int16_t field);
  void EndStruct();  // Of a field, or of an element of a list.
  // A list: its elements follow by AddInteger, AddText, or BeginElement ...
  // EndStruct.
  void BeginList(int16_t field, ThriftType element, size_t size);
  void AddInteger(int64_t value) { Varint(wire::ZigZag(value)); }
  void AddText(std::string_view value);
  void BeginElement();
  // The outermost struct.
  void BeginRoot() { BeginElement(); }

 private:
  void Varint(uint64_t value) { wire::PutVarint(out_, value); }
  void Field(int16_t field, ThriftType type);
  void Byte(uint8_t byte) { out_.push_back(byte); }

  Bytes& out_;
  static constexpr size_t kDepthMax = 16;
  int16_t last_[kDepthMax] = {};
  size_t depth_ = 0;
};

// Reads what may be damaged: every call checks its bounds, and after the first
// error ok() is false and all values are 0.
class ThriftReader {
 public:
  explicit ThriftReader(ByteView bytes) : rest_(bytes) {}

  void BeginStruct();
  // The next field of the present struct; false at its end, which ends the
  // struct.
  bool NextField(int16_t& field, ThriftType& type);
  int64_t Integer(ThriftType type);  // Of an integer or a bool.
  std::string_view Text();
  // Number of elements; they follow.
  size_t List(ThriftType& element);
  void Skip(ThriftType type);

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }

 private:
  uint8_t Byte();
  uint64_t Varint();
  void Fail() { ok_ = false, rest_ = {}; }

  ByteView rest_;
  static constexpr size_t kDepthMax = 16;
  int16_t last_[kDepthMax] = {};
  size_t depth_ = 0;
  bool ok_ = true;
};

}  // namespace penstock::storage
