#include "inference/shap.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace penstock::inference {
namespace {

// Grows a random tree; covers are split at random, sometimes to nothing.
int32_t Grow(Random& random, std::vector<TreeNode>& nodes, int depth, size_t features,
             float cover) {
  const auto at = static_cast<int32_t>(nodes.size());
  nodes.emplace_back();
  nodes[at].cover = cover;
  if (depth == 0 || cover == 0 || random.Chance(0.1)) {
    nodes[at].value = static_cast<float>(random.Normal());
    return at;
  }
  const auto share = static_cast<float>(random.Chance(0.05) ? 0 : random.Uniform(0.05, 0.95));
  nodes[at].feature = static_cast<int32_t>(random.Below(features));
  nodes[at].threshold = static_cast<float>(random.Normal());
  nodes[at].missing_left = random.Chance(0.5);
  const int32_t left = Grow(random, nodes, depth - 1, features, cover * share);
  const int32_t right = Grow(random, nodes, depth - 1, features, cover * (1 - share));
  nodes[at].left = left;
  nodes[at].right = right;
  return at;
}

TreeForest RandomForest(uint64_t seed, int depth, size_t features, size_t trees, size_t outputs) {
  Random random(seed);
  TreeForest forest;
  forest.features = features;
  forest.base.assign(outputs, 0.5);
  forest.link = Link::kSoftmax;
  forest.has_cover = true;
  for (size_t t = 0; t < trees; ++t) {
    Tree tree{static_cast<uint32_t>(t % outputs), {}};
    Grow(random, tree.nodes, depth, features, 1000);
    forest.trees.push_back(std::move(tree));
  }
  return forest;
}

std::vector<float> RandomRow(Random& random, size_t features) {
  std::vector<float> row(features);
  for (float& x : row) {
    x = random.Chance(0.1) ? std::numeric_limits<float>::quiet_NaN()
                           : static_cast<float>(random.Normal());
  }
  return row;
}

// The value of the game for one tree: features outside `known` follow both branches by cover.
double Game(const Tree& tree, int32_t n, std::span<const float> row, uint32_t known) {
  const TreeNode& node = tree.nodes[n];
  if (node.feature < 0) return node.value;
  const float x = row[node.feature];
  const bool left = std::isnan(x) ? node.missing_left : x < node.threshold;
  if ((known >> node.feature) & 1) return Game(tree, left ? node.left : node.right, row, known);
  const double l = tree.nodes[node.left].cover, r = tree.nodes[node.right].cover;
  return (l * Game(tree, node.left, row, known) + r * Game(tree, node.right, row, known)) / (l + r);
}

std::vector<double> BruteForce(const TreeForest& forest, size_t output,
                               std::span<const float> row) {
  const size_t n = forest.features;
  std::vector<double> game(size_t{1} << n);
  for (uint32_t known = 0; known < game.size(); ++known) {
    for (const Tree& tree : forest.trees) {
      if (tree.output == output) game[known] += Game(tree, 0, row, known);
    }
  }
  std::vector<double> shap(n);
  for (size_t f = 0; f < n; ++f) {
    for (uint32_t known = 0; known < game.size(); ++known) {
      if ((known >> f) & 1) continue;
      const int size = std::popcount(known);
      const double weight =
          std::exp(std::lgamma(size + 1) + std::lgamma(n - size) - std::lgamma(n + 1));
      shap[f] += weight * (game[known | (1U << f)] - game[known]);
    }
  }
  return shap;
}

TEST(ShapTest, EqualsBruteForceOverAllSubsets) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const TreeForest forest = RandomForest(seed, 6, 2 + seed % 7, 6, 2);
    const Shap shap = Shap::Make(forest).value();
    Random random(seed * 77);
    for (int i = 0; i < 5; ++i) {
      const auto row = RandomRow(random, forest.features);
      for (size_t output = 0; output < 2; ++output) {
        std::vector<double> got(forest.features);
        shap.Explain(row, output, got);
        const auto want = BruteForce(forest, output, row);
        for (size_t f = 0; f < got.size(); ++f)
          EXPECT_NEAR(got[f], want[f], 1e-12) << seed << " " << f;
      }
    }
  }
}

void ExpectAdditive(const TreeForest& forest, int rows) {
  const Shap shap = Shap::Make(forest).value();
  const TreeEnsemble ensemble = TreeEnsemble::Make(forest).value();
  Random random(5);
  std::vector<double> parts(forest.features), margins(forest.base.size());
  for (int i = 0; i < rows; ++i) {
    const auto row = RandomRow(random, forest.features);
    ensemble.Predict(row, margins);
    for (size_t output = 0; output < margins.size(); ++output) {
      shap.Explain(row, output, parts);
      const double sum = std::accumulate(parts.begin(), parts.end(), shap.base_value(output));
      EXPECT_NEAR(sum, margins[output], 1e-9);
    }
  }
}

TEST(ShapTest, AddsUpToTheMargin) { ExpectAdditive(RandomForest(3, 6, 20, 120, 3), 50); }

TEST(ShapTest, AddsUpOnDeepTreesWithManyFeatures) {
  ExpectAdditive(RandomForest(4, 12, 40, 10, 1), 20);  // Two vectors of points.
  ExpectAdditive(RandomForest(9, 17, 300, 2, 1), 5);   // Three.
}

TEST(ShapTest, AddsUpWhenItsTablesWouldTakeTooMuchMemory) {
  ExpectAdditive(RandomForest(6, 13, 6, 60, 1), 3);
}

TEST(ShapTest, NeedsCovers) {
  TreeForest forest = RandomForest(1, 3, 4, 2, 1);
  forest.has_cover = false;
  EXPECT_EQ(Shap::Make(forest).error().code, Code::kFailedPrecondition);
}

TEST(ShapTest, ATreeOfOneLeafIsAllBaseValue) {
  TreeForest forest{2, {0.25}, Link::kNone, true, {{0, {TreeNode{.value = 3, .cover = 10}}}}};
  const Shap shap = Shap::Make(forest).value();
  std::vector<double> parts(2, 9.0);
  shap.Explain(std::vector<float>{1, 2}, 0, parts);
  EXPECT_EQ(parts, (std::vector<double>{0, 0}));
  EXPECT_DOUBLE_EQ(shap.base_value(0), 3.25);
}

}  // namespace
}  // namespace penstock::inference
