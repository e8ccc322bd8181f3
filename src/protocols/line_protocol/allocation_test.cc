// Nothing on the way in allocates per sample: once warm, a request of 10,000 samples costs a few
// dozen allocations (its columns and its error lists), however many samples it has. Counted by
// replacing operator new of this test program; the sanitizers bring their own, so without them.
#ifndef PENSTOCK_SANITIZED
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocols/line_protocol/line_protocol.h"
#include "storage/durable_log.h"
#include "storage/temporary_folder.h"
#include "telemetry/batch_codec.h"
#include "telemetry/feature_engine.h"
#include "telemetry/ledger.h"
#include "telemetry/live_values.h"
#include "telemetry/quality.h"
#include "telemetry/running_time.h"

namespace {

thread_local uint64_t allocations = 0;

void* Allocate(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace penstock::protocols {
namespace {

constexpr int kHosts = 1000, kFields = 10;
constexpr int kRequests = 50, kWarmUp = 30;  // The lists of recent rows have turned twice by then.
constexpr uint64_t kPerRequest = 60;

std::shared_ptr<things::Snapshot> Site() {
  auto snapshot = std::make_shared<things::Snapshot>();
  for (int h = 0; h < kHosts; ++h) {
    things::Thing thing;
    thing.name = fmt::format("host_{:04}", h);
    for (int f = 0; f < kFields; ++f) {
      things::Property property;
      property.point.thing = thing.name;
      property.point.property = fmt::format("usage_{}", f);
      thing.properties.push_back(property);
    }
    snapshot->things.push_back(std::move(thing));
  }
  for (things::Thing& thing : snapshot->things)
    for (things::Property& property : thing.properties) {
      property.point.id = PointId{static_cast<uint32_t>(snapshot->by_id.size())};
      snapshot->by_path[property.point.path()] = property.point.id;
      snapshot->by_id.push_back(&property);
    }
  snapshot->revision = 1;
  return snapshot;
}

std::string Request(int number) {
  std::string body;
  for (int h = 0; h < kHosts; ++h) {
    body += fmt::format("cpu,thing=host_{:04},os=linux ", h);
    for (int f = 0; f < kFields; ++f)
      body += fmt::format("{}usage_{}={:.2f}", f == 0 ? "" : ",", f, 0.01 * (number * 7 + f));
    body += fmt::format(" {}\n", 1'700'000'000'000'000'000 + int64_t{number} * 1'000'000'000);
  }
  return body;
}

class NoQuarantine final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry) override {}
};

TEST(AllocationTest, ASampleOnItsWayInAllocatesNothing) {
  const auto snapshot = Site();
  const storage::TemporaryFolder folder;
  auto log = storage::DurableLog::Open(folder.path(), {}).value();
  auto ledger = telemetry::PointLedger::Open("", 1).value();
  SystemClock clock;
  NoQuarantine quarantine;
  LineParser parser;
  telemetry::QualityMarker marker(quarantine);
  marker.SetSnapshot(snapshot);
  telemetry::LiveValues live;
  live.SetSnapshot(snapshot);
  telemetry::FeatureEngine features(clock);
  telemetry::RunningTime running;
  Bytes record;
  uint64_t sequence = 0, counted = 0;
  for (int i = 0; i < kWarmUp + kRequests; ++i) {
    const std::string body = Request(i);
    const Time now = FromMicros(1'700'000'000'000'000 + int64_t{i} * 1'000'000);
    const uint64_t before = allocations;
    LineResult result = parser.Parse(body, Precision::kNanoseconds, *snapshot, now);
    telemetry::Batch batch = std::move(result.batch);
    ledger->Produce(batch.point, now);
    EXPECT_TRUE(marker.Mark(batch).duplicates.empty());
    batch.first_sequence = sequence;
    record.clear();
    EncodeBatch(batch, record);
    const auto index = log->Append(record);
    ASSERT_TRUE(index && log->Sync());
    ledger->Store(batch, *index);
    live.Observe(batch);
    features.Observe(batch);
    running.Observe(batch, *snapshot);
    if (i >= kWarmUp) counted += allocations - before;
    sequence += batch.size();
  }
  EXPECT_EQ(sequence, uint64_t{kWarmUp + kRequests} * kHosts * kFields);
  EXPECT_LE(counted, kRequests * kPerRequest);
  EXPECT_EQ(ledger->total().gap(), 0);
}

}  // namespace
}  // namespace penstock::protocols

#endif  // PENSTOCK_SANITIZED
