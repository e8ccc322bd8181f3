// The little linear algebra that calibration and detection need: symmetric positive definite
// systems, dense, small.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace penstock::learning {

// Row-major square matrix.
struct SquareMatrix {
  size_t n = 0;
  std::vector<double> values;
  explicit SquareMatrix(size_t size = 0) : n(size), values(size * size) {}
  double& at(size_t row, size_t column) { return values[row * n + column]; }
  double at(size_t row, size_t column) const { return values[row * n + column]; }
};

// By Cholesky's decomposition; nothing when the matrix is not positive definite.
std::optional<std::vector<double>> Solve(const SquareMatrix& matrix, std::span<const double> right);
std::optional<SquareMatrix> Inverse(const SquareMatrix& matrix);

// The q-quantile (0..1) by linear interpolation of the sorted values; NaN values are left out, NaN
// when none are left.
double Quantile(std::vector<double> values, double q);

}  // namespace penstock::learning
