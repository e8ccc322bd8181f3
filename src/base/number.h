// Numbers as an engineer reads them in a sentence.
#pragma once

#include <string>
#include <string_view>

namespace penstock {

// `digits` significant digits, rounded; no exponent from 0.001 up to 10 million, no zeros behind
// the decimal point that say nothing: 14723.4 -> "14700", 7.9 -> "7.9", 0.00123 -> "0.00123",
// 2.5e-5 -> "2.5e-05". Whole numbers are counts and keep their digits: 14723 -> "14723". "missing"
// for what is not finite.
std::string NumberText(double value, int digits = 3);
// The number with its UCUM unit: "7.9 mm/s"; "2.94" alone when the unit is "1" or "".
std::string QuantityText(double value, std::string_view unit);

}  // namespace penstock
