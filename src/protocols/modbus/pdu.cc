// The codec trusts nothing: a frame's length field is compared with the protocol's limits before
// anything waits for that many bytes, a byte count with the number of bytes that are there, and an
// answer with its request.
//
// Values: a register is two bytes on the wire, by the standard the more significant first; wider
// values span registers in an order that the standard leaves open, so each form says both orders.
// All arithmetic is done on integers assembled byte by byte, so the host's own byte order never
// matters.
#include "protocols/modbus/pdu.h"

#include <bit>

#include "base/check.h"

namespace penstock::protocols::modbus {
namespace {

using Entity = things::ModbusForm::Entity;
using Type = things::ModbusForm::Type;

constexpr size_t kHeaderBytes = 7;  // Transaction, protocol, length, unit.
constexpr uint8_t kExceptionBit = 0x80;

uint16_t Word(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

uint16_t RegisterCount(const things::ModbusForm& form) {
  switch (form.type) {
    case Type::kString:
      return form.quantity;
    case Type::kInt32:
    case Type::kUint32:
    case Type::kFloat32:
      return 2;
    case Type::kFloat64:
    case Type::kInt64:
    case Type::kUint64:
      return 4;
    case Type::kBoolean:
    case Type::kInt16:
    case Type::kUint16:
      break;
  }
  return 1;
}

uint64_t Assemble(const things::ModbusForm& form, ByteView registers, size_t count) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = 2 * (form.most_significant_word ? i : count - 1 - i);
    uint16_t word = Word(registers, at);
    if (!form.most_significant_byte) word = static_cast<uint16_t>(word << 8 | word >> 8);
    bits = bits << 16 | word;
  }
  return bits;
}

double Interpret(Type type, uint64_t bits) {
  switch (type) {
    case Type::kBoolean:
      return bits != 0 ? 1 : 0;
    case Type::kInt16:
      return static_cast<int16_t>(bits);
    case Type::kUint16:
      return static_cast<uint16_t>(bits);
    case Type::kInt32:
      return static_cast<int32_t>(bits);
    case Type::kUint32:
      return static_cast<uint32_t>(bits);
    case Type::kFloat32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case Type::kFloat64:
      return std::bit_cast<double>(bits);
    case Type::kInt64:
      return static_cast<double>(static_cast<int64_t>(bits));
    case Type::kUint64:
      return static_cast<double>(bits);
    case Type::kString:
      break;
  }
  return 0;
}

struct ExceptionRow {
  uint8_t code;
  std::string_view name;
};
constexpr ExceptionRow kExceptions[] = {
    {kIllegalFunction, "illegal function"},
    {kIllegalDataAddress, "illegal data address"},
    {kIllegalDataValue, "illegal data value"},
    {4, "server device failure"},
    {5, "acknowledge"},
    {6, "server device busy"},
    {8, "memory parity error"},
    {10, "gateway path unavailable"},
    {11, "gateway target device failed to respond"},
};

}  // namespace

uint8_t FunctionOf(Entity entity) {
  switch (entity) {
    case Entity::kCoil:
      return 1;
    case Entity::kDiscreteInput:
      return 2;
    case Entity::kHoldingRegister:
      return 3;
    case Entity::kInputRegister:
      return 4;
  }
  return 3;
}

bool IsCoil(Entity entity) { return entity == Entity::kCoil || entity == Entity::kDiscreteInput; }

uint16_t Width(const things::ModbusForm& form) {
  return IsCoil(form.entity) ? uint16_t{1} : RegisterCount(form);
}

std::array<uint8_t, 12> Encode(const ReadRequest& request) {
  const auto high = [](uint16_t word) { return static_cast<uint8_t>(word >> 8); };
  const auto low = [](uint16_t word) { return static_cast<uint8_t>(word); };
  return {high(request.transaction),
          low(request.transaction),
          0,
          0,
          0,
          6,  // Bytes that follow.
          request.unit,
          request.function,
          high(request.address),
          low(request.address),
          high(request.quantity),
          low(request.quantity)};
}

