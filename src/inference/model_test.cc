#include "inference/model.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/file.h"
#include "inference/model_repository.h"
#include "inference/test_model.h"

namespace penstock::inference {
namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "models-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string WithMetadata(const std::map<std::string, std::string>& metadata) {
  return WriteOnnx(TestForest(), {"normal", "worn"}, metadata).value();
}

TEST(ModelCardTest, SurvivesTheFile) {
  const ModelCard card = ModelCard::FromMetadata(TestCard().ToMetadata()).value();
  EXPECT_EQ(card.schema, TestCard().schema);
  EXPECT_EQ(card.classes, TestCard().classes);
  EXPECT_EQ(card.profile[2].feature, "current.mean");
  EXPECT_EQ(card.profile[2].deciles.size(), 9U);
  EXPECT_EQ(card.metrics, TestCard().metrics);
  EXPECT_EQ(FormatTime(card.trained_at), "2026-01-31T08:00:00.000000Z");
  EXPECT_EQ(card.label_counts.at("worn"), 50U);
}

TEST(ModelCardTest, ConfidenceIsTheIntervalOfItsBin) {
  const ModelCard card = TestCard();
  const Interval high = card.ConfidenceOf("worn", 0.93);
  EXPECT_NEAR(high.low, 0.833, 0.002);  // 46 of 50 by Wilson at 90 %.
  EXPECT_NEAR(high.high, 0.964, 0.002);
  EXPECT_LT(card.ConfidenceOf("worn", 0.2).high, 0.06);
  EXPECT_EQ(card.ConfidenceOf("unknown", 0.9).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(ModelCardTest, ForOtherFeaturesIsToldByName) {
  telemetry::FeatureSchema rows = TestSchema();
  rows.features.pop_back();
  rows.features.push_back(telemetry::FeatureSpec::Parse("flow.mean").value());
  const auto error = CheckFeatures(rows, TestSchema(), "pump-faults@3").error();
  EXPECT_EQ(error.message,
            "model pump-faults@3 was made for other features: it wants current.mean; it does not "
            "know flow.mean");
  rows = TestSchema();
  rows.window = std::chrono::minutes(5);
  EXPECT_EQ(CheckFeatures(rows, TestSchema(), "m").error().message,
            "model m was made for other features: its window is 20min, not 5min");
  rows = TestSchema();
  std::swap(rows.features[0], rows.features[2]);
  EXPECT_TRUE(CheckFeatures(rows, TestSchema(), "m"));
}

TEST(ModelTest, PredictsAndExplainsToTheMargin) {
  const auto model = Model::Load("pump-faults", 3, AsBytes(TestModel())).value();
  EXPECT_EQ(model->kind(), Model::Kind::kTreeEnsemble);
  EXPECT_EQ(model->digest().size(), 64U);
  const std::vector<float> row{5, 6, 1};
  std::vector<double> p(2);
  ASSERT_TRUE(model->Predict(row, p));
  EXPECT_NEAR(p[1], 1 / (1 + std::exp(-(3 - 0.2))), 1e-7);
  const Explanation why = model->Explain(row, 1).value();
  EXPECT_NEAR(why.margin, 3, 1e-6);
  EXPECT_NEAR(std::accumulate(why.contributions.begin(), why.contributions.end(), why.base_value),
              why.margin, 1e-9);
  EXPECT_NEAR(why.contributions[0], 0.8 * 3.5,
              1e-6);  // 8 of 10 rows are below: 2 - (0.8 * -1.5 + 0.2 * 2).
  EXPECT_EQ(why.contributions[2], 0);
}

TEST(ModelTest, WithoutACardIsRefusedWithAFix) {
  const auto error = Model::Load("m", 1, AsBytes(WithMetadata({}))).error();
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_EQ(error.message, "the model does not say which features it wants");
  EXPECT_NE(error.fix, "");
}

TEST(ModelTest, CardAndGraphMustAgree) {
  ModelCard card = TestCard();
  card.classes.push_back("leaky");
  EXPECT_EQ(Model::Load("m", 1, AsBytes(WithMetadata(card.ToMetadata()))).error().message,
            "model m gives 2 values for 3 classes");
  card = TestCard();
  card.schema.features.pop_back();
  card.profile.pop_back();
  EXPECT_EQ(Model::Load("m", 1, AsBytes(WithMetadata(card.ToMetadata()))).error().message,
            "model m takes 3 features, its card names 2");
}

// A linear model in softmax form: no trees, so ONNX Runtime runs it and walks explain it.
std::string LinearModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  auto& graph = *model.mutable_graph();
  graph.set_name("linear");
  const auto matrix = [](onnx::ValueInfoProto& value, const char* name, int64_t columns) {
    value.set_name(name);
    auto& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx::TensorProto::FLOAT);
    tensor.mutable_shape()->add_dim()->set_dim_param("rows");
    tensor.mutable_shape()->add_dim()->set_dim_value(columns);
  };
  matrix(*graph.add_input(), "x", 3);
  matrix(*graph.add_output(), "p", 2);
  auto& weights = *graph.add_initializer();
  weights.set_name("w");
  weights.set_data_type(onnx::TensorProto::FLOAT);
  weights.add_dims(3);
  weights.add_dims(2);
  for (const float w : {0.0F, 1.0F, 0.0F, -0.5F, 0.0F, 0.25F}) weights.add_float_data(w);
  const auto op = [&](const char* type, std::vector<const char*> inputs, const char* output) {
    auto& node = *graph.add_node();
    node.set_op_type(type);
    for (const char* input : inputs) node.add_input(input);
    node.add_output(output);
  };
  op("MatMul", {"x", "w"}, "m");
  op("Softmax", {"m"}, "p");
  for (const auto& [key, value] : TestCard().ToMetadata()) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  return model.SerializeAsString();
}

