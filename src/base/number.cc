#include "base/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace penstock {
namespace {

constexpr double kExact = 1e7;  // Whole numbers below are counts: every digit says something.
constexpr int kSmallest = -3, kLargest = 6;  // Powers of ten written without an exponent.

}  // namespace

std::string NumberText(double value, int digits) {
  if (!std::isfinite(value)) return "missing";
  if (value == std::trunc(value) && std::abs(value) < kExact)
    return fmt::format("{:.0f}", value + 0.0);
  // Rounded first: 999.9 has the power of 1000.
  const std::string scientific = fmt::format("{:.{}e}", value, digits - 1);
  const int power = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (power < kSmallest || power > kLargest) return fmt::format("{:.{}g}", value, digits);
  const int decimals = std::max(0, digits - 1 - power);
  std::string text = fmt::format("{:.{}f}", std::strtod(scientific.c_str(), nullptr), decimals);
  if (decimals == 0) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string QuantityText(double value, std::string_view unit) {
  const std::string number = NumberText(value);
  return unit.empty() || unit == "1" ? number : fmt::format("{} {}", number, unit);
}

}  // namespace penstock
