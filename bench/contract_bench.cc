// What the contracts cost: the same batches through quality marks, codec and durable log, with the
// check and without, in one run; 4,000 things of ten points: numbers, whole numbers and switches,
// some with a rule on their rate of change, all with one on silence. The bar: under 5 % of the
// pipeline's CPU per sample.
//
// How it is measured: in pairs, each line in turn first, and the median of the pairs' differences;
// one line alone after the other differs by more than the bar from run to run, because disk and
// neighbours do. `kept`: into a real quarantine on disk; else into a sink that takes and forgets,
// which leaves the cost of finding
// the violations. What the quarantine's thread does later is told by BM_ContractsKeptAndMoved: from
// Keep to the records, CPU of all threads, by violating rows.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>

#include "base/random.h"
#include "storage/temporary_folder.h"
#include "telemetry/contract_check.h"
#include "telemetry/pipeline.h"
#include "telemetry/quarantine.h"

namespace penstock::telemetry {
namespace {

constexpr uint32_t kThings = 4000, kFields = 10, kPoints = kThings * kFields;

constexpr uint32_t kRated = 7, kWhole = 8, kSwitch = 9;  // Others: any number in a range.

things::ValueType TypeOf(uint32_t field) {
  if (field == kWhole) return things::ValueType::kInteger;
  return field == kSwitch ? things::ValueType::kBoolean : things::ValueType::kNumber;
}

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
      property.point.type = TypeOf(f);
      property.point.quality = {.minimum = 0, .maximum = 120, .stale_after = std::chrono::hours(1)};
      if (f == kRated) property.point.quality.max_rate_per_s = 20;
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
    field.type = TypeOf(f);
    field.range = {0, 100};
  }
  auto set = std::make_shared<things::ContractSet>();
  set->by_id.emplace("host", contract);
  return std::make_shared<const ContractRules>(set, std::move(site));
}