TEST(ModelTest, AModelWithoutTreesIsExplainedAgainstTheHealthyMedians) {
  const auto loaded = Model::Load("m", 1, AsBytes(LinearModel()));
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ((*loaded)->kind(), Model::Kind::kOnnx);
  const Explanation why = (*loaded)->Explain(std::vector<float>{3, 4, 6}, 1).value();
  EXPECT_NEAR(why.contributions[0], 1, 1e-5);  // Medians are 2; log-odds are linear.
  EXPECT_NEAR(why.contributions[1], -1, 1e-5);
  EXPECT_NEAR(why.contributions[2], 1, 1e-5);
  EXPECT_NEAR(std::accumulate(why.contributions.begin(), why.contributions.end(), why.base_value),
              why.margin, 1e-9);
}

TEST(ModelRepositoryTest, InstallsVersionsAndSwitchesTheChampion) {
  const Folder folder;
  ModelRepository repository(folder.path());
  EXPECT_EQ(repository.Champion("pump-faults").error().code, Code::kNotFound);
  EXPECT_EQ(repository.Install("pump-faults", AsBytes(TestModel())).value(), 1U);
  EXPECT_EQ(repository.Champion("pump-faults").error().message,
            "model pump-faults has no champion among versions [1]");
  ASSERT_TRUE(repository.Activate("pump-faults", 1));
  EXPECT_EQ(repository.Install("pump-faults", AsBytes(TestModel(2))).value(), 2U);
  EXPECT_EQ(repository.Champion("pump-faults").value()->version(), 1U);
  EXPECT_EQ(repository.Resolve("pump-faults", "challenger").value(), 2U);
  ASSERT_TRUE(repository.Activate("pump-faults", 2));
  EXPECT_EQ(repository.Champion("pump-faults").value()->version(), 2U);
  ASSERT_TRUE(repository.Activate("pump-faults", 1));
  const auto list = repository.List().value();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].versions, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(list[0].active, 1U);
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/pump-faults/2/model.onnx"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/pump-faults/config.pbtxt"));
}

TEST(ModelRepositoryTest, RefusesWhatItCannotRunAndKeepsWhatItHas) {
  const Folder folder;
  ModelRepository repository(folder.path());
  ASSERT_EQ(repository.Install("m", AsBytes(TestModel())).value(), 1U);
  EXPECT_FALSE(repository.Install("m", AsBytes("not a model")));
  EXPECT_FALSE(repository.Install("../m", AsBytes(TestModel())));
  EXPECT_EQ(repository.Activate("m", 7).error().message, "model m@7: m has versions [1]");
  EXPECT_EQ(repository.List().value()[0].versions.size(), 1U);
}

TEST(ModelRepositoryTest, ADamagedFileIsToldByItsPath) {
  const Folder folder;
  ModelRepository repository(folder.path());
  ASSERT_TRUE(repository.Install("m", AsBytes(TestModel())));
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/m/1/model.onnx", "garbage"));
  const auto error = repository.Load("m", 1).error();
  EXPECT_EQ(error.where, folder.path() + "/m/1/model.onnx");
}

}  // namespace
}  // namespace penstock::inference
