// The kernel. A row meets a hundred trees of depth six: six hundred dependent loads if walked one
// tree after the other, each waiting for the one before. Three things make that fast:
//  - nodes of 8 bytes, children side by side, so that a level is one load, one compare and one
//  addition, with
//    no branch to mispredict;
//  - NaN is settled before the walk: each feature has two slots, with NaN as minus and as plus
//  infinity, and a
//    node names the slot that sends a missing value its way;
//  - eight trees of one output walk together to the depth of the deepest; a leaf stays where it is,
//  so the
//    walk needs no test for having arrived.
// Leaves are summed in double: XGBoost sums in float, so margins agree to about 1e-6, not to the
// last bit.
#include "inference/tree_ensemble.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace penstock::inference {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Status CheckNode(const TreeForest& forest, size_t t, size_t n) {
  const TreeNode& node = forest.trees[t].nodes[n];
  if (node.feature < 0) {
    if (!std::isfinite(node.value))
      return InvalidArgument("tree {}, node {}: the leaf's value is {}", t, n, node.value);
    return {};
  }
  if (static_cast<size_t>(node.feature) >= forest.features)
    return InvalidArgument("tree {}, node {}: feature {} of {}", t, n, node.feature,
                           forest.features);
  if (!std::isfinite(node.threshold))
    return InvalidArgument("tree {}, node {}: the threshold is {}", t, n, node.threshold);
  const auto inside = [&](int32_t child) {
    return child > 0 && static_cast<size_t>(child) < forest.trees[t].nodes.size();
  };
  if (!inside(node.left) || !inside(node.right))
    return InvalidArgument("tree {}, node {}: children {} and {} of {} nodes", t, n, node.left,
                           node.right, forest.trees[t].nodes.size());
  return {};
}

// Every node is reached from the root at most once (else no tree), and not too deep.
Status CheckShape(const TreeForest& forest, size_t t) {
  const auto& nodes = forest.trees[t].nodes;
  std::vector<bool> seen(nodes.size());
  std::vector<std::pair<int32_t, int>> open{{0, 0}};
  while (!open.empty()) {
    const auto [n, depth] = open.back();
    open.pop_back();
    if (seen[n]) return InvalidArgument("tree {}, node {}: has two parents", t, n);
    seen[n] = true;
    TRY(CheckNode(forest, t, n));
    const TreeNode& node = nodes[n];
    if (forest.has_cover && !(node.cover >= 0 && std::isfinite(node.cover)))
      return InvalidArgument("tree {}, node {}: cover {}", t, n, node.cover);
    if (node.feature < 0) continue;
    if (forest.has_cover && node.cover == 0)
      return InvalidArgument("tree {}, node {}: a split with cover 0", t, n);
    if (depth >= TreeEnsemble::kMaxDepth)
      return Unimplemented("tree {} is deeper than {}", t, TreeEnsemble::kMaxDepth);
    open.push_back({node.left, depth + 1});
    open.push_back({node.right, depth + 1});
  }
  return {};
}

}  // namespace

Status CheckForest(const TreeForest& forest) {
  if (forest.features == 0 || forest.features > TreeEnsemble::kMaxFeatures)
    return Unimplemented("{} features; the tree kernel takes 1 to {}", forest.features,
                         TreeEnsemble::kMaxFeatures);
  if (forest.base.empty() || forest.base.size() > 1024)
    return Unimplemented("{} outputs; the tree kernel takes 1 to 1024", forest.base.size());
  for (const double base : forest.base) {
    if (!std::isfinite(base)) return InvalidArgument("a base value is {}", base);
  }
  size_t total = 0;
  for (size_t t = 0; t < forest.trees.size(); ++t) {
    const Tree& tree = forest.trees[t];
    if (tree.output >= forest.base.size())
      return InvalidArgument("tree {} adds to output {} of {}", t, tree.output, forest.base.size());
    if (tree.nodes.empty()) return InvalidArgument("tree {} has no node", t);
    if (tree.nodes.size() > TreeEnsemble::kMaxTreeNodes)
      return Unimplemented("tree {} has {} nodes; the tree kernel takes {}", t, tree.nodes.size(),
                           TreeEnsemble::kMaxTreeNodes);
    total += tree.nodes.size();
    if (total > TreeEnsemble::kMaxNodes)
      return Unimplemented("more than {} nodes", TreeEnsemble::kMaxNodes);
    TRY(CheckShape(forest, t));
  }
  return {};
}

void FillSlots(std::span<const float> row, float* slots) {
  for (size_t i = 0; i < row.size(); ++i) {
    const bool missing = std::isnan(row[i]);
    slots[2 * i] = missing ? -kInfinity : row[i];
    slots[2 * i + 1] = missing ? kInfinity : row[i];
  }
  slots[2 * row.size()] = kInfinity;
}

