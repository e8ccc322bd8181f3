#include "inference/runtime.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>

#ifdef PENSTOCK_SANITIZED
// ONNX Runtime keeps 14 bytes for good when its library is first used.
extern "C" const char* __lsan_default_suppressions() { return "leak:libonnxruntime"; }
#endif

namespace penstock::inference {
namespace {

void Matrix(onnx::ValueInfoProto& value, const std::string& name, int64_t columns) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  tensor.mutable_shape()->add_dim()->set_dim_param("rows");
  tensor.mutable_shape()->add_dim()->set_dim_value(columns);
}

void Weights(onnx::GraphProto& graph, const std::string& name, std::vector<int64_t> shape,
             std::vector<float> values) {
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t n : shape) tensor.add_dims(n);
  for (const float v : values) tensor.add_float_data(v);
}

void Op(onnx::GraphProto& graph, const std::string& type, std::vector<std::string> inputs,
        const std::string& output) {
  auto& node = *graph.add_node();
  node.set_op_type(type);
  for (const auto& input : inputs) node.add_input(input);
  node.add_output(output);
}

// Two inputs, a hidden layer of three, softmax over two.
std::string Perceptron() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  auto& graph = *model.mutable_graph();
  graph.set_name("perceptron");
  Matrix(*graph.add_input(), "x", 2);
  Matrix(*graph.add_output(), "p", 2);
  Weights(graph, "w1", {2, 3}, {1, -1, 0.5F, 2, 0, -0.5F});
  Weights(graph, "b1", {3}, {0, 0.5F, 0});
  Weights(graph, "w2", {3, 2}, {1, 0, 0, 1, -1, 1});
  Op(graph, "MatMul", {"x", "w1"}, "h");
  Op(graph, "Add", {"h", "b1"}, "hb");
  Op(graph, "Relu", {"hb"}, "r");
  Op(graph, "MatMul", {"r", "w2"}, "m");
  Op(graph, "Softmax", {"m"}, "p");
  return model.SerializeAsString();
}

TEST(RuntimeTest, RunsAPerceptronRowByRowAndInBatches) {
  const auto runtime = Runtime::Open(AsBytes(Perceptron()));
  ASSERT_TRUE(runtime) << runtime.error().ToString();
  EXPECT_EQ((*runtime)->features(), 2U);
  EXPECT_EQ((*runtime)->outputs(), 2U);
  // x = (1, 1): hidden (3, 0, 0), margins (3, 0). x = (-1, 0): hidden (0, 1.5, 0), margins
  // (0, 1.5).
  const auto p = (*runtime)->Run(std::vector<float>{1, 1, -1, 0}, 2).value();
  ASSERT_EQ(p.size(), 4U);
  EXPECT_NEAR(p[0], 1 / (1 + std::exp(-3.0)), 1e-6);
  EXPECT_NEAR(p[3], 1 / (1 + std::exp(-1.5)), 1e-6);
}

TEST(RuntimeTest, AnswersGarbageWithAnError) {
  EXPECT_FALSE(Runtime::Open(AsBytes("garbage")));
  const auto runtime = Runtime::Open(AsBytes(Perceptron()));
  EXPECT_EQ((*runtime)->Run(std::vector<float>{1, 2, 3}, 2).error().code, Code::kInvalidArgument);
  EXPECT_EQ((*runtime)->Run(std::vector<float>{1, 2, 3}, 3).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::inference
