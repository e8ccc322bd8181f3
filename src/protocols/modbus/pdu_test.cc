#include "protocols/modbus/pdu.h"

#include <cmath>

#include <gtest/gtest.h>

#include "protocols/driver/testing_hex.h"

namespace penstock::protocols::modbus {
namespace {

using things::ModbusForm;

ModbusForm Typed(ModbusForm::Type type) {
  ModbusForm form;
  form.type = type;
  return form;
}

ModbusForm FormAt(uint16_t address) {
  ModbusForm form;
  form.address = address;
  return form;
}

double ValueIn(ModbusForm form, std::string_view hex) {
  const Bytes data = Hex(hex);
  return Value(form, form.address, data);
}

TEST(ModbusPduTest, AsksForHoldingRegistersAsTheSpecificationsExample) {
  // V1.1b3, 6.3: registers 108 to 110 are addresses 107 to 109.
  const auto bytes =
      Encode({.transaction = 0x0102, .unit = 0x11, .function = 3, .address = 0x6B, .quantity = 3});
  EXPECT_EQ(Bytes(bytes.begin(), bytes.end()), Hex("0102 0000 0006 11 03 006B 0003"));
}

TEST(ModbusPduTest, ReadsTheSpecificationsAnswer) {
  const Bytes frame = Hex("0102 0000 0009 11 03 06 022B 0000 0064");
  const auto answer = Decode(frame);
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->transaction, 0x0102);
  EXPECT_EQ(answer->unit, 0x11);
  EXPECT_EQ(answer->exception, 0);
  ASSERT_EQ(answer->data.size(), 6U);
  EXPECT_TRUE(Check({.transaction = 0x0102, .unit = 0x11, .function = 3, .quantity = 3}, *answer));
  EXPECT_EQ(Value(FormAt(107), 107, answer->data), 555);
  EXPECT_EQ(Value(FormAt(109), 107, answer->data), 100);
}

TEST(ModbusPduTest, ReadsAnException) {
  const auto answer = Decode(Hex("0001 0000 0003 01 83 02"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->function, 3);
  EXPECT_EQ(answer->exception, kIllegalDataAddress);
  EXPECT_EQ(ExceptionName(answer->exception), "illegal data address");
}

TEST(ModbusPduTest, NumbersInEveryWordAndByteOrder) {
  ModbusForm form = Typed(ModbusForm::Type::kFloat32);
  EXPECT_FLOAT_EQ(static_cast<float>(ValueIn(form, "4048F5C3")), 3.14F);
  form.most_significant_word = false;
  EXPECT_FLOAT_EQ(static_cast<float>(ValueIn(form, "F5C34048")), 3.14F);
  form.most_significant_byte = false;
  EXPECT_FLOAT_EQ(static_cast<float>(ValueIn(form, "C3F54840")), 3.14F);
  form.most_significant_word = true;
  EXPECT_FLOAT_EQ(static_cast<float>(ValueIn(form, "4840C3F5")), 3.14F);

  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kInt16), "FFFE"), -2);
  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kUint16), "FFFE"), 65534);
  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kInt32), "FFFFFFFD"), -3);
  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kUint32), "FFFFFFFD"), 4294967293.0);
  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kFloat64), "400921FB54442D18"), M_PI);
  form = Typed(ModbusForm::Type::kFloat64);
  form.most_significant_word = false;
  EXPECT_EQ(ValueIn(form, "2D18544421FB4009"), M_PI);
  EXPECT_EQ(ValueIn(Typed(ModbusForm::Type::kBoolean), "0100"), 1);
}

TEST(ModbusPduTest, ScalesAndShifts) {
  ModbusForm form = Typed(ModbusForm::Type::kInt16);
  form.scale = 0.1;
  form.offset = -40;
  EXPECT_DOUBLE_EQ(ValueIn(form, "01F4"), 10.0);
}

