// Line protocol to columns, one core: samples per second of the parser alone.
#include <benchmark/benchmark.h>

#include "base/random.h"
#include "protocols/line_protocol/line_protocol.h"

namespace penstock::protocols {
namespace {

constexpr int kThings = 100;
constexpr int kFields = 10;

things::Snapshot Site() {
  things::Snapshot snapshot;
  for (int t = 0; t < kThings; ++t) {
    things::Thing thing;
    thing.name = fmt::format("host_{:03}", t);
    for (int f = 0; f < kFields; ++f) {
      things::Property property;
      property.point.thing = thing.name;
      property.point.property = fmt::format("usage_{}", f);
      thing.properties.push_back(property);
    }
    snapshot.things.push_back(std::move(thing));
  }
  for (things::Thing& thing : snapshot.things)
    for (things::Property& property : thing.properties) {
      property.point.id = PointId{static_cast<uint32_t>(snapshot.by_id.size())};
      snapshot.by_path[property.point.path()] = property.point.id;
      snapshot.by_id.push_back(&property);
    }
  return snapshot;
}

// 5,000 lines as a collecting agent sends them: all things in turn, some tags, `fields` fields
// each.
std::string Body(int fields) {
  Random random(1);
  std::string body;
  for (int line = 0; line < 5000; ++line) {
    body += fmt::format("cpu,thing=host_{:03},region=eu-central-1,rack=67,os=Debian12 ",
                        line % kThings);
    for (int f = 0; f < fields; ++f)
      body += fmt::format("{}usage_{}={:.4f}", f == 0 ? "" : ",", f, random.Uniform(0, 100));
    body += fmt::format(" {}\n", 1'700'000'000'000'000'000 + line / kThings * 10'000'000'000);
  }
  return body;
}

void Run(benchmark::State& state, bool keep_parser) {
  const things::Snapshot snapshot = Site();
  const std::string body = Body(static_cast<int>(state.range(0)));
  LineParser parser;
  size_t samples = 0;
  for (auto _ : state) {
    const LineResult result = keep_parser
                                  ? parser.Parse(body, Precision::kNanoseconds, snapshot, Time())
                                  : ParseLines(body, Precision::kNanoseconds, snapshot, Time());
    samples += result.batch.size();
    benchmark::DoNotOptimize(result.batch.value.data());
  }
  state.SetItemsProcessed(static_cast<int64_t>(samples));
  state.SetBytesProcessed(static_cast<int64_t>(body.size()) *
                          static_cast<int64_t>(state.iterations()));
}

void LineProtocolKnownSeries(benchmark::State& state) { Run(state, true); }
void LineProtocolNewParser(benchmark::State& state) { Run(state, false); }
BENCHMARK(LineProtocolKnownSeries)->Arg(1)->Arg(10);
BENCHMARK(LineProtocolNewParser)->Arg(1)->Arg(10);

}  // namespace
}  // namespace penstock::protocols
