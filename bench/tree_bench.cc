// One row through an ensemble of trees, and its exact SHAP values: our kernel, ONNX Runtime and
// XGBoost on the same 100 trees of depth 6, one thread each, over 4,096 different rows so that
// nothing is learnt by heart.
#include <benchmark/benchmark.h>

#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "inference/onnx_file.h"
#include "inference/runtime.h"
#include "inference/shap.h"
#include "learning/booster.h"

namespace penstock {
namespace {

constexpr size_t kFeatures = 28, kRows = 4096;

learning::Examples MakeExamples(uint64_t seed, size_t rows) {
  Random random(seed);
  learning::Examples examples;
  examples.features.columns = kFeatures;
  for (size_t i = 0; i < rows; ++i) {
    std::vector<float> row(kFeatures);
    for (float& x : row) x = static_cast<float>(random.Normal());
    const double score = row[0] * row[1] + row[2] - row[3] * row[4] * row[5] +
                         std::sin(3 * row[6]) + row[7] * row[8];
    examples.labels.push_back(score + random.Normal() > 0 ? 1.0F : 0.0F);
    examples.features.Add(row);
  }
  return examples;
}

struct Setting {
  std::unique_ptr<learning::Booster> booster;
  inference::TreeForest forest;
  std::string onnx;
  learning::Matrix rows;

  // 50 rounds of two classes: 100 trees.
  static const Setting& Get() {
    // Never destroyed: XGBoost's own globals would be gone before it.
    static const Setting& setting = *[] {
      auto* const setting = new Setting;
      Setting& made = *setting;
      learning::BoosterOptions options;
      options.classes = 2;
      options.rounds_max = 50;
      options.patience = 0;
      options.depth_max = 6;
      options.child_weight_min = 0.01;
      options.row_share = options.column_share = 1;
      options.lambda = 0.1;
      made.booster =
          learning::Booster::Train(MakeExamples(1, 40'000), MakeExamples(2, 1000), options).value();
      made.forest = made.booster->Forest().value();
      CHECK(made.forest.trees.size() == 100);
      made.onnx = inference::WriteOnnx(made.forest, {"normal", "fault"}, {}).value();
      made.rows = MakeExamples(3, kRows).features;
      return setting;
    }();
    return setting;
  }
};

void Nodes(benchmark::State& state) {
  size_t nodes = 0;
  for (const auto& tree : Setting::Get().forest.trees) nodes += tree.nodes.size();
  state.counters["nodes"] = static_cast<double>(nodes);
}

void BM_TreeKernel(benchmark::State& state) {
  const Setting& setting = Setting::Get();
  const auto ensemble = inference::TreeEnsemble::Make(setting.forest).value();
  double margins[2];
  size_t i = 0;
  for (auto _ : state) {
    ensemble.Predict(setting.rows.row(i++ % kRows), margins);
    benchmark::DoNotOptimize(margins);
  }
  Nodes(state);
}
BENCHMARK(BM_TreeKernel)->Unit(benchmark::kMicrosecond);

void BM_TreeOnnxRuntime(benchmark::State& state) {
  const Setting& setting = Setting::Get();
  const auto runtime = inference::Runtime::Open(AsBytes(setting.onnx)).value();
  size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(runtime->Run(setting.rows.row(i++ % kRows), kFeatures));
}
BENCHMARK(BM_TreeOnnxRuntime)->Unit(benchmark::kMicrosecond);

void BM_TreeXgboost(benchmark::State& state) {
  const Setting& setting = Setting::Get();
  size_t i = 0;
  for (auto _ : state) {
    learning::Matrix row{kFeatures, {}};
    row.Add(setting.rows.row(i++ % kRows));
    benchmark::DoNotOptimize(setting.booster->Margins(row));
  }
}
BENCHMARK(BM_TreeXgboost)->Unit(benchmark::kMicrosecond);

void BM_ShapKernel(benchmark::State& state) {
  const Setting& setting = Setting::Get();
  const auto shap = inference::Shap::Make(setting.forest).value();
  std::vector<double> parts(kFeatures);
  size_t i = 0;
  for (auto _ : state) {  // Both margins: all 100 trees.
    shap.Explain(setting.rows.row(i % kRows), 0, parts);
    shap.Explain(setting.rows.row(i++ % kRows), 1, parts);
    benchmark::DoNotOptimize(parts.data());
  }
}
BENCHMARK(BM_ShapKernel)->Unit(benchmark::kMicrosecond);

void BM_ShapXgboost(benchmark::State& state) {
  const Setting& setting = Setting::Get();
  size_t i = 0;
  for (auto _ : state) {
    learning::Matrix row{kFeatures, {}};
    row.Add(setting.rows.row(i++ % kRows));
    benchmark::DoNotOptimize(setting.booster->Contributions(row));
  }
}
BENCHMARK(BM_ShapXgboost)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace penstock
