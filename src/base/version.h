// What this build calls itself.
#pragma once

namespace penstock {
inline constexpr const char kVersion[] = "0.1.0";
}  // namespace penstock
