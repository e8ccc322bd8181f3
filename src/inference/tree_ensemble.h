// An ensemble of decision trees as our own kernel runs it: what XGBoost, LightGBM and scikit-learn
// leave behind once exchanged as ONNX. It exists because a general runtime spends ten times the
// arithmetic on its own calls.
//
// Thread rule: immutable after Make(); Predict from any thread, without allocation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace penstock::inference {

// One node as a file describes it; nodes[0] is the root. Comparisons are in float32, as XGBoost
// makes them.
struct TreeNode {
  int32_t feature = -1;       // -1: a leaf.
  float threshold = 0;        // row[feature] < threshold goes left; finite.
  bool missing_left = false;  // Where NaN goes.
  int32_t left = -1, right = -1;
  float value = 0;  // Of a leaf, in the margin of the tree's output; finite.
  float cover =
      0;  // Weight of training rows here (sum of hessians); only with TreeForest::has_cover.
};

struct Tree {
  uint32_t output = 0;  // The margin this tree adds to.
  std::vector<TreeNode> nodes;
};

enum class Link { kNone, kLogistic, kSoftmax };  // From margins to probabilities.

struct TreeForest {
  size_t features = 0;
  std::vector<double> base;  // One per output: the margin before any tree.
  Link link = Link::kNone;
  bool has_cover = false;
  std::vector<Tree> trees;
};

// kInvalidArgument when a tree is none: a child out of range, two parents, a number that is not
// finite. kUnimplemented when it is sound but beyond the kernel (ONNX Runtime takes it then).
Status CheckForest(const TreeForest& forest);

class TreeEnsemble {
 public:
  static constexpr size_t kMaxFeatures = 2048;
  static constexpr size_t kMaxTreeNodes = 65'535;
  static constexpr size_t kMaxNodes = 4'000'000;
  static constexpr int kMaxDepth = 64;

  static Result<TreeEnsemble> Make(const TreeForest& forest);

  size_t features() const { return features_; }
  size_t outputs() const { return base_.size(); }
  size_t trees() const { return trees_; }
  Link link() const { return link_; }
  // One less output than classes: the binary model with one margin, for the second class.
  size_t classes() const { return link_ == Link::kLogistic && outputs() == 1 ? 2 : outputs(); }

  // row.size() == features(), margins.size() == outputs(). NaN is a missing value.
  void Predict(std::span<const float> row, std::span<double> margins) const;
  // probabilities.size() == classes().
  void Probabilities(std::span<const double> margins, std::span<double> probabilities) const;

 private:
  // An inner node goes `step` nodes on, and one more when slot < threshold; a leaf stays (its slot
  // holds +infinity) and keeps its value as the threshold.
  struct Node {
    float threshold;
    uint16_t slot;
    uint16_t step;
  };
  static_assert(sizeof(Node) == 8);
  // Trees of one output that are walked side by side, so that their loads overlap.
  static constexpr size_t kWidth = 8;
  struct Group {
    uint32_t roots[kWidth];
    uint32_t output;
    int32_t depth;
  };

  Status Lay(const Tree& tree, int& depth);
  void Gather(uint32_t output, std::vector<std::pair<int, uint32_t>> roots);

  std::vector<Node> nodes_;
  std::vector<Group> groups_;
  std::vector<double> base_;
  size_t features_ = 0, trees_ = 0;
  Link link_ = Link::kNone;
};

// Two slots per feature: NaN as -infinity (goes left at every finite threshold) and as +infinity
// (goes right), then one +infinity for the leaves. `slots` has 2 * row.size() + 1 places.
void FillSlots(std::span<const float> row, float* slots);
inline uint16_t SlotOf(int32_t feature, bool missing_left) {
  return static_cast<uint16_t>(2 * feature + (missing_left ? 0 : 1));
}

}  // namespace penstock::inference
