// The way in, stage by stage and as a whole: 4,000 hosts with 10 two-decimal values each, a request
// of 1,000 lines at a time, into a real durable log and a real history on disk. Times are CPU
// seconds of the whole process (a stage waits for disks and other threads for free), so items per
// second are samples per CPU-second. `dev bench ingest`; beside other servers: `dev bench fabric`.
#include <benchmark/benchmark.h>
#include <time.h>

#include <deque>
#include <future>

#include "base/random.h"
#include "protocols/line_protocol/line_protocol.h"
#include "protocols/line_protocol/point_table.h"
#include "storage/durable_log.h"
#include "storage/history.h"
#include "storage/temporary_folder.h"
#include "telemetry/batch_codec.h"
#include "telemetry/feature_engine.h"
#include "telemetry/live_values.h"
#include "telemetry/pipeline.h"
#include "telemetry/quality.h"

namespace penstock {
namespace {

using protocols::LineParser;
using protocols::LineResult;
using protocols::Precision;
using telemetry::Batch;

constexpr int kHosts = 4000, kFields = 10, kLines = 1000, kCycles = 8;
constexpr size_t kStampDigits = 19;

double CpuSeconds(clockid_t of = CLOCK_PROCESS_CPUTIME_ID) {
  timespec now{};
  clock_gettime(of, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

const things::Snapshot& Site() {
  static const things::Snapshot* site = [] {
    auto* made = new things::Snapshot;
    for (int h = 0; h < kHosts; ++h) {
      things::Thing thing;
      thing.name = fmt::format("host_{:04}", h);
      for (int f = 0; f < kFields; ++f) {
        things::Property property;
        property.point.thing = thing.name;
        property.point.property = fmt::format("usage_{}", f);
        property.point.product = "host";
        thing.properties.push_back(property);
      }
      made->things.push_back(std::move(thing));
    }
    for (things::Thing& thing : made->things)
      for (things::Property& property : thing.properties) {
        property.point.id = PointId{static_cast<uint32_t>(made->by_id.size())};
        made->by_path[property.point.path()] = property.point.id;
        made->by_id.push_back(&property);
      }
    return made;
  }();
  return *site;
}

std::shared_ptr<const things::Snapshot> SharedSite() { return {std::shared_ptr<void>(), &Site()}; }

// Requests as an agent sends them, whose times can be moved on in place.
class Requests {
 public:
  Requests() {
    Random random(1);
    for (int cycle = 0; cycle < kCycles; ++cycle)
      for (int first = 0; first < kHosts; first += kLines) {
        std::string& body = bodies_.emplace_back();
        for (int h = first; h < first + kLines; ++h) {
          body += fmt::format("cpu,thing=host_{:04},region=eu-central-1,rack=67,os=Debian12 ", h);
          for (int f = 0; f < kFields; ++f)
            body += fmt::format("{}usage_{}={:.2f}", f == 0 ? "" : ",", f, random.Uniform(0, 100));
          body += fmt::format(" {:019}\n", 0);
        }
      }
  }
  // The next request, of the next ten seconds when all hosts had their turn.
  const std::string& Next() {
    std::string& body = bodies_[count_ % bodies_.size()];
    const int64_t cycle = static_cast<int64_t>(count_++ / (kHosts / kLines));
    const std::string stamp =
        fmt::format("{:019}", 1'700'000'000'000'000'000 + cycle * 10'000'000'000);
    for (size_t at = body.find('\n'); at != body.npos; at = body.find('\n', at + 1))
      body.replace(at - kStampDigits, kStampDigits, stamp);
    return body;
  }
  Time now() const {
    return FromMicros(1'700'000'000'000'000 +
                      static_cast<int64_t>(count_ / (kHosts / kLines)) * 10'000'000);
  }

 private:
  std::vector<std::string> bodies_;
  uint64_t count_ = 0;
};

class NoQuarantine final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry) override {}
};

constexpr int64_t kRows = int64_t{kLines} * kFields;

// Runs `stage` on parsed batches, timing it alone.
template <typename Stage>
void OfBatches(benchmark::State& state, const Stage& stage) {
  Requests requests;
  LineParser parser;
  for (auto _ : state) {
    LineResult result =
        parser.Parse(requests.Next(), Precision::kNanoseconds, Site(), requests.now());
    const double begin = CpuSeconds();
    stage(result.batch);
    state.SetIterationTime(CpuSeconds() - begin);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void IngestParse(benchmark::State& state) {
  Requests requests;
  const auto table = std::make_shared<const protocols::PointTable>(Site());
  auto parser = std::make_unique<LineParser>();
  for (auto _ : state) {
    const std::string& body = requests.Next();
    if (state.range(0) == 0) parser = std::make_unique<LineParser>();  // Cold: all series new.
    parser->Use(table);
    const double begin = CpuSeconds();
    const LineResult result = parser->Parse(body, Precision::kNanoseconds, Site(), requests.now());
    benchmark::DoNotOptimize(result.batch.value.data());
    state.SetIterationTime(CpuSeconds() - begin);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(IngestParse)->ArgName("warm")->Arg(0)->Arg(1)->UseManualTime();

void IngestMark(benchmark::State& state) {
  NoQuarantine quarantine;
  telemetry::QualityMarker marker(quarantine);
  marker.SetSnapshot(SharedSite());
  OfBatches(state, [&](Batch& batch) { benchmark::DoNotOptimize(marker.Mark(batch)); });
}
BENCHMARK(IngestMark)->UseManualTime();

void IngestEncode(benchmark::State& state) {
  Bytes record;
  OfBatches(state, [&](Batch& batch) {
    record.clear();
    EncodeBatch(batch, record);
  });
  state.counters["bytes/sample"] = static_cast<double>(record.size()) / kRows;
}
BENCHMARK(IngestEncode)->UseManualTime();

void IngestLog(benchmark::State& state) {
  const storage::TemporaryFolder folder;
  auto log = storage::DurableLog::Open(folder.path(), {.max_bytes = 256 << 20}).value();
  const auto hold = log->SetCursor("bench", 0);
  Bytes record;
  OfBatches(state, [&](Batch& batch) {
    record.clear();
    EncodeBatch(batch, record);
    if (!log->Append(record) || !log->Sync() || !log->SetCursor("bench", log->durable_end()))
      state.SkipWithError("log");
  });
}
BENCHMARK(IngestLog)->UseManualTime();

void IngestTail(benchmark::State& state) {
  const storage::TemporaryFolder folder;
  storage::HistoryOptions options;
  options.tail_rows_max = 1 << 30;
  options.flush_every = std::chrono::hours(10);
  auto history = storage::History::Open(folder.path(), options).value();
  for (const auto* property : Site().by_id)
    history->NamePoint(property->point.id, property->point.path(), "host");
  uint64_t sequence = 0;
  OfBatches(state, [&](Batch& batch) {
    if (!history->Append({batch.point, batch.source_time, batch.ingest_time, batch.value,
                          batch.quality, sequence}))
      state.SkipWithError("history");
    sequence += batch.size();
  });
}
BENCHMARK(IngestTail)->UseManualTime()->Iterations(300);

void IngestLive(benchmark::State& state) {
  telemetry::LiveValues live;
  live.SetSnapshot(SharedSite());
  live.LoadSparksWith([](PointId, Time) { return telemetry::LiveValues::Spark48{}; });
  OfBatches(state, [&](Batch& batch) { live.Observe(batch); });
}
BENCHMARK(IngestLive)->UseManualTime();

void IngestFeatures(benchmark::State& state) {
  SystemClock clock;
  telemetry::FeatureEngine features(clock);
  OfBatches(state, [&](Batch& batch) { features.Observe(batch); });
}
BENCHMARK(IngestFeatures)->UseManualTime();

// Everything between a request's text and its acknowledgement, 8 requests under way, and on to
// Parquet when `parquet`.
void IngestWhole(benchmark::State& state) {
  const bool parquet = state.range(0) == 1;
  const storage::TemporaryFolder folder;
  auto log = storage::DurableLog::Open(folder / "log", {}).value();
  storage::HistoryOptions history_options;
  if (!parquet) history_options.tail_rows_max = 1 << 30;
  auto history = storage::History::Open(folder / "history", history_options).value();
  auto ledger = telemetry::PointLedger::Open(folder / "ledger", 1).value();
  ManualClock clock(FromMicros(1'700'000'000'000'000));
  NoQuarantine quarantine;
  telemetry::PipelineOptions options;
  options.ledger = ledger.get();
  options.flush_every = std::chrono::hours(10);
  if (!parquet) options.tail_rows_max = 1 << 30;
  telemetry::Pipeline pipeline(*log, *history, quarantine, clock, options);
  pipeline.SetSnapshot(SharedSite());
  telemetry::LiveValues live;
  live.SetSnapshot(SharedSite());
  live.LoadSparksWith([](PointId, Time) { return telemetry::LiveValues::Spark48{}; });
  telemetry::FeatureEngine features(clock);
  pipeline.Subscribe([&](const Batch& batch) { live.Observe(batch); });
  pipeline.Subscribe([&](const Batch& batch) { features.Observe(batch); });
  if (!pipeline.Start()) return state.SkipWithError("start");
  Requests requests;
  LineParser parser;
  std::deque<std::future<Status>> under_way;
  double mark = CpuSeconds();
  for (auto _ : state) {
    const double own = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    const std::string& body = requests.Next();
    const double making = CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - own;
    clock.Set(requests.now());
    LineResult result = parser.Parse(body, Precision::kNanoseconds, Site(), requests.now());
    auto promise = std::make_shared<std::promise<Status>>();
    under_way.push_back(promise->get_future());
    pipeline.Write(std::move(result.batch),
                   [promise](const Status& status) { promise->set_value(status); });
    if (under_way.size() >= 8) {
      if (!under_way.front().get()) state.SkipWithError("refused");
      under_way.pop_front();
    }
    const double now = CpuSeconds();
    state.SetIterationTime(now - std::exchange(mark, now) - making);
  }
  pipeline.WaitUntilHandled();
  if (parquet && !pipeline.Flush()) state.SkipWithError("flush");
  state.counters["rest_cpu_s"] = CpuSeconds() - mark;  // Of the last flush: not in the time.
  const auto size = history->size();
  if (size.file_rows > 0)
    state.counters["bytes/sample"] =
        static_cast<double>(size.file_bytes) / static_cast<double>(size.file_rows);
  if (pipeline.ledger().gap != 0) state.SkipWithError("the ledger has a gap");
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(IngestWhole)->ArgName("parquet")->Arg(0)->UseManualTime()->Iterations(400);
BENCHMARK(IngestWhole)->ArgName("parquet")->Arg(1)->UseManualTime()->Iterations(1000);

}  // namespace
}  // namespace penstock