Result<size_t> FrameBytes(ByteView bytes) {
  // A wrong protocol id is known after four bytes; nothing waits for a length that may never come.
  if (bytes.size() >= 4 && Word(bytes, 2) != 0) {
    return DataLoss("modbus frame has protocol id {} instead of 0: {}", Word(bytes, 2),
                    Excerpt(bytes));
  }
  if (bytes.size() < 6) return 0;
  const size_t length = Word(bytes, 4);
  if (length < 3 || length + 6 > kFrameBytesMax) {
    return DataLoss("modbus frame announces {} bytes, allowed are 3 to {}: {}", length,
                    kFrameBytesMax - 6, Excerpt(bytes));
  }
  return length + 6;
}

Result<Answer> Decode(ByteView frame) {
  ASSIGN_OR_RETURN(const size_t bytes, FrameBytes(frame));
  if (bytes == 0 || bytes != frame.size()) {
    return DataLoss("modbus frame of {} bytes is not whole: {}", frame.size(), Excerpt(frame));
  }
  Answer answer{.transaction = Word(frame, 0),
                .unit = frame[6],
                .function = static_cast<uint8_t>(frame[7] & ~kExceptionBit)};
  if ((frame[7] & kExceptionBit) != 0) {
    if (frame.size() != kHeaderBytes + 2 || frame[8] == 0) {
      return DataLoss("modbus exception answer is malformed: {}", Excerpt(frame));
    }
    answer.exception = frame[8];
    return answer;
  }
  if (answer.function < 1 || answer.function > 4) {
    return DataLoss("modbus answer has function {}, never asked for: {}", answer.function,
                    Excerpt(frame));
  }
  const size_t count = frame[8];
  if (count + kHeaderBytes + 2 != frame.size()) {
    return DataLoss("modbus answer counts {} data bytes but carries {}: {}", count,
                    frame.size() - kHeaderBytes - 2, Excerpt(frame));
  }
  answer.data = frame.subspan(kHeaderBytes + 2);
  return answer;
}

Status Check(const ReadRequest& request, const Answer& answer) {
  if (answer.unit != request.unit) {
    return DataLoss("modbus answer comes from unit {}, asked was {}", answer.unit, request.unit);
  }
  if (answer.function != request.function) {
    return DataLoss("modbus answer has function {}, asked was {}", answer.function,
                    request.function);
  }
  if (answer.exception != 0) return {};
  const size_t expected =
      request.function <= 2 ? (request.quantity + 7U) / 8U : 2U * request.quantity;
  if (answer.data.size() != expected) {
    return DataLoss("modbus answer has {} data bytes, {} values of function {} need {}",
                    answer.data.size(), request.quantity, request.function, expected);
  }
  return {};
}

double Value(const things::ModbusForm& form, uint16_t first, ByteView data) {
  CHECK(form.address >= first);
  const size_t index = form.address - first;
  double raw = 0;
  if (IsCoil(form.entity)) {
    CHECK(index / 8 < data.size());
    raw = (data[index / 8] >> (index % 8)) & 1;
  } else {
    const size_t count = RegisterCount(form);
    CHECK(2 * (index + count) <= data.size());
    raw = Interpret(form.type, Assemble(form, data.subspan(2 * index, 2 * count), count));
  }
  return raw * form.scale + form.offset;
}

std::string RegisterText(const things::ModbusForm& form, uint16_t first, ByteView data) {
  CHECK(form.address >= first && form.type == Type::kString);
  const size_t index = form.address - first, count = form.quantity;
  CHECK(2 * (index + count) <= data.size());
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = 2 * (index + (form.most_significant_word ? i : count - 1 - i));
    const bool high_first = form.most_significant_byte;
    text += static_cast<char>(data[at + (high_first ? 0 : 1)]);
    text += static_cast<char>(data[at + (high_first ? 1 : 0)]);
  }
  text.resize(std::min(text.find('\0'), text.size()));
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string_view ExceptionName(uint8_t exception) {
  for (const ExceptionRow& row : kExceptions) {
    if (row.code == exception) return row.name;
  }
  return "unknown exception";
}

std::string Excerpt(ByteView bytes) {
  constexpr size_t kShown = 32;
  std::string text;
  for (const uint8_t byte : bytes.first(std::min(bytes.size(), kShown))) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  }
  if (bytes.size() > kShown) text += fmt::format(" .. ({} bytes)", bytes.size());
  return text;
}

}  // namespace penstock::protocols::modbus
