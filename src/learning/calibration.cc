// The loss is convex in (scale, biases), so Newton's method from the identity converges in a few
// steps; a step that does not lower the loss is halved. The ridge on the biases keeps a class with
// five held-out rows from moving far, and makes the Hessian positive definite (biases are only
// defined up to a common shift).
#include "learning/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "learning/linear.h"

namespace penstock::learning {
namespace {

constexpr double kRidge = 1e-2;  // Of a mean loss, on squared biases.
// On the squared distance of the scale from 1: held-out rows that happen to be separable would
// otherwise sharpen without end, and call certain what was only never seen.
constexpr double kScaleRidge = 1e-2;

struct Loss {
  double value = 0;
  std::vector<double> gradient;
  SquareMatrix hessian;
};

class Problem {
 public:
  Problem(std::span<const float> margins, std::span<const uint32_t> labels, size_t classes)
      : margins_(margins), labels_(labels), classes_(classes) {}

  // Parameters: scale, then one bias per class.
  Loss At(const std::vector<double>& x) const {
    const size_t n = classes_ + 1;
    Loss loss{0, std::vector<double>(n), SquareMatrix(n)};
    std::vector<double> p(classes_);
    const double weight = 1.0 / static_cast<double>(labels_.size());
    for (size_t i = 0; i < labels_.size(); ++i) {
      const float* m = margins_.data() + i * classes_;
      loss.value += weight * Softmax(m, x, labels_[i], p);
      double mean = 0, square = 0;
      for (size_t c = 0; c < classes_; ++c) {
        mean += p[c] * m[c];
        square += p[c] * m[c] * m[c];
      }
      loss.gradient[0] += weight * (mean - m[labels_[i]]);
      loss.hessian.at(0, 0) += weight * (square - mean * mean);
      for (size_t c = 0; c < classes_; ++c) {
        loss.gradient[c + 1] += weight * (p[c] - (labels_[i] == c ? 1 : 0));
        loss.hessian.at(0, c + 1) += weight * p[c] * (m[c] - mean);
        for (size_t d = 0; d < classes_; ++d)
          loss.hessian.at(c + 1, d + 1) += weight * p[c] * ((c == d ? 1 : 0) - p[d]);
      }
    }
    for (size_t c = 1; c < n; ++c) {
      loss.value += 0.5 * kRidge * x[c] * x[c];
      loss.gradient[c] += kRidge * x[c];
      loss.hessian.at(c, c) += kRidge;
      loss.hessian.at(c, 0) = loss.hessian.at(0, c);
    }
    loss.value += 0.5 * kScaleRidge * (x[0] - 1) * (x[0] - 1);
    loss.gradient[0] += kScaleRidge * (x[0] - 1);
    loss.hessian.at(0, 0) += kScaleRidge;
    return loss;
  }

 private:
  // Fills p, returns -log p[label].
  double Softmax(const float* m, const std::vector<double>& x, uint32_t label,
                 std::vector<double>& p) const {
    double highest = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes_; ++c) {
      p[c] = x[0] * m[c] + x[c + 1];
      highest = std::max(highest, p[c]);
    }
    const double own = p[label] - highest;
    for (double& value : p) sum += value = std::exp(value - highest);
    for (double& value : p) value /= sum;
    return std::log(sum) - own;
  }

  std::span<const float> margins_;
  std::span<const uint32_t> labels_;
  size_t classes_;
};

}  // namespace

Result<MarginCalibration> FitCalibration(std::span<const float> margins,
                                         std::span<const uint32_t> labels, size_t classes) {
  if (classes < 2 || labels.empty() || margins.size() != labels.size() * classes)
    return InvalidArgument("{} margins for {} labels of {} classes", margins.size(), labels.size(),
                           classes);
  for (const uint32_t label : labels) {
    if (label >= classes) return InvalidArgument("label {} of {} classes", label, classes);
  }
  const Problem problem(margins, labels, classes);
  std::vector<double> x(classes + 1);
  x[0] = 1;
  Loss loss = problem.At(x);
  for (int round = 0; round < 50; ++round) {
    const auto step = Solve(loss.hessian, loss.gradient);
    if (!step) break;
    double factor = 1, best = loss.value;
    Loss next;
    std::vector<double> to;
    for (int halving = 0; halving < 20; ++halving, factor /= 2) {
      to = x;
      for (size_t i = 0; i < x.size(); ++i) to[i] -= factor * (*step)[i];
      to[0] = std::clamp(to[0], 0.05, 20.0);
      next = problem.At(to);
      if (next.value < loss.value) break;
    }
    if (!(next.value < best - 1e-12)) break;
    x = std::move(to);
    loss = std::move(next);
  }
  return MarginCalibration{x[0], {x.begin() + 1, x.end()}};
}

void ApplyCalibration(const MarginCalibration& calibration, inference::TreeForest& forest) {
  for (size_t output = 0; output < forest.base.size(); ++output)
    forest.base[output] = calibration.scale * forest.base[output] + calibration.bias[output];
  for (auto& tree : forest.trees) {
    for (auto& node : tree.nodes) node.value *= static_cast<float>(calibration.scale);
  }
}

std::vector<inference::CalibrationBin> CalibrationBins(std::span<const double> probabilities,
                                                       std::span<const bool> is_class,
                                                       double overlap) {
  constexpr std::array<double, 13> kEdges{0,    0.01, 0.05, 0.1,  0.2,  0.35, 0.5,
                                          0.65, 0.8,  0.9,  0.95, 0.99, 1};
  std::vector<inference::CalibrationBin> bins;
  for (size_t b = 0; b + 1 < kEdges.size(); ++b) bins.push_back({kEdges[b], kEdges[b + 1], 0, 0});
  const double weight = 1 / std::max(overlap, 1.0);
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const auto above = std::upper_bound(kEdges.begin() + 1, kEdges.end() - 1, probabilities[i]);
    auto& bin = bins[static_cast<size_t>(above - kEdges.begin()) - 1];
    bin.n += weight;
    if (is_class[i]) bin.hits += weight;
  }
  for (auto& bin : bins) bin.hits = std::min(bin.hits, bin.n);
  return bins;
}

}  // namespace penstock::learning
