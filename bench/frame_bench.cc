// Frames, one core: rows per second into the wire form and back, and their bytes.
#include <benchmark/benchmark.h>

#include <cmath>

#include "base/random.h"
#include "telemetry/frame.h"

namespace penstock::telemetry {
namespace {

constexpr size_t kPoints = 4000;
constexpr size_t kRows = 65'536;

// All points in turn, every ten seconds; `noisy`: values with all 52 bits, else two decimals.
Batch Scrape(bool noisy) {
  Random random(1);
  std::vector<double> level(kPoints, 50);
  Batch batch;
  for (size_t i = 0; i < kRows; ++i) {
    double& value = level[i % kPoints];
    value += random.Normal(0, 0.3);
    const int64_t time = 1'700'000'000'000'000 + static_cast<int64_t>(i / kPoints) * 10'000'000;
    batch.Add(PointId{static_cast<uint32_t>(i % kPoints)}, FromMicros(time),
              FromMicros(time + 12'345), noisy ? value : std::round(value * 100) / 100);
  }
  return batch;
}

std::vector<std::string> Paths() {
  std::vector<std::string> paths;
  for (size_t i = 0; i < kPoints; ++i)
    paths.push_back(fmt::format("host_{:04}/usage_{}", i / 10, i % 10));
  return paths;
}

void Report(benchmark::State& state, size_t bytes) {
  state.SetItemsProcessed(static_cast<int64_t>(kRows) * static_cast<int64_t>(state.iterations()));
  state.counters["bytes_per_row"] = static_cast<double>(bytes) / static_cast<double>(kRows);
}

void FrameEncode(benchmark::State& state) {
  const Batch batch = Scrape(state.range(0) != 0);
  const auto paths = Paths();
  FrameEncoder encoder;
  Bytes bytes;
  for (auto _ : state) {
    bytes.clear();
    encoder.Encode(batch, 0, batch.size(), paths, {"edge-7", 1, 0}, bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  Report(state, bytes.size());
}

void FrameDecode(benchmark::State& state) {
  const Batch batch = Scrape(state.range(0) != 0);
  Bytes bytes;
  FrameEncoder().Encode(batch, 0, batch.size(), Paths(), {"edge-7", 1, 0}, bytes);
  FrameDecoder decoder;
  Frame frame;
  for (auto _ : state) {
    const auto size = decoder.Decode(bytes, frame);
    if (!size) return state.SkipWithError(size.error().ToString().c_str());
    benchmark::DoNotOptimize(frame.batch.value.data());
  }
  Report(state, bytes.size());
}

BENCHMARK(FrameEncode)->ArgName("noisy")->Arg(0)->Arg(1);
BENCHMARK(FrameDecode)->ArgName("noisy")->Arg(0)->Arg(1);

}  // namespace
}  // namespace penstock::telemetry