Result<TreeEnsemble> TreeEnsemble::Make(const TreeForest& forest) {
  TRY(CheckForest(forest));
  TreeEnsemble ensemble;
  ensemble.features_ = forest.features;
  ensemble.trees_ = forest.trees.size();
  ensemble.base_ = forest.base;
  ensemble.link_ = forest.link;
  const auto leaf_slot = static_cast<uint16_t>(2 * forest.features);
  ensemble.nodes_.push_back({0, leaf_slot, 0});  // Fills up a group: a tree that says 0.
  std::vector<std::vector<std::pair<int, uint32_t>>> roots(forest.base.size());
  for (const Tree& tree : forest.trees) {
    const auto root = static_cast<uint32_t>(ensemble.nodes_.size());
    int depth = 0;
    TRY(ensemble.Lay(tree, depth));
    roots[tree.output].emplace_back(depth, root);
  }
  for (uint32_t output = 0; output < roots.size(); ++output)
    ensemble.Gather(output, std::move(roots[output]));
  ensemble.nodes_.shrink_to_fit();
  return ensemble;
}

// Breadth first: siblings lie side by side, the right one first (the one that a failed test
// reaches).
Status TreeEnsemble::Lay(const Tree& tree, int& depth) {
  struct Open {
    int32_t from;
    uint32_t to;
    int level;
  };
  const size_t first = nodes_.size();
  nodes_.emplace_back();
  std::vector<Open> queue{{0, static_cast<uint32_t>(first), 0}};
  for (size_t i = 0; i < queue.size(); ++i) {
    const Open open = queue[i];
    const TreeNode& node = tree.nodes[open.from];
    depth = std::max(depth, open.level);
    if (node.feature < 0) {
      nodes_[open.to] = {node.value, static_cast<uint16_t>(2 * features_), 0};
      continue;
    }
    const auto children = static_cast<uint32_t>(nodes_.size());
    if (children - open.to > UINT16_MAX) return Unimplemented("a tree is too wide for the kernel");
    nodes_[open.to] = {node.threshold, SlotOf(node.feature, node.missing_left),
                       static_cast<uint16_t>(children - open.to)};
    nodes_.resize(nodes_.size() + 2);
    queue.push_back({node.right, children, open.level + 1});
    queue.push_back({node.left, children + 1, open.level + 1});
  }
  return {};
}

void TreeEnsemble::Gather(uint32_t output, std::vector<std::pair<int, uint32_t>> roots) {
  std::stable_sort(roots.begin(), roots.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (size_t i = 0; i < roots.size(); i += kWidth) {
    Group group{};  // Root 0: the tree that says 0.
    group.output = output;
    group.depth = roots[i].first;
    for (size_t j = 0; j < kWidth && i + j < roots.size(); ++j)
      group.roots[j] = roots[i + j].second;
    groups_.push_back(group);
  }
}

void TreeEnsemble::Predict(std::span<const float> row, std::span<double> margins) const {
  CHECK(row.size() == features_ && margins.size() == base_.size());
  float slots[2 * kMaxFeatures + 1];
  FillSlots(row, slots);
  std::copy(base_.begin(), base_.end(), margins.begin());
  for (const Group& group : groups_) {
    const Node* at[kWidth];
#pragma GCC unroll 8
    for (size_t i = 0; i < kWidth; ++i) at[i] = nodes_.data() + group.roots[i];
    for (int level = 0; level < group.depth; ++level) {
#pragma GCC unroll 8
      for (size_t i = 0; i < kWidth; ++i)
        at[i] += at[i]->step + static_cast<size_t>(slots[at[i]->slot] < at[i]->threshold);
    }
    double sum[kWidth];
#pragma GCC unroll 8
    for (size_t i = 0; i < kWidth; ++i) sum[i] = at[i]->threshold;
    margins[group.output] +=
        ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
  }
}

void TreeEnsemble::Probabilities(std::span<const double> margins,
                                 std::span<double> probabilities) const {
  CHECK(margins.size() == outputs() && probabilities.size() == classes());
  if (link_ == Link::kLogistic) {
    const auto logistic = [](double x) { return 1 / (1 + std::exp(-x)); };
    if (margins.size() == 1) {
      probabilities[0] = logistic(-margins[0]);
      probabilities[1] = logistic(margins[0]);
      return;
    }
    std::transform(margins.begin(), margins.end(), probabilities.begin(), logistic);
    return;
  }
  if (link_ == Link::kNone) {
    std::copy(margins.begin(), margins.end(), probabilities.begin());
    return;
  }
  const double highest = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (size_t i = 0; i < margins.size(); ++i)
    sum += probabilities[i] = std::exp(margins[i] - highest);
  for (double& p : probabilities) p /= sum;
}

}  // namespace penstock::inference
