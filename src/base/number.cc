#include "base/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace penstock {
namespace {

constexpr int kSmallest = -3, kLargest = 6;  // Powers of ten written without an exponent.

}  // namespace

std::string NumberText(double value, int digits) {
  if (!std::isfinite(value)) return "missing";
  if (value == 0) return "0";
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

}  // namespace penstock