TEST(ModbusPduTest, CoilsAreBitsFromTheLowestUp) {
  const Bytes data = Hex("CD6B05");  // V1.1b3, 6.1: coils 20 to 38.
  ModbusForm form = FormAt(19);
  form.entity = ModbusForm::Entity::kCoil;
  EXPECT_EQ(Value(form, 19, data), 1);
  form.address = 20;
  EXPECT_EQ(Value(form, 19, data), 0);
  form.address = 37;
  EXPECT_EQ(Value(form, 19, data), 1);
}

TEST(ModbusPduTest, WaitsForTheRestOfATornFrame) {
  const Bytes frame = Hex("0001 0000 0005 01 03 02 002A");
  for (size_t size = 0; size < 6; ++size) {
    const auto bytes = FrameBytes(ByteView(frame).first(size));
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, 0U) << size;
  }
  EXPECT_EQ(*FrameBytes(ByteView(frame).first(6)), frame.size());
}

TEST(ModbusPduTest, GarbageIsNamedWithItsBytes) {
  const auto text = FrameBytes(AsBytes("HTTP/1.1 400 Bad Request"));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::kDataLoss);
  EXPECT_NE(text.error().message.find("48 54 54 50"), std::string::npos) << text.error().message;

  EXPECT_FALSE(FrameBytes(Hex("0001 0000 0000")));            // No room for a function.
  EXPECT_FALSE(FrameBytes(Hex("0001 0000 FFFF")));            // Longer than the protocol allows.
  EXPECT_FALSE(Decode(Hex("0001 0000 0005 01 03 04 002A")));  // Counts 4, carries 2.
  EXPECT_FALSE(Decode(Hex("0001 0000 0003 01 83 00")));       // An exception without a number.
  EXPECT_FALSE(Decode(Hex("0001 0000 0003 01 2B 00")));       // A function nobody asked for.
}

TEST(ModbusPduTest, AnAnswerToAnotherQuestionIsRefused) {
  const Bytes frame = Hex("0001 0000 0005 01 03 02 002A");
  const auto answer = Decode(frame);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(Check({.unit = 1, .function = 3, .quantity = 1}, *answer));
  EXPECT_FALSE(Check({.unit = 2, .function = 3, .quantity = 1}, *answer));
  EXPECT_FALSE(Check({.unit = 1, .function = 4, .quantity = 1}, *answer));
  EXPECT_FALSE(Check({.unit = 1, .function = 3, .quantity = 2}, *answer));
}

TEST(ModbusPduTest, TextsLieTwoBytesARegister) {
  things::ModbusForm form;
  form.type = things::ModbusForm::Type::kString;
  form.address = 11;
  form.quantity = 4;
  const Bytes data = {0, 1, 'O', 'P', ' ', '1', '0', ' ', 0, 'x', 0, 2};
  EXPECT_EQ(Width(form), 4);
  EXPECT_EQ(RegisterText(form, 10, data), "OP 10");
  form.most_significant_byte = false;
  EXPECT_EQ(RegisterText(form, 10, data), "PO1  0x");
  form.most_significant_byte = true;
  form.most_significant_word = false;
  EXPECT_EQ(RegisterText(form, 10, Bytes{9, 9, 'c', 'd', 'a', 'b', 0, 0, 0, 0}), "");
  EXPECT_EQ(RegisterText(form, 10, Bytes{9, 9, 'g', ' ', 'e', 'f', 'c', 'd', 'a', 'b'}), "abcdefg");
}

TEST(ModbusPduTest, LongsFillFourRegisters) {
  things::ModbusForm form;
  form.type = things::ModbusForm::Type::kInt64;
  form.quantity = 4;
  const Bytes minus_two = {255, 255, 255, 255, 255, 255, 255, 254};
  EXPECT_EQ(Value(form, 0, minus_two), -2);
  form.type = things::ModbusForm::Type::kUint64;
  EXPECT_EQ(Value(form, 0, minus_two), 18446744073709551616.0) << "rounded: no double is exact";
}

}  // namespace
}  // namespace penstock::protocols::modbus
