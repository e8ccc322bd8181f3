#include "inference/onnx_file.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "inference/runtime.h"
#include "inference/tree_ensemble.h"

namespace penstock::inference {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TreeForest Forest(size_t classes) {
  TreeForest forest{2, {0.1, -0.1, 0.3}, Link::kSoftmax, true, {}};
  forest.base.resize(classes);
  const auto split = [](int32_t feature, float threshold, bool missing_left) {
    return TreeNode{.feature = feature,
                    .threshold = threshold,
                    .missing_left = missing_left,
                    .left = 1,
                    .right = 2,
                    .cover = 10};
  };
  forest.trees.push_back(
      {0, {split(0, 0.5F, true), {.value = 1, .cover = 4}, {.value = -1, .cover = 6}}});
  forest.trees.push_back(
      {1, {split(1, -2, false), {.value = 0.5, .cover = 1}, {.value = 0.25, .cover = 9}}});
  return forest;
}

onnx::ModelProto Parsed(const std::string& bytes) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(bytes));
  return model;
}

onnx::AttributeProto& Attribute(onnx::ModelProto& model, const std::string& name) {
  for (auto& attribute : *model.mutable_graph()->mutable_node(0)->mutable_attribute()) {
    if (attribute.name() == name) return attribute;
  }
  auto& fresh = *model.mutable_graph()->mutable_node(0)->add_attribute();
  fresh.set_name(name);
  return fresh;
}

TEST(OnnxFileTest, TreesSurviveTheRoundTrip) {
  const TreeForest forest = Forest(3);
  const std::string bytes =
      WriteOnnx(forest, {"normal", "worn", "leaky"}, {{"penstock.format", "1"}}).value();
  EXPECT_EQ(bytes,
            WriteOnnx(forest, {"normal", "worn", "leaky"}, {{"penstock.format", "1"}}).value());
  const OnnxFile file = ReadOnnx(AsBytes(bytes)).value();
  EXPECT_EQ(file.classes, (std::vector<std::string>{"normal", "worn", "leaky"}));
  EXPECT_EQ(file.metadata.at("penstock.format"), "1");
  ASSERT_TRUE(file.trees) << file.not_trees;
  ASSERT_EQ(file.trees->trees.size(), 2U);
  EXPECT_TRUE(file.trees->has_cover);
  EXPECT_EQ(file.trees->trees[0].nodes[1].cover, 4);
  EXPECT_EQ(file.trees->trees[0].nodes[0].threshold, 0.5F);
  EXPECT_TRUE(file.trees->trees[0].nodes[0].missing_left);
  EXPECT_FALSE(file.trees->trees[1].nodes[0].missing_left);
}

// The kernel and ONNX Runtime read the same file and must say the same, at thresholds and with NaN
// too.
void ExpectRuntimeAgrees(const std::string& bytes, size_t features) {
  const OnnxFile file = ReadOnnx(AsBytes(bytes)).value();
  ASSERT_TRUE(file.trees) << file.not_trees;
  const TreeEnsemble ensemble = TreeEnsemble::Make(*file.trees).value();
  const auto runtime = Runtime::Open(AsBytes(bytes));
  ASSERT_TRUE(runtime) << runtime.error().ToString();
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<float> row(features);
    for (float& x : row) {
      const float exact[] = {0.5F, -2.0F, std::nextafter(0.5F, 1.0F), kNan};
      x = random.Chance(0.5) ? exact[random.Below(4)] : static_cast<float>(random.Normal());
    }
    std::vector<double> margins(ensemble.outputs()), probabilities(ensemble.classes());
    ensemble.Predict(row, margins);
    ensemble.Probabilities(margins, probabilities);
    const auto other = (*runtime)->Run(row, features).value();
    ASSERT_EQ(other.size(), probabilities.size());
    for (size_t c = 0; c < other.size(); ++c) EXPECT_NEAR(other[c], probabilities[c], 1e-6);
  }
}

