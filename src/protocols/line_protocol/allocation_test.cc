// Nothing on the way in allocates per sample: once warm, a request of 10,000 samples costs a few
// dozen allocations (its columns and its error lists), however many samples it has; a frame the
// same; an MQTT message none at all. Counted by replacing operator new of this test program; the
// sanitizers bring their own, so without them.
#ifndef PENSTOCK_SANITIZED
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocols/driver/test_doubles.h"
#include "protocols/line_protocol/line_protocol.h"
#include "protocols/mqtt/packet.h"
#include "protocols/mqtt/payload.h"
#include "storage/durable_log.h"
#include "storage/temporary_folder.h"
#include "telemetry/batch_codec.h"
#include "telemetry/contract_check.h"
#include "telemetry/feature_engine.h"
#include "telemetry/frame.h"
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
      property.point.contract = "host@1.0.0";
      property.point.product = "host";
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

class NoViolation final : public telemetry::ViolationSink {
 public:
  Status Keep(const telemetry::Violations&) override {
    ADD_FAILURE() << "nothing breaks the contract";
    return {};
  }
};

// Of a contract whose rules no range can say, so that each row is judged.
std::shared_ptr<const telemetry::ContractRules> RulesOf(
    const std::shared_ptr<const things::Snapshot>& site) {
  auto contract = std::make_shared<things::DataContract>();
  contract->id = "host";
  contract->version = "1.0.0";
  things::ContractObject& object = contract->objects.emplace_back();
  for (int f = 0; f < kFields; ++f) {
    things::ContractField& field = object.fields.emplace_back();
    field.name = fmt::format("usage_{}", f);
    field.type = things::ValueType::kNumber;
    field.range = {.low = -1, .high = 1e9, .low_open = true};
  }
  auto set = std::make_shared<things::ContractSet>();
  set->by_id.emplace("host", contract);
  return std::make_shared<const telemetry::ContractRules>(set, site);
}

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
  NoViolation sink;
  telemetry::ContractCheck check(sink);
  check.SetRules(RulesOf(snapshot));
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
    marker.SetLimits(check.Begin(sequence));
    const telemetry::MarkOutcome marked = marker.Mark(batch);
    EXPECT_TRUE(marked.duplicates.empty());
    std::vector<PointId> taken;
    check.Judge(batch, marked.suspects, taken);
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

// The packet's own reading, its topic, its JSON, the marks of its samples.
TEST(AllocationTest, AnMqttMessageAllocatesNothing) {
  constexpr int kTopics = 100, kPerMessage = 10, kRounds = 20, kBefore = 3;
  std::vector<things::Property> properties;
  for (uint32_t t = 0; t < kTopics; ++t)
    for (uint32_t f = 0; f < kPerMessage; ++f) {
      things::Form form;
      form.protocol = things::Protocol::kMqtt;
      form.mqtt.topic = fmt::format("plant/line-{}/machine-{}/telemetry", t / 10, t);
      form.mqtt.value_pointer = fmt::format("/values/measurement_{}", f);
      form.mqtt.time_pointer = "/ts";
      properties.push_back(PropertyOf(t * kPerMessage + f, fmt::format("machine-{:03}", t),
                                      fmt::format("measurement_{}", f), form));
    }
  TestNode node;
  const auto router = std::make_shared<mqtt::TopicRouter>(SnapshotOf(std::move(properties)), "");
  mqtt::PayloadMapper mapper(node.clock, node.quarantine, node.sink);
  mapper.Use(router);
  telemetry::Batch batch;
  batch.Reserve(size_t{kTopics} * kPerMessage);
  std::vector<const mqtt::TopicPlan*> plans;
  uint64_t counted = 0;
  for (int round = 0; round < kRounds; ++round) {
    batch.Clear();
    for (int t = 0; t < kTopics; ++t) {
      std::string payload = fmt::format(R"({{"ts": {}, "values": {{)", 1'800'000'000'000 + round);
      for (int f = 0; f < kPerMessage; ++f)
        payload += fmt::format(R"({}"measurement_{}": {:.3f})", f == 0 ? "" : ", ", f,
                               100 + round + 0.5 * f);
      payload += "}}";
      const std::string topic = fmt::format("plant/line-{}/machine-{}/telemetry", t / 10, t);
      std::string packet;
      mqtt::WritePublish({.qos = 1, .packet_id = 7, .topic = topic, .payload = payload}, packet);
      const size_t size = packet.size();
      packet.append(mqtt::PayloadMapper::kReadAhead, '\0');
      const uint64_t before = allocations;
      const ByteView whole = AsBytes(packet).first(size);
      const auto header = mqtt::ReadHeader(whole, 1 << 20);
      const auto publish = mqtt::ReadPublish(**header, whole);
      plans.clear();
      router->Find(publish->topic, plans);
      const auto at = static_cast<size_t>(publish->payload.data() - packet.data());
      for (const mqtt::TopicPlan* plan : plans)
        EXPECT_EQ(mapper.Map(*plan, publish->topic, publish->payload, packet.size() - at,
                             "filler-1", batch),
                  0U);
      if (round >= kBefore) counted += allocations - before;
    }
    ASSERT_EQ(batch.size(), size_t{kTopics} * kPerMessage);
  }
  EXPECT_EQ(counted, 0U);
}

TEST(AllocationTest, ASampleOfAFrameAllocatesNothing) {
  constexpr uint32_t kPoints = 1000;
  constexpr int kRounds = 12, kBefore = 2;
  constexpr size_t kRows = 10'000;
  std::vector<std::string> paths;
  for (uint32_t p = 0; p < kPoints; ++p) paths.push_back(fmt::format("host_{:04}/usage", p));
  telemetry::FrameEncoder encoder;
  telemetry::FrameDecoder decoder;
  telemetry::Frame frame;
  Bytes bytes;
  uint64_t counted = 0;
  for (int round = 0; round < kRounds; ++round) {
    telemetry::Batch batch;
    for (size_t i = 0; i < kRows; ++i)
      batch.Add(PointId{static_cast<uint32_t>(i % kPoints)},
                FromMicros(1'700'000'000'000'000 + int64_t{round} * 1'000'000),
                FromMicros(1'700'000'000'100'000), 0.25 * static_cast<double>((i * 7) % 1000));
    bytes.clear();
    const uint64_t before = allocations;
    encoder.Encode(batch, 0, kRows, paths, {"edge-7", 42, 1000}, bytes);
    ASSERT_TRUE(decoder.Decode(bytes, frame));
    if (round >= kBefore) counted += allocations - before;
    ASSERT_EQ(frame.batch.size(), kRows);
  }
  EXPECT_LE(counted, (kRounds - kBefore) * kPerRequest);
}

}  // namespace
}  // namespace penstock::protocols

#endif  // PENSTOCK_SANITIZED
