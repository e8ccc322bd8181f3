// One feature row through the detector, and (with PENSTOCK_DATA naming a folder that holds skab/)
// its score on SKAB: trained on rows 0 to 399 of each file of valve1, judged on the rest, counts
// pooled. The options were chosen on files 0 to 4; files 5 to 15 are the held-out figure.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "base/check.h"
#include "base/random.h"
#include "learning/detector.h"
#include "learning/replay.h"

namespace penstock {
namespace {

void BM_DetectorRow(benchmark::State& state) {
  const auto features = static_cast<size_t>(state.range(0));
  Random random(1);
  std::vector<std::vector<double>> rows(2000, std::vector<double>(features));
  for (auto& row : rows) {
    for (double& value : row) value = random.Normal();
  }
  const auto detector =
      learning::FindDetectorKind("mewma").value()->create({.features = features}).value();
  CHECK(detector->Fit(rows, {}));
  size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(detector->Observe(rows[i++ % rows.size()], true, false));
}
BENCHMARK(BM_DetectorRow)->Arg(8)->Arg(24)->Unit(benchmark::kMicrosecond);

void BM_DetectorSkab(benchmark::State& state) {
  const char* data = std::getenv("PENSTOCK_DATA");
  if (data == nullptr) {
    state.SkipWithError("set PENSTOCK_DATA to the folder that holds skab/data/valve1");
    return;
  }
  learning::ReplayReport chosen_on, held_out;
  for (auto _ : state) {
    chosen_on = held_out = {};
    for (int i = 0; i < 16; ++i) {
      const auto series = learning::ReadSeries(fmt::format("{}/skab/data/valve1/{}.csv", data, i));
      if (!series) {
        state.SkipWithError(series.error().ToString().c_str());
        return;
      }
      (i < 5 ? chosen_on : held_out).Add(learning::ReplayDetector(*series, {}).value());
    }
  }
  learning::ReplayReport pooled = chosen_on;
  pooled.Add(held_out);
  state.counters["f1_files_0_4"] = chosen_on.f1();
  state.counters["f1_files_5_15"] = held_out.f1();
  state.counters["f1_pooled"] = pooled.f1();
}
BENCHMARK(BM_DetectorSkab)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock
