// Which reads fetch a source's points: neighbours joined, so that a device is asked seldom and for
// much.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "things/thing.h"

namespace penstock::protocols::modbus {

// Unused registers read along to save a request; more are not worth their bytes and risk an
// unreadable address.
inline constexpr uint16_t kGapMax = 8;

struct Read {
  uint8_t unit = 1;
  things::ModbusForm::Entity entity = things::ModbusForm::Entity::kHoldingRegister;
  Duration polling{0};
  Duration timeout{0};  // The longest of its points.
  uint16_t first = 0;
  uint16_t quantity = 0;
  std::vector<size_t> points{};  // Indexes into the source's points, by address.
};

// Joins points of one unit, entity and polling time whose gap is at most kGapMax, up to what one
// request may ask.
std::vector<Read> PlanReads(std::span<const things::ModbusForm> forms);

// Two reads instead of one that the device refused: cut at the widest gap, else in the middle.
// Empty when the read has a single address left to blame.
std::vector<Read> Split(const Read& read, std::span<const things::ModbusForm> forms);

}  // namespace penstock::protocols::modbus
