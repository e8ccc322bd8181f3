// What the contracts cost: the same batches through quality marks, codec and durable log, with the
// check and without, in one run; 4,000 things of ten points. The bar: under 5 % of the pipeline's
// CPU per sample.
#include <benchmark/benchmark.h>

#include <ctime>

#include "base/random.h"
#include "storage/temporary_folder.h"
#include "telemetry/contract_check.h"
#include "telemetry/pipeline.h"
#include "telemetry/quarantine.h"

namespace penstock::telemetry {
namespace {

constexpr uint32_t kThings = 4000, kFields = 10, kPoints = kThings * kFields;

std::shared_ptr<const things::Snapshot> Site() {
  auto snapshot = std::make_shared<things::Snapshot>();
  snapshot->things.reserve(kThings);
  for (uint32_t t = 0; t < kThings; ++t) {
    things::Thing& thing = snapshot->things.emplace_back();
    thing.name = fmt::format("host-{}", t);
    for (uint32_t f = 0; f < kFields; ++f) {
      things::Property& property = thing.properties.emplace_back();
      property.point.id = PointId{t * kFields + f};
      property.point.thing = thing.name;
      property.point.property = fmt::format("usage_{}", f);
      property.point.product = "host";
      property.point.contract = "host@1.0.0";
      property.point.quality.minimum = 0;
      property.point.quality.maximum = 100;
    }
  }
  snapshot->by_id.resize(kPoints);
  for (const auto& thing : snapshot->things)
    for (const auto& property : thing.properties)
      snapshot->by_id[property.point.id.value] = &property;
  return snapshot;
}

std::shared_ptr<const ContractRules> Rules(std::shared_ptr<const things::Snapshot> site) {
  auto contract = std::make_shared<things::DataContract>();
  contract->id = "host";
  contract->version = "1.0.0";
  things::ContractObject& object = contract->objects.emplace_back();
  for (uint32_t f = 0; f < kFields; ++f) {
    things::ContractField& field = object.fields.emplace_back();
    field.name = fmt::format("usage_{}", f);
    field.type = things::ValueType::kNumber;
    field.range = {0, 100};
  }
  auto set = std::make_shared<things::ContractSet>();
  set->by_id.emplace("host", contract);
  return std::make_shared<const ContractRules>(set, std::move(site));
}

// One row of every point, as a collecting agent sends it.
Batch Round(int64_t second, Random& random) {
  Batch batch;
  batch.Reserve(kPoints);
  const Time at = FromMicros(1'780'000'000'000'000 + second * 10'000'000);
  for (uint32_t point = 0; point < kPoints; ++point)
    batch.Add(PointId{point}, at, at, std::round(random.Uniform(0, 100) * 100) / 100);
  return batch;
}

class NoHistory final : public storage::History {
 public:
  void NamePoint(PointId, const std::string&, const std::string&) override {}
  Status Append(const storage::HistoryColumns&) override { return {}; }
  Status Flush() override { return {}; }
  uint64_t flushed_sequence_end() const override { return 0; }
  Result<std::vector<storage::HistoryRow>> Read(const std::string&, Time, Time, size_t) override {
    return std::vector<storage::HistoryRow>();
  }
  Result<std::vector<storage::TrendBucket>> Trend(const std::string&, Time, Time, size_t) override {
    return std::vector<storage::TrendBucket>();
  }
  Result<std::vector<Coverage>> CoverageOf(std::span<const std::string>, Time, Time) override {
    return std::vector<Coverage>();
  }
  Result<uint64_t> Retain(Time, uint64_t) override { return 0; }
  Size size() const override { return {}; }
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// A pipeline with or without contracts, to the durable acknowledgement.
class Line {
 public:
  explicit Line(bool contracts) {
    pipeline_.SetSnapshot(site_);
    check_.SetRules(Rules(site_));
    if (contracts)
      pipeline_.CheckWith([this](Batch& batch, std::vector<PointId>& taken) {
        check_.Check(batch, pipeline_.next_sequence(), taken);
      });
    (void)pipeline_.Start();
  }
  // CPU seconds of the whole process for `rounds` rounds.
  double Run(int rounds, Random& random) {
    std::vector<Batch> batches;
    for (int i = 0; i < rounds; ++i) batches.push_back(Round(second_++, random));
    const double before = CpuSeconds();
    for (Batch& batch : batches) pipeline_.Write(std::move(batch));
    pipeline_.WaitUntilHandled();
    return CpuSeconds() - before;
  }

 private:
  storage::TemporaryFolder folder_;
  SystemClock clock_;
  std::shared_ptr<const things::Snapshot> site_ = Site();
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
  std::unique_ptr<storage::DurableLog> log_ = *storage::DurableLog::Open(folder_ / "log", {});
  NoHistory history_;
  std::unique_ptr<QuarantineStore> quarantine_ = *QuarantineStore::Open(*records_);
  ContractCheck check_{*quarantine_};
  Pipeline pipeline_{*log_, history_, *quarantine_, clock_};
  int64_t second_ = 0;
};

// Both lines in turn, so that neither has the warmer machine; the share of the difference.
void BM_PipelineWithContracts(benchmark::State& state) {
  Line with(true), without(false);
  Random random(1);
  constexpr int kRounds = 10;
  double with_s = 0, without_s = 0, samples = 0;
  (void)with.Run(kRounds, random);
  (void)without.Run(kRounds, random);
  for (auto _ : state) {
    without_s += without.Run(kRounds, random);
    with_s += with.Run(kRounds, random);
    samples += kRounds * kPoints;
  }
  state.counters["ns_per_sample_without"] = 1e9 * without_s / samples;
  state.counters["ns_per_sample_with"] = 1e9 * with_s / samples;
  state.counters["cost_percent"] = 100 * (with_s - without_s) / without_s;
}
BENCHMARK(BM_PipelineWithContracts)->Iterations(20)->Unit(benchmark::kMillisecond);

class Nowhere final : public ViolationSink {
 public:
  Status Keep(std::span<const Violation>) override { return {}; }
};

// The check alone: nanoseconds per sample when nothing is wrong.
void BM_ContractCheck(benchmark::State& state) {
  Nowhere sink;
  ContractCheck check(sink);
  check.SetRules(Rules(Site()));
  Random random(1);
  Batch batch = Round(0, random);
  std::vector<PointId> taken;
  for (auto _ : state) {
    check.Check(batch, 0, taken);
    benchmark::DoNotOptimize(batch.value.data());
  }
  state.SetItemsProcessed(state.iterations() * kPoints);
}
BENCHMARK(BM_ContractCheck)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace penstock::telemetry
