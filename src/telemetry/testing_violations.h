// Violations as a check would have found them, for the tests of this room.
#pragma once

#include <string>
#include <string_view>

#include "telemetry/violation.h"

namespace penstock::telemetry {

// Adds one of `rows` equal rows of "pump-7/PROPERTY"; `contract` and `property` outlive it.
inline void AddBroken(Violations& to, std::string_view property, std::string_view contract,
                      double value, int second, uint32_t rows = 1, uint32_t point = 3) {
  Violation violation;
  violation.contract = contract;
  violation.thing = "pump-7";
  violation.property = property;
  violation.rule = "maximum";
  violation.why = " is too high";
  violation.rows = rows;
  to.list.push_back(violation);
  for (uint32_t i = 0; i < rows; ++i)
    to.rows.Add(PointId{point}, FromMicros(second * 1'000'000LL),
                FromMicros(second * 1'000'000LL + 5), value);
}

inline Violations Broken(std::string_view property, std::string_view contract, double value,
                         int second, uint32_t rows = 1) {
  Violations violations;
  AddBroken(violations, property, contract, value, second, rows);
  return violations;
}

}  // namespace penstock::telemetry
