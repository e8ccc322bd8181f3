#include "learning/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::learning {
namespace {

// The lower factor L of A = L L^T.
std::optional<SquareMatrix> Factor(const SquareMatrix& a) {
  SquareMatrix l(a.n);
  for (size_t i = 0; i < a.n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a.at(i, j);
      for (size_t k = 0; k < j; ++k) sum -= l.at(i, k) * l.at(j, k);
      if (i != j) {
        l.at(i, j) = sum / l.at(j, j);
      } else if (sum > 0 && std::isfinite(sum)) {
        l.at(i, i) = std::sqrt(sum);
      } else {
        return std::nullopt;
      }
    }
  }
  return l;
}

std::vector<double> SolveFactored(const SquareMatrix& l, std::span<const double> right) {
  std::vector<double> x(right.begin(), right.end());
  for (size_t i = 0; i < l.n; ++i) {
    for (size_t k = 0; k < i; ++k) x[i] -= l.at(i, k) * x[k];
    x[i] /= l.at(i, i);
  }
  for (size_t i = l.n; i-- > 0;) {
    for (size_t k = i + 1; k < l.n; ++k) x[i] -= l.at(k, i) * x[k];
    x[i] /= l.at(i, i);
  }
  return x;
}

}  // namespace

std::optional<std::vector<double>> Solve(const SquareMatrix& matrix,
                                         std::span<const double> right) {
  const auto factor = Factor(matrix);
  if (!factor || right.size() != matrix.n) return std::nullopt;
  return SolveFactored(*factor, right);
}

std::optional<SquareMatrix> Inverse(const SquareMatrix& matrix) {
  const auto factor = Factor(matrix);
  if (!factor) return std::nullopt;
  SquareMatrix inverse(matrix.n);
  std::vector<double> unit(matrix.n);
  for (size_t column = 0; column < matrix.n; ++column) {
    std::fill(unit.begin(), unit.end(), 0.0);
    unit[column] = 1;
    const auto x = SolveFactored(*factor, unit);
    for (size_t row = 0; row < matrix.n; ++row) inverse.at(row, column) = x[row];
  }
  return inverse;
}

double Quantile(std::vector<double> values, double q) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace penstock::learning
