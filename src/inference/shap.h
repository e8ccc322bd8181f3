// SHAP values of a tree ensemble: how much each feature moved one margin away from its base value.
// Exact and path-dependent (Lundberg, Erion, Lee, "Consistent individualized feature attribution
// for tree ensembles", 2018): a feature that is not known follows both branches by their cover.
//
// Thread rule: immutable after Make(); Explain from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/tree_ensemble.h"

namespace penstock::inference {

class Shap {
 public:
  // kFailedPrecondition when the forest came without covers.
  static Result<Shap> Make(const TreeForest& forest);

  // Fills one contribution per feature, in the unit of the margin. base_value(output) plus their
  // sum is the margin that TreeEnsemble::Predict gives, to 1e-9.
  void Explain(std::span<const float> row, size_t output, std::span<double> contributions) const;
  double base_value(size_t output) const { return base_[output]; }

 private:
  // The k-th split of a tree, breadth first; its children are the nodes 2k+1 (left) and 2k+2.
  struct Split {
    float threshold;
    uint16_t slot;
    uint16_t self;  // Its node.
    uint16_t
        ancestor;  // The node that the nearest split on the same feature above leads to; 0: none.
    double share_left, share_right;  // Cover of the child over the cover of both.
    double value_left, value_right;  // Of children that are leaves; 1 otherwise.
    double above;                    // Product of the shares on the same feature above.
  };
  struct Part {             // One tree.
    uint32_t first, count;  // Its splits.
    uint32_t output;
  };

  double AddTree(const Tree& tree);  // Returns its base value.
  void FillTable(const Split& split, double* table) const;
  size_t table_stride() const { return 3 * 4 * 4 * chunks_; }  // Doubles per split.

  size_t features_ = 0, nodes_max_ = 1;
  size_t chunks_ = 1;  // Quadrature points in fours.
  std::vector<double> points_, weights_;
  std::vector<double> base_;
  std::vector<Split> splits_;
  std::vector<Part> parts_;
  // Per split and case (row goes left, goes right, the feature already failed above): four vectors
  // of chunks_ * 4 doubles. Empty when it would take more than kTableBytesMax: then it is made on
  // the way.
  std::vector<double> table_;
  static constexpr size_t kTableBytesMax = 48 << 20;
};

}  // namespace penstock::inference
