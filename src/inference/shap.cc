// One leaf is a game: with the features S known it pays v * prod_{j in S} o_j * prod_{j not in S}
// r_j, where o_j says whether the row passes the path's tests on j (0 or 1) and r_j is the share of
// the cover that does. Its Shapley value by Owen's multilinear extension ("Multilinear extensions
// of games", 1972) is an integral of products,
//   phi_f = v (o_f - r_f) Int_0^1 prod_{j != f} (o_j t + r_j (1 - t)) dt,
// a polynomial of degree m - 1 for m features on the path, so Gauss-Legendre quadrature with ceil(m
// / 2) points is exact. At a point t every factor is a positive number: products go down the tree,
// sums come up, and a factor is taken out again by dividing. Hence a cost of O(nodes * points)
// instead of O(leaves * depth^2), four points to a vector, nothing that cancels, and no recursion:
// splits lie breadth first, parents before children. A feature met again on a path replaces its
// factor: the tables hold the ratio to the one above, and the differences telescope. Which of three
// cases a split is in (row goes left, goes right, or the feature has failed above) picks its table;
// the cases need no branch.
#include "inference/shap.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <set>

#include "base/check.h"

namespace penstock::inference {
namespace {

constexpr size_t kLanes = 4;
typedef double Vector __attribute__((vector_size(kLanes * sizeof(double)), aligned(8)));

struct Quadrature {
  std::vector<double> points, weights;  // On [0, 1].
};

// Roots of the Legendre polynomial by Newton's method; weights 2 / ((1 - x^2) P'(x)^2) on [-1, 1].
Quadrature GaussLegendre(size_t n) {
  Quadrature rule{std::vector<double>(n), std::vector<double>(n)};
  for (size_t i = 0; i < n; ++i) {
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) /
                        (static_cast<double>(n) + 0.5));
    double slope = 1;
    for (int round = 0; round < 100; ++round) {
      double p = 1, before = 0;
      for (size_t k = 1; k <= n; ++k) {
        const auto order = static_cast<double>(k);
        const double next = ((2 * order - 1) * x * p - (order - 1) * before) / order;
        before = p;
        p = next;
      }
      slope = static_cast<double>(n) * (x * p - before) / (x * x - 1);
      const double step = p / slope;
      x -= step;
      if (std::abs(step) < 1e-16) break;
    }
    rule.points[i] = (1 - x) / 2;
    rule.weights[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return rule;
}

// The most distinct features on one path, over a tree: the degree of its polynomials.
size_t DistinctOnPath(const Tree& tree) {
  struct Open {
    int32_t node;
    std::vector<int32_t> features;
  };
  size_t most = 0;
  std::vector<Open> open{{0, {}}};
  while (!open.empty()) {
    Open at = std::move(open.back());
    open.pop_back();
    const TreeNode& node = tree.nodes[at.node];
    if (node.feature < 0) {
      most = std::max(most, at.features.size());
      continue;
    }
    if (std::find(at.features.begin(), at.features.end(), node.feature) == at.features.end())
      at.features.push_back(node.feature);
    open.push_back({node.left, at.features});
    open.push_back({node.right, std::move(at.features)});
  }
  return most;
}

struct Step {
  const float* slots;
  const double* table;  // Of the tree's first split.
  double* down;  // Per node: the product from the root; on the way up the sum over its leaves.
  uint8_t*
      passed;      // Per node: the row passes all tests on the last split's feature that lead here.
  uint8_t* state;  // Per split.
  double* sums;    // Per feature.
};

template <size_t kFixed, typename Split>
[[gnu::always_inline]] inline void WalkTree(const Split* splits, size_t count, size_t chunks,
                                            const Step& step) {
  const size_t n = kFixed == 0 ? chunks : kFixed;
  const size_t vector = n * kLanes, stride = 12 * vector;
  const auto load = [](const double* from, size_t c) -> const Vector& {
    return *reinterpret_cast<const Vector*>(from + c * kLanes);
  };
  const auto at = [](double* to, size_t c) -> Vector& {
    return *reinterpret_cast<Vector*>(to + c * kLanes);
  };
  for (size_t k = 0; k < count; ++k) {
    const Split& split = splits[k];
    const unsigned left = step.slots[split.slot] < split.threshold ? 1 : 0;
    const unsigned open = step.passed[split.ancestor];
    const unsigned state = open != 0 ? 1 - left : 2;
    step.state[k] = static_cast<uint8_t>(state);
    step.passed[2 * k + 1] = static_cast<uint8_t>(open & left);
    step.passed[2 * k + 2] = static_cast<uint8_t>(open & (1 - left));
    const double* table = step.table + k * stride + state * 4 * vector;
    double* self = step.down + split.self * vector;
    double* children = step.down + (2 * k + 1) * vector;
    for (size_t c = 0; c < n; ++c) {
      const Vector product = load(self, c);
      at(children, c) = product * load(table, c);
      at(children + vector, c) = product * load(table + vector, c);
    }
  }
  for (size_t k = count; k-- > 0;) {
    const Split& split = splits[k];
    const double* table = step.table + k * stride + (step.state[k] * 4 + 2) * vector;
    double* self = step.down + split.self * vector;
    const double* children = step.down + (2 * k + 1) * vector;
    double* sums = step.sums + (split.slot >> 1) * vector;
    for (size_t c = 0; c < n; ++c) {
      const Vector below_left = load(children, c), below_right = load(children + vector, c);
      at(sums, c) += below_left * load(table, c) + below_right * load(table + vector, c);
      at(self, c) = below_left + below_right;
    }
  }
}

template <typename Split>
[[gnu::always_inline]] inline void WalkAny(const Split* splits, size_t count, size_t chunks,
                                           const Step& step) {
  if (chunks == 1) {
    WalkTree<1>(splits, count, chunks, step);
  } else if (chunks == 2) {
    WalkTree<2>(splits, count, chunks, step);
  } else {
    WalkTree<0>(splits, count, chunks, step);
  }
}

#if defined(__x86_64__)
// The same with 256-bit registers, where the processor has them.
template <typename Split>
__attribute__((target("avx2,fma"))) void WalkWide(const Split* splits, size_t count, size_t chunks,
                                                  const Step& step) {
  WalkAny(splits, count, chunks, step);
}
bool Wide() {
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return wide;
}
#else
template <typename Split>
void WalkWide(const Split* splits, size_t count, size_t chunks, const Step& step) {
  WalkAny(splits, count, chunks, step);
}
bool Wide() { return false; }
#endif

}  // namespace

Result<Shap> Shap::Make(const TreeForest& forest) {
  TRY(CheckForest(forest));
  if (!forest.has_cover)
    return FailedPrecondition("the trees carry no cover, so no exact SHAP value exists for them");
  Shap shap;
  shap.features_ = forest.features;
  size_t distinct = 1;
  for (const Tree& tree : forest.trees) distinct = std::max(distinct, DistinctOnPath(tree));
  shap.chunks_ = ((distinct + 1) / 2 + kLanes - 1) / kLanes;
  Quadrature rule = GaussLegendre(shap.chunks_ * kLanes);
  shap.points_ = std::move(rule.points);
  shap.weights_ = std::move(rule.weights);
  shap.base_ = forest.base;
  for (const Tree& tree : forest.trees) shap.base_[tree.output] += shap.AddTree(tree);
  const size_t doubles = shap.splits_.size() * shap.table_stride();
  if (doubles * sizeof(double) <= kTableBytesMax) {
    shap.table_.resize(doubles);
    for (size_t k = 0; k < shap.splits_.size(); ++k)
      shap.FillTable(shap.splits_[k], shap.table_.data() + k * shap.table_stride());
  }
  return shap;
}

double Shap::AddTree(const Tree& tree) {
  struct Open {
    int32_t node;
    double weight;  // Product of all shares from the root.
    std::vector<std::pair<int32_t, std::pair<uint16_t, double>>>
        features;  // Last node, product of shares.
  };
  Part part{static_cast<uint32_t>(splits_.size()), 0, tree.output};
  double base = 0;
  std::vector<Open> queue{{0, 1.0, {}}};
  for (size_t id = 0; id < queue.size(); ++id) {
    Open at = std::move(queue[id]);
    const TreeNode& node = tree.nodes[at.node];
    if (node.feature < 0) {
      base += at.weight * node.value;
      continue;
    }
    const TreeNode &left = tree.nodes[node.left], &right = tree.nodes[node.right];
    const double both = static_cast<double>(left.cover) + right.cover;
    Split split{};
    split.threshold = node.threshold;
    split.slot = SlotOf(node.feature, node.missing_left);
    split.self = static_cast<uint16_t>(id);
    split.share_left = both > 0 ? left.cover / both : 0.5;
    split.share_right = both > 0 ? right.cover / both : 0.5;
    split.value_left = left.feature < 0 ? left.value : 1.0;
    split.value_right = right.feature < 0 ? right.value : 1.0;
    split.above = 1;
    auto seen = std::find_if(at.features.begin(), at.features.end(),
                             [&](const auto& entry) { return entry.first == node.feature; });
    if (seen == at.features.end()) seen = at.features.insert(seen, {node.feature, {0, 1.0}});
    split.ancestor = seen->second.first;
    split.above = seen->second.second;
    for (const bool is_left : {true, false}) {
      const double share = is_left ? split.share_left : split.share_right;
      seen->second = {static_cast<uint16_t>(2 * part.count + (is_left ? 1 : 2)),
                      split.above * share};
      queue.push_back({is_left ? node.left : node.right, at.weight * share, at.features});
    }
    splits_.push_back(split);
    ++part.count;
  }
  nodes_max_ = std::max<size_t>(nodes_max_, 2 * part.count + 1);
  if (part.count > 0) parts_.push_back(part);
  return base;
}

// For each case: the factors of the left and the right child, then their weights in the feature's
// sum.
void Shap::FillTable(const Split& split, double* table) const {
  const size_t vector = points_.size();
  for (size_t i = 0; i < vector; ++i) {
    const double t = points_[i], u = 1 - t;
    const auto known = [&](double share) { return t + share * u; };  // The row passes.
    const auto weight = [&](double share) { return (1 - share) / known(share); };
    const double before = known(split.above), weight_before = weight(split.above);
    const double left = split.above * split.share_left, right = split.above * split.share_right;
    const double failed = -1 / u - weight_before;
    const double cases[3][4] = {
        {known(left) / before, right * u / before, weight(left) - weight_before, failed},
        {left * u / before, known(right) / before, failed, weight(right) - weight_before},
        {split.share_left, split.share_right, 0, 0}};
    for (size_t state = 0; state < 3; ++state) {
      double* to = table + state * 4 * vector + i;
      to[0] = cases[state][0] * split.value_left;
      to[vector] = cases[state][1] * split.value_right;
      to[2 * vector] = cases[state][2];
      to[3 * vector] = cases[state][3];
    }
  }
}

void Shap::Explain(std::span<const float> row, size_t output,
                   std::span<double> contributions) const {
  CHECK(row.size() == features_ && contributions.size() == features_ && output < base_.size());
  float slots[2 * TreeEnsemble::kMaxFeatures + 1];
  FillSlots(row, slots);
  const size_t vector = chunks_ * kLanes, stride = table_stride();
  const size_t made = table_.empty() ? (nodes_max_ / 2) * stride : 0;  // Tables made on the way.
  std::vector<double> numbers(nodes_max_ * vector + features_ * vector + made);
  std::vector<uint8_t> flags(2 * nodes_max_);
  double* sums = numbers.data() + nodes_max_ * vector;
  double* own_table = sums + features_ * vector;
  Step step{slots, nullptr, numbers.data(), flags.data(), flags.data() + nodes_max_, sums};
  for (const Part& part : parts_) {
    if (part.output != output) continue;
    const Split* splits = splits_.data() + part.first;
    if (table_.empty()) {
      for (size_t k = 0; k < part.count; ++k) FillTable(splits[k], own_table + k * stride);
      step.table = own_table;
    } else {
      step.table = table_.data() + part.first * stride;
    }
    std::copy(weights_.begin(), weights_.end(), step.down);
    step.passed[0] = 1;
    if (Wide()) {
      WalkWide(splits, part.count, chunks_, step);
    } else {
      WalkAny(splits, part.count, chunks_, step);
    }
  }
  for (size_t f = 0; f < features_; ++f) {
    contributions[f] = 0;
    for (size_t i = 0; i < vector; ++i) contributions[f] += sums[f * vector + i];
  }
}

}  // namespace penstock::inference
