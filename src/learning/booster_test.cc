#include "learning/booster.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "inference/onnx_file.h"
#include "inference/runtime.h"
#include "inference/shap.h"

#ifdef PENSTOCK_SANITIZED
// ONNX Runtime keeps 14 bytes for good when its library is first used.
extern "C" const char* __lsan_default_suppressions() { return "leak:libonnxruntime"; }
#endif

namespace penstock::learning {
namespace {

// Three classes in six features, a tenth of the values missing.
Examples SomeExamples(uint64_t seed, size_t rows) {
  Random random(seed);
  Examples examples;
  examples.features.columns = 6;
  for (size_t i = 0; i < rows; ++i) {
    std::vector<float> row(6);
    for (float& x : row) x = static_cast<float>(random.Normal());
    const double score = row[0] + row[1] * row[2];
    examples.labels.push_back(score < -0.5 ? 0.0F : score < 0.5 ? 1.0F : 2.0F);
    for (float& x : row) {
      if (random.Chance(0.1)) x = NAN;
    }
    examples.features.Add(row);
  }
  return examples;
}

std::unique_ptr<Booster> Trained(uint64_t seed = 7) {
  BoosterOptions options;
  options.classes = 3;
  options.rounds_max = 40;
  options.depth_max = 5;
  options.seed = seed;
  return Booster::Train(SomeExamples(1, 1500), SomeExamples(2, 500), options).value();
}

TEST(BoosterTest, KernelAndOnnxRuntimeSayWhatXgboostSays) {
  const auto booster = Trained();
  const Matrix rows = SomeExamples(3, 300).features;
  const auto want = booster->Margins(rows).value();
  const auto forest = booster->Forest().value();
  const std::string bytes = inference::WriteOnnx(forest, {"a", "b", "c"}, {}).value();
  const auto file = inference::ReadOnnx(AsBytes(bytes)).value();
  const auto ensemble = inference::TreeEnsemble::Make(*file.trees).value();
  const auto runtime = inference::Runtime::Open(AsBytes(bytes)).value();
  for (size_t i = 0; i < rows.rows(); ++i) {
    std::vector<double> margins(3), probabilities(3);
    ensemble.Predict(rows.row(i), margins);
    ensemble.Probabilities(margins, probabilities);
    const auto other = runtime->Run(rows.row(i), 6).value();
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(margins[c], want[3 * i + c], 1e-5);
      EXPECT_NEAR(probabilities[c], other[c], 1e-5);
    }
  }
}

TEST(BoosterTest, OurShapIsXgboostsShap) {
  const auto booster = Trained();
  const Matrix rows = SomeExamples(4, 200).features;
  const auto want = booster->Contributions(rows).value();
  ASSERT_EQ(want.size(), 200U * 3 * 7);
  const auto shap = inference::Shap::Make(booster->Forest().value()).value();
  std::vector<double> got(6);
  for (size_t i = 0; i < rows.rows(); ++i) {
    for (size_t c = 0; c < 3; ++c) {
      shap.Explain(rows.row(i), c, got);
      const float* expected = want.data() + (i * 3 + c) * 7;
      for (size_t f = 0; f < 6; ++f) EXPECT_NEAR(got[f], expected[f], 2e-5);
      EXPECT_NEAR(shap.base_value(c), expected[6], 2e-5);
    }
  }
}

TEST(BoosterTest, SameSeedSameTrees) {
  const auto bytes = [](uint64_t seed) {
    return inference::WriteOnnx(Trained(seed)->Forest().value(), {"a", "b", "c"}, {}).value();
  };
  EXPECT_EQ(bytes(7), bytes(7));
  EXPECT_NE(bytes(7), bytes(8));
}

TEST(BoosterTest, SaysWhatIsWrongWithTheExamples) {
  Examples few = SomeExamples(1, 3);
  few.labels.pop_back();
  BoosterOptions options;
  options.classes = 3;
  EXPECT_EQ(Booster::Train(few, few, options).error().message, "3 rows, 2 labels, 0 weights");
  options.classes = 1;
  EXPECT_EQ(Booster::Train(few, few, options).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::learning