// One row of every point, as a collecting agent sends it; `wrong` of 10,000 rows break the
// contract.
Batch Round(int64_t second, int64_t wrong, Random& random) {
  Batch batch;
  batch.Reserve(kPoints);
  const Time at = FromMicros(1'780'000'000'000'000 + second * 10'000'000);
  for (uint32_t point = 0; point < kPoints; ++point) {
    const uint32_t field = point % kFields;
    double value = random.Uniform(0, 100);
    if (field == kWhole) value = std::round(value);
    if (field == kSwitch) value = value < 50 ? 0 : 1;
    if (field < kWhole) value = std::round(value * 100) / 100;
    if (random.Uniform(0, 10'000) < static_cast<double>(wrong)) value += 100.5;
    batch.Add(PointId{point}, at, at, value);
  }
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

class Nowhere final : public ViolationSink {
 public:
  Status Keep(const Violations&) override { return {}; }
};

enum class Contracts { kNone, kForgotten, kKept };

// A pipeline with or without contracts, to the durable acknowledgement.
class Line {
 public:
  explicit Line(Contracts contracts)
      : check_(contracts == Contracts::kKept ? static_cast<ViolationSink&>(*quarantine_)
                                             : nowhere_) {
    pipeline_.SetSnapshot(site_);
    check_.SetRules(Rules(site_));
    if (contracts != Contracts::kNone) pipeline_.CheckWith(check_);
    (void)pipeline_.Start();
  }
  // CPU seconds of the whole process for these rounds.
  double Run(std::vector<Batch> batches) {
    const double before = CpuSeconds();
    for (Batch& batch : batches) pipeline_.Write(std::move(batch));
    pipeline_.WaitUntilHandled();
    return CpuSeconds() - before;
  }

 private:
  storage::TemporaryFolder folder_;
  SystemClock clock_;
  std::shared_ptr<const things::Snapshot> site_ = Site();
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(folder_ / "records.db");
  std::unique_ptr<storage::DurableLog> log_ = *storage::DurableLog::Open(folder_ / "log", {});
  NoHistory history_;
  std::unique_ptr<QuarantineStore> quarantine_ =
      *QuarantineStore::Open(*records_, folder_ / "quarantine");
  Nowhere nowhere_;
  ContractCheck check_;
  Pipeline pipeline_{*log_, history_, *quarantine_, clock_};
};

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void BM_PipelineWithContracts(benchmark::State& state) {
  const int64_t wrong = state.range(0);
  Line with(state.range(1) == 1 ? Contracts::kKept : Contracts::kForgotten),
      without(Contracts::kNone);
  Random random(1);
  constexpr int kRounds = 5;
  int64_t second = 0;
  const auto rounds = [&] {
    std::vector<Batch> batches;
    for (int i = 0; i < kRounds; ++i) batches.push_back(Round(second++, wrong, random));
    return batches;
  };
  const auto warm_up = rounds();
  (void)with.Run(warm_up);
  (void)without.Run(warm_up);
  std::vector<double> bare_ns, extra_ns;
  bool first = false;
  for (auto _ : state) {
    const auto batches = rounds();
    double took[2];
    first = !first;
    for (const bool checked : {first, !first})
      took[checked ? 1 : 0] = 1e9 * (checked ? with : without).Run(batches) / (kRounds * kPoints);
    bare_ns.push_back(took[0]);
    extra_ns.push_back(took[1] - took[0]);
  }
  state.counters["ns_per_sample_without"] = Median(bare_ns);
  state.counters["ns_per_sample_extra"] = Median(extra_ns);
  state.counters["cost_percent"] = 100 * Median(extra_ns) / Median(bare_ns);
}
BENCHMARK(BM_PipelineWithContracts)
    ->ArgNames({"wrong_per_10000", "kept"})
    ->Args({0, 0})
    ->Args({100, 0})
    ->Args({100, 1})
    ->Args({10'000, 0})
    ->Args({10'000, 1})
    ->Iterations(41)
    ->Unit(benchmark::kMillisecond);

// The judgement of suspects alone: nanoseconds per row that breaks its contract.
void BM_ContractJudge(benchmark::State& state) {
  Nowhere sink;
  ContractCheck check(sink);
  check.SetRules(Rules(Site()));
  (void)check.Begin(0);
  Random random(1);
  const Batch batch = Round(0, 100, random);
  std::vector<uint32_t> suspects;
  for (uint32_t row = 0; row < batch.size(); ++row)
    if (batch.value[row] > 100) suspects.push_back(row);
  std::vector<PointId> taken;
  for (auto _ : state) {
    state.PauseTiming();
    Batch copy = batch;
    taken.clear();
    state.ResumeTiming();
    check.Judge(copy, suspects, taken);
    benchmark::DoNotOptimize(copy.value.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(suspects.size()));
}
BENCHMARK(BM_ContractJudge)->Unit(benchmark::kMicrosecond);

// What waits, brought into the records: entries of all points in turn, up to the bound and beyond.
void BM_ContractsKeptAndMoved(benchmark::State& state) {
  const storage::TemporaryFolder folder;
  const auto records = *storage::Records::Open(folder / "records.db");
  const auto site = Site();
  Violations round;
  for (uint32_t point = 0; point < kViolationsMax; ++point) {
    const things::Point& of = site->by_id[point * 4]->point;
    Violation& violation = round.list.emplace_back();
    violation.contract = "host@1.0.0";
    violation.rule = "maximum";
    violation.why = " is above 100; correct it, release it as it is, or widen the contract";
    violation.thing = of.thing;
    violation.property = of.property;
    violation.rows = 1;
    round.rows.Add(of.id, FromMicros(point), FromMicros(point), 100.5);
  }
  const auto store = *QuarantineStore::Open(*records, folder / "quarantine");
  const auto rounds = static_cast<uint64_t>(state.range(0)) / kViolationsMax;
  for (auto _ : state) {
    for (uint64_t i = 0; i < rounds; ++i) (void)store->Keep(round);
    (void)store->Flush();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rounds * kViolationsMax));
}
BENCHMARK(BM_ContractsKeptAndMoved)
    ->Arg(1 << 16)
    ->Arg(1 << 20)
    ->Arg(1 << 23)
    ->Iterations(3)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::telemetry
