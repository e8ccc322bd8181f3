#include "protocols/modbus/plan.h"

#include <gtest/gtest.h>

#include "protocols/modbus/pdu.h"

namespace penstock::protocols::modbus {
namespace {

using things::ModbusForm;

ModbusForm Register(uint16_t address, ModbusForm::Type type = ModbusForm::Type::kUint16,
                    uint8_t unit = 1) {
  ModbusForm form;
  form.address = address;
  form.type = type;
  form.unit = unit;
  return form;
}

TEST(ModbusPlanTest, NeighboursBecomeOneRead) {
  const std::vector<ModbusForm> points = {Register(2, ModbusForm::Type::kFloat32),
                                          Register(0, ModbusForm::Type::kFloat32), Register(4)};
  const auto reads = PlanReads(points);
  ASSERT_EQ(reads.size(), 1U);
  EXPECT_EQ(reads[0].first, 0);
  EXPECT_EQ(reads[0].quantity, 5);
  EXPECT_EQ(reads[0].points, (std::vector<size_t>{1, 0, 2}));
}

TEST(ModbusPlanTest, AGapOfEightIsReadAlongAndOneOfNineIsNot) {
  EXPECT_EQ(PlanReads(std::vector{Register(0), Register(9)}).size(), 1U);
  EXPECT_EQ(PlanReads(std::vector{Register(0), Register(10)}).size(), 2U);
}

TEST(ModbusPlanTest, NoReadIsLongerThanTheProtocolAllows) {
  std::vector<ModbusForm> points;
  for (uint16_t i = 0; i < 1000; ++i) points.push_back(Register(i));
  const auto reads = PlanReads(points);
  EXPECT_EQ(reads.size(), 8U);
  for (const Read& read : reads) EXPECT_LE(read.quantity, kRegistersPerReadMax);

  // A wide value is never cut in two.
  points = {Register(0)};
  for (uint16_t i = 0; i < 62; ++i) {
    points.push_back(Register(static_cast<uint16_t>(1 + 2 * i), ModbusForm::Type::kFloat32));
  }
  points.push_back(Register(125, ModbusForm::Type::kFloat32));
  ASSERT_EQ(PlanReads(points).size(), 2U);
  EXPECT_EQ(PlanReads(points)[1].quantity, 2);
}

TEST(ModbusPlanTest, CoilsJoinUpToTwoThousand) {
  std::vector<ModbusForm> points;
  for (uint16_t i = 0; i < 2001; ++i) {
    points.push_back(Register(i));
    points.back().entity = ModbusForm::Entity::kCoil;
  }
  EXPECT_EQ(PlanReads(points).size(), 2U);
}

TEST(ModbusPlanTest, UnitsEntitiesAndPollingTimesStayApart) {
  std::vector<ModbusForm> points = {Register(0), Register(1, ModbusForm::Type::kUint16, 2),
                                    Register(2), Register(3)};
  points[2].entity = ModbusForm::Entity::kInputRegister;
  points[3].polling = std::chrono::seconds(10);
  EXPECT_EQ(PlanReads(points).size(), 4U);
}

TEST(ModbusPlanTest, ARefusedReadIsCutAtItsWidestGap) {
  const std::vector<ModbusForm> points = {Register(0), Register(1), Register(9), Register(10)};
  const auto halves = Split(PlanReads(points)[0], points);
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_EQ(halves[0].quantity, 2);
  EXPECT_EQ(halves[1].first, 9);
  EXPECT_EQ(halves[1].quantity, 2);
}

TEST(ModbusPlanTest, WithoutAGapItIsCutInTheMiddleUntilOneIsLeft) {
  std::vector<ModbusForm> points;
  for (uint16_t i = 0; i < 8; ++i) points.push_back(Register(i));
  auto halves = Split(PlanReads(points)[0], points);
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_EQ(halves[0].quantity, 4);
  EXPECT_EQ(halves[1].quantity, 4);
  halves = Split(halves[0], points);
  halves = Split(halves[0], points);
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_TRUE(Split(halves[0], points).empty());
}

TEST(ModbusPlanTest, TwoPointsOnOneRegisterCannotBeCutApart) {
  const std::vector<ModbusForm> points = {Register(7), Register(7)};
  const auto reads = PlanReads(points);
  ASSERT_EQ(reads.size(), 1U);
  EXPECT_TRUE(Split(reads[0], points).empty());
}

}  // namespace
}  // namespace penstock::protocols::modbus
