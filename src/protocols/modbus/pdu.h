// Modbus TCP on the wire, apart from any socket: requests to read, answers, and values in
// registers. MODBUS Application Protocol Specification V1.1b3; MODBUS Messaging on TCP/IP
// Implementation Guide V1.0b.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "things/thing.h"

namespace penstock::protocols::modbus {

inline constexpr uint16_t kRegistersPerReadMax = 125;
inline constexpr uint16_t kCoilsPerReadMax = 2000;
inline constexpr size_t kFrameBytesMax = 260;  // Header of 7 bytes and a PDU of at most 253.

enum Exception : uint8_t {
  kIllegalFunction = 1,
  kIllegalDataAddress = 2,
  kIllegalDataValue = 3,
};

struct ReadRequest {
  uint16_t transaction = 0;
  uint8_t unit = 1;
  uint8_t function = 3;  // 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
  uint16_t address = 0;
  uint16_t quantity = 1;  // Registers, or coils.
};

struct Answer {
  uint16_t transaction = 0;
  uint8_t unit = 0;
  uint8_t function = 0;   // Without the exception bit.
  uint8_t exception = 0;  // 0: data follows.
  ByteView data{};        // Registers or coils, in the caller's buffer.
};

uint8_t FunctionOf(things::ModbusForm::Entity entity);
bool IsCoil(things::ModbusForm::Entity entity);  // Coils and discrete inputs: one bit each.
// Registers (or coils) that one value of the form occupies.
uint16_t Width(const things::ModbusForm& form);

std::array<uint8_t, 12> Encode(const ReadRequest& request);

// Bytes of the frame at the front of `bytes`, 0 while its header is incomplete. An error when these
// bytes are no Modbus TCP at all.
Result<size_t> FrameBytes(ByteView bytes);
// `frame` is one whole frame.
Result<Answer> Decode(ByteView frame);
// Whether the answer is the one that the request asked for (the transaction was compared by the
// caller).
Status Check(const ReadRequest& request, const Answer& answer);

// The form's value, scaled, from the data of a read that began at `first` (PDU address). The data
// covers it.
double Value(const things::ModbusForm& form, uint16_t first, ByteView data);

// The same of a form of type kString: its bytes up to the first NUL, without spaces at the end.
std::string RegisterText(const things::ModbusForm& form, uint16_t first, ByteView data);

std::string_view ExceptionName(uint8_t exception);
// The first 32 bytes as hex, for an error: "00 01 de ad ..".
std::string Excerpt(ByteView bytes);

}  // namespace penstock::protocols::modbus
