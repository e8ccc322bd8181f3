// Units of measure as UCUM codes (case-sensitive): "bar", "mm/s", "m3/h", "Cel", "N.m", "/min",
// "%", "1".
//
// A code is parsed to a dimension over UCUM's seven base units, a factor and an offset to them; two
// units convert into each other when their dimensions agree. Source: The Unified Code for Units of
// Measure, 2.1 and 2.2. Beside UCUM three codes of electrical practice are known: "Wh", "VA" and
// "var".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::things {

struct Unit {
  // Exponents of metre, second, gram, radian, kelvin, coulomb, candela.
  std::array<int8_t, 7> dimension{};
  double factor = 1;  // base = value * factor + offset
  double offset = 0;  // Not 0 only for a temperature scale that stands alone: "Cel", "[degF]".
  // Logarithmic units ("B", "B[V]", "[pH]" with prefixes: "dB") convert only among their own kind.
  std::string_view logarithm;
};

// "" is the unity, as "1". Bounded: at most 64 characters, exponents -9..9, 4 levels of
// parentheses.
Result<Unit> ParseUnit(std::string_view code);
bool Convertible(const Unit& from, const Unit& to);
// kInvalidArgument for a code that is none, or for units of different dimensions.
Result<double> Convert(double value, std::string_view from, std::string_view to);

// How the unit is printed for people: "°C" for "Cel", "m³/h" for "m3/h", "" for "1".
std::string UnitForPeople(std::string_view code);

}  // namespace penstock::things
