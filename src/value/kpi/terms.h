// What the kinds share in saying their numbers.
#pragma once

#include <cmath>
#include <string>

#include <fmt/format.h>

#include "value/interval.h"
#include "value/kpi/kind.h"

namespace penstock::value {

inline double Hours(Duration duration) { return ToSeconds(duration) / 3600; }

inline KpiTerm HoursTerm(Duration duration, std::string_view what) {
  return {Hours(duration), "h", fmt::format("{:.2f} h {}", Hours(duration), what)};
}
inline KpiTerm CountTerm(double count, std::string_view what) {
  return {count, "1", fmt::format("{:.0f} {}", count, what)};
}

// value = numerator / denominator as a percentage; nothing when the denominator is 0.
inline bool Ratio(KpiValue& result, KpiTerm numerator, KpiTerm denominator,
                  std::string_view why_not, double scale = 100) {
  result.numerator = std::move(numerator);
  result.denominator = std::move(denominator);
  if (!(result.denominator->value > 0)) {
    result.reason = why_not;
    return false;
  }
  result.value = scale * result.numerator->value / result.denominator->value;
  return true;
}

inline void SetInterval(KpiValue& result, const Interval& interval, double scale = 1) {
  result.low = scale * interval.first;
  result.high = scale * interval.second;
}

// The same for several kinds: counters there and read at all.
inline bool HasCounters(const KpiInput& input, KpiValue& result) {
  if (!input.produced) {
    result.reason = input.is_line ? "no counters named in the KPI file"
                                  : "counted for the line, not for one machine";
  } else if (input.produced->samples == 0) {
    result.reason = "no reading of the counters in this time";
  } else {
    return true;
  }
  return false;
}

}  // namespace penstock::value
