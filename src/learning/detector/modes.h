// The ways in which a thing normally runs (products, loads, standstill), found as clusters of its
// rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace penstock::learning {

struct Modes {
  std::vector<std::vector<double>> centers;  // At least one.
  std::vector<uint32_t> of_row;
};

// k-means on standardised rows (NaN counts as 0) for k = 1, 2 ... 6. Modes are believed when each
// has 5 % of the rows and every two of them lie apart: Ashman's D (1994) above 4.5, where a split
// Gaussian has 2.7 and a split uniform 3.5. Deterministic.
Modes FindModes(std::span<const std::vector<double>> rows);
uint32_t NearestMode(const std::vector<std::vector<double>>& centers, std::span<const double> row);

}  // namespace penstock::learning
