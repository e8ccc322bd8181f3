// Identifiers as types of their own, so that an alarm id never lands where a point id belongs.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock {

// Interned point: dense index given by things::Directory, stable within a data folder.
struct PointId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  auto operator<=>(const PointId&) const = default;
};

// W3C Trace Context trace-id: 16 bytes, not all zero, printed as 32 lower-case hex digits.
struct TraceId {
  std::array<uint8_t, 16> bytes{};
  static TraceId Random();  // From the operating system's generator.
  static Result<TraceId> Parse(std::string_view hex);
  std::string ToString() const;
  bool valid() const { return bytes != decltype(bytes){}; }
  auto operator<=>(const TraceId&) const = default;
};

}  // namespace penstock

template <>
struct std::hash<penstock::PointId> {
  size_t operator()(penstock::PointId id) const noexcept { return id.value; }
};
