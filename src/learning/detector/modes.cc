// Farthest-first starts instead of random ones: the first center is the mean, each next one begins
// at the row that is farthest from all centers so far among the nearer 99 % (the farthest one
// itself is usually an outlier).
#include "learning/detector/modes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace penstock::learning {
namespace {

constexpr size_t kModesMax = 6;
constexpr double kShareMin = 0.05, kApartMin = 4.5;

double SquaredDistance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = (std::isnan(a[i]) ? 0 : a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

// Assigns rows and moves centers until nothing changes.
void Settle(std::span<const std::vector<double>> rows, Modes& modes) {
  for (int round = 0; round < 50; ++round) {
    bool changed = false;
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint32_t nearest = NearestMode(modes.centers, rows[i]);
      changed = changed || nearest != modes.of_row[i];
      modes.of_row[i] = nearest;
    }
    if (!changed && round > 0) break;
    std::vector<double> counts(modes.centers.size());
    for (auto& center : modes.centers) std::fill(center.begin(), center.end(), 0.0);
    for (size_t i = 0; i < rows.size(); ++i) {
      ++counts[modes.of_row[i]];
      for (size_t f = 0; f < rows[i].size(); ++f)
        modes.centers[modes.of_row[i]][f] += std::isnan(rows[i][f]) ? 0 : rows[i][f];
    }
    for (size_t m = 0; m < counts.size(); ++m) {
      for (double& value : modes.centers[m]) value /= std::max(counts[m], 1.0);
    }
  }
}

size_t FarRow(std::span<const std::vector<double>> rows, const Modes& modes) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> distance(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    distance[i] = SquaredDistance(rows[i], modes.centers[modes.of_row[i]]);
  const size_t at = rows.size() - 1 - rows.size() / 100;
  std::nth_element(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(at), order.end(),
      [&](size_t a, size_t b) { return std::pair(distance[a], a) < std::pair(distance[b], b); });
  return order[at];
}

bool AllLarge(const Modes& modes, size_t rows) {
  std::vector<size_t> counts(modes.centers.size());
  for (const uint32_t mode : modes.of_row) ++counts[mode];
  return static_cast<double>(*std::min_element(counts.begin(), counts.end())) >=
         kShareMin * static_cast<double>(rows);
}

// Along the line between two centers: their distance in units of the spread of their rows.
double Apart(std::span<const std::vector<double>> rows, const Modes& modes, uint32_t a,
             uint32_t b) {
  const auto &from = modes.centers[a], &to = modes.centers[b];
  std::vector<double> axis(from.size());
  double length = 0;
  for (size_t f = 0; f < axis.size(); ++f) {
    axis[f] = to[f] - from[f];
    length += axis[f] * axis[f];
  }
  if (length == 0) return 0;
  double square[2] = {0, 0}, count[2] = {0, 0};
  for (size_t i = 0; i < rows.size(); ++i) {
    if (modes.of_row[i] != a && modes.of_row[i] != b) continue;
    const int side = modes.of_row[i] == b ? 1 : 0;
    double along = 0;
    for (size_t f = 0; f < axis.size(); ++f)
      along +=
          axis[f] * ((std::isnan(rows[i][f]) ? 0 : rows[i][f]) - modes.centers[modes.of_row[i]][f]);
    square[side] += along * along / length;
    count[side] += 1;
  }
  const double variance =
      (square[0] / std::max(count[0], 1.0) + square[1] / std::max(count[1], 1.0)) / 2;
  return variance > 0 ? std::sqrt(length / variance) : INFINITY;
}

bool AllApart(std::span<const std::vector<double>> rows, const Modes& modes) {
  for (uint32_t a = 0; a < modes.centers.size(); ++a) {
    for (uint32_t b = a + 1; b < modes.centers.size(); ++b) {
      if (Apart(rows, modes, a, b) < kApartMin) return false;
    }
  }
  return true;
}

}  // namespace

uint32_t NearestMode(const std::vector<std::vector<double>>& centers, std::span<const double> row) {
  uint32_t nearest = 0;
  double best = INFINITY;
  for (uint32_t m = 0; m < centers.size(); ++m) {
    const double distance = SquaredDistance(row, centers[m]);
    if (distance < best) {
      best = distance;
      nearest = m;
    }
  }
  return nearest;
}

Modes FindModes(std::span<const std::vector<double>> rows) {
  Modes best;
  if (rows.empty()) return best;
  best.centers.assign(1, std::vector<double>(rows.front().size()));
  best.of_row.assign(rows.size(), 0);
  Settle(rows, best);
  // A center too many can straddle two modes that the next one parts: look two ahead.
  Modes tried = best;
  while (tried.centers.size() < kModesMax && tried.centers.size() < best.centers.size() + 2) {
    tried.centers.push_back(rows[FarRow(rows, tried)]);
    for (double& value : tried.centers.back()) value = std::isnan(value) ? 0 : value;
    Settle(rows, tried);
    if (AllLarge(tried, rows.size()) && AllApart(rows, tried)) best = tried;
  }
  return best;
}

}  // namespace penstock::learning