TEST(OnnxFileTest, KernelAndOnnxRuntimeAgreeInEveryMode) {
  for (const char* mode : {"BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE"}) {
    onnx::ModelProto model = Parsed(WriteOnnx(Forest(3), {"normal", "worn", "leaky"}, {}).value());
    for (auto& text : *Attribute(model, "nodes_modes").mutable_strings()) {
      if (text == "BRANCH_LT") text = mode;
    }
    SCOPED_TRACE(mode);
    ExpectRuntimeAgrees(model.SerializeAsString(), 2);
  }
}

TEST(OnnxFileTest, KernelAndOnnxRuntimeAgreeOnTwoClasses) {
  ExpectRuntimeAgrees(WriteOnnx(Forest(2), {"normal", "worn"}, {}).value(), 2);
}

TEST(OnnxFileTest, KernelAndOnnxRuntimeAgreeOnTwoClassesWithOneMargin) {
  onnx::ModelProto model = Parsed(WriteOnnx(Forest(2), {"normal", "worn"}, {}).value());
  for (auto& id : *Attribute(model, "class_ids").mutable_ints()) id = 0;
  Attribute(model, "post_transform").set_s("LOGISTIC");
  ExpectRuntimeAgrees(model.SerializeAsString(), 2);
}

TEST(OnnxFileTest, ARegressorSumsItsTrees) {
  TreeForest forest = Forest(2);
  forest.link = Link::kNone;
  ExpectRuntimeAgrees(WriteOnnx(forest, {}, {}).value(), 2);
}

TEST(OnnxFileTest, ALeafForSeveralClassesBecomesOneTreePerClass) {
  onnx::ModelProto model = Parsed(WriteOnnx(Forest(3), {"normal", "worn", "leaky"}, {}).value());
  Attribute(model, "class_treeids").add_ints(0);
  Attribute(model, "class_nodeids").add_ints(1);
  Attribute(model, "class_ids").add_ints(1);
  Attribute(model, "class_weights").add_floats(0.75F);
  const std::string bytes = model.SerializeAsString();
  EXPECT_EQ(ReadOnnx(AsBytes(bytes)).value().trees->trees.size(), 3U);
  ExpectRuntimeAgrees(bytes, 2);
}

TEST(OnnxFileTest, WhatTheKernelCannotRunIsLeftToTheRuntime) {
  onnx::ModelProto model = Parsed(WriteOnnx(Forest(3), {"normal", "worn", "leaky"}, {}).value());
  Attribute(model, "post_transform").set_s("PROBIT");
  const OnnxFile file = ReadOnnx(AsBytes(model.SerializeAsString())).value();
  EXPECT_FALSE(file.trees);
  EXPECT_EQ(file.not_trees, "post_transform PROBIT");
}

TEST(OnnxFileTest, WhatContradictsItselfIsRefusedByName) {
  const std::string bytes = WriteOnnx(Forest(3), {"normal", "worn", "leaky"}, {}).value();
  onnx::ModelProto model = Parsed(bytes);
  Attribute(model, "nodes_values").mutable_floats()->Truncate(3);
  EXPECT_EQ(ReadOnnx(AsBytes(model.SerializeAsString())).error().message,
            "TreeEnsembleClassifier: nodes_values has 3 entries, 6 expected");
  model = Parsed(bytes);
  Attribute(model, "class_nodeids").set_ints(0, 0);
  EXPECT_EQ(ReadOnnx(AsBytes(model.SerializeAsString())).error().message,
            "class_nodeids: tree 0 has no leaf 0");
  model = Parsed(bytes);
  Attribute(model, "nodes_featureids").set_ints(0, 2);
  EXPECT_EQ(ReadOnnx(AsBytes(model.SerializeAsString())).error().message,
            "tree 0, node 0: feature 2 of 2");
  EXPECT_EQ(ReadOnnx(AsBytes("not a model")).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::inference
