#include "inference/tree_ensemble.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace penstock::inference {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TreeNode Split(int32_t feature, float threshold, int32_t left, int32_t right, bool missing_left) {
  return {.feature = feature,
          .threshold = threshold,
          .missing_left = missing_left,
          .left = left,
          .right = right};
}
TreeNode Leaf(float value) { return {.value = value}; }

TreeForest OneTree(std::vector<TreeNode> nodes) {
  return {2, {0.0}, Link::kNone, false, {{0, std::move(nodes)}}};
}

double Margin(const TreeForest& forest, std::vector<float> row) {
  double margin = 0;
  TreeEnsemble::Make(forest).value().Predict(row, {&margin, 1});
  return margin;
}

TEST(TreeEnsembleTest, GoesLeftBelowTheThresholdOnly) {
  const TreeForest forest = OneTree({Split(0, 1.5F, 1, 2, false), Leaf(10), Leaf(20)});
  EXPECT_EQ(Margin(forest, {std::nextafter(1.5F, 0.0F), 0}), 10);
  EXPECT_EQ(Margin(forest, {1.5F, 0}), 20);
  EXPECT_EQ(Margin(forest, {-kInf, 0}), 10);
  EXPECT_EQ(Margin(forest, {kInf, 0}), 20);
}

TEST(TreeEnsembleTest, MissingFollowsTheDefaultDirection) {
  EXPECT_EQ(Margin(OneTree({Split(1, 0, 1, 2, true), Leaf(10), Leaf(20)}), {0, kMissing}), 10);
  EXPECT_EQ(Margin(OneTree({Split(1, 0, 1, 2, false), Leaf(10), Leaf(20)}), {0, kMissing}), 20);
}

TEST(TreeEnsembleTest, LeavesOfDifferentDepthStayWhereTheyAre) {
  const TreeForest forest = OneTree({Split(0, 0, 1, 2, false), Leaf(1), Split(1, 0, 3, 4, false),
                                     Leaf(2), Split(1, 5, 5, 6, false), Leaf(3), Leaf(4)});
  EXPECT_EQ(Margin(forest, {-1, 9}), 1);
  EXPECT_EQ(Margin(forest, {1, -1}), 2);
  EXPECT_EQ(Margin(forest, {1, 1}), 3);
  EXPECT_EQ(Margin(forest, {1, 9}), 4);
}

TEST(TreeEnsembleTest, ManyTreesAddToTheirOutputs) {
  TreeForest forest{1, {1.0, 2.0}, Link::kSoftmax, false, {}};
  for (uint32_t t = 0; t < 21; ++t) forest.trees.push_back({t % 2, {Leaf(1)}});
  const TreeEnsemble ensemble = TreeEnsemble::Make(forest).value();
  std::vector<double> margins(2), probabilities(2);
  ensemble.Predict(std::vector<float>{0}, margins);
  EXPECT_EQ(margins, (std::vector<double>{12, 12}));
  ensemble.Probabilities(margins, probabilities);
  EXPECT_DOUBLE_EQ(probabilities[0], 0.5);
}

TEST(TreeEnsembleTest, OneLogisticMarginMakesTwoClasses) {
  TreeForest forest{1, {0.0}, Link::kLogistic, false, {{0, {Leaf(2)}}}};
  const TreeEnsemble ensemble = TreeEnsemble::Make(forest).value();
  ASSERT_EQ(ensemble.classes(), 2U);
  std::vector<double> probabilities(2);
  ensemble.Probabilities(std::vector<double>{2.0}, probabilities);
  EXPECT_NEAR(probabilities[1], 1 / (1 + std::exp(-2.0)), 1e-15);
  EXPECT_NEAR(probabilities[0] + probabilities[1], 1, 1e-15);
}

TEST(TreeEnsembleTest, WhatIsNoTreeIsRefusedByNodeAndReason) {
  const auto error = [](std::vector<TreeNode> nodes) {
    return CheckForest(OneTree(std::move(nodes))).error().message;
  };
  EXPECT_EQ(error({Split(0, 0, 1, 1, false), Leaf(1)}), "tree 0, node 1: has two parents");
  EXPECT_EQ(error({Split(0, 0, 0, 1, false), Leaf(1)}),
            "tree 0, node 0: children 0 and 1 of 2 nodes");
  EXPECT_EQ(error({Split(0, 0, 1, 7, false), Leaf(1)}),
            "tree 0, node 0: children 1 and 7 of 2 nodes");
  EXPECT_EQ(error({Split(5, 0, 1, 2, false), Leaf(1), Leaf(1)}), "tree 0, node 0: feature 5 of 2");
  EXPECT_EQ(error({Split(0, kInf, 1, 2, false), Leaf(1), Leaf(1)}),
            "tree 0, node 0: the threshold is inf");
  EXPECT_EQ(error({Leaf(kMissing)}), "tree 0, node 0: the leaf's value is nan");
  EXPECT_EQ(error({}), "tree 0 has no node");
}

}  // namespace
}  // namespace penstock::inference
