// Bytes from a stranger, through the broker: codec, sessions, topics, JSON payloads. The first byte
// says how the stream is torn; a second client watches everything.
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "protocols/mqtt/broker.h"

namespace {

using namespace penstock;
using namespace penstock::protocols;

class Sink final : public telemetry::SampleSink {
 public:
  void Write(telemetry::Batch batch, std::function<void(const Status&)> on_durable) override {
    for (const double value : batch.value) CHECK(std::isfinite(value));
    if (on_durable) on_durable({});
  }
};
class Quarantine final : public telemetry::QuarantineSink {
 public:
  void Put(telemetry::QuarantineEntry entry) override { CHECK(entry.value.size() <= 200); }
};
class Events final : public telemetry::DeviceEvents {
 public:
  void OnConnected(std::string_view, std::string_view, std::string_view, Time) override {}
  void OnDisconnected(std::string_view, const Error&, Time) override {}
  void OnSamples(std::string_view, uint64_t, Time) override {}
  void OnError(std::string_view, const Error&, Time) override {}
};

class MemoryWire final : public mqtt::Wire {
 public:
  std::string& out() override { return text; }
  size_t unsent() const override { return text.size(); }
  void Close() override { closed = true; }
  std::string text;
  bool closed = false;
};

things::Property Property(uint32_t id, std::string topic, std::string value, std::string time,
                          things::ValueType type) {
  things::Property property;
  property.point.id = PointId{id};
  property.point.thing = "t";
  property.point.property = std::to_string(id);
  property.point.type = type;
  property.point.sample_rate_hz = 100;
  things::Form form;
  form.protocol = things::Protocol::kMqtt;
  form.mqtt.topic = std::move(topic);
  form.mqtt.value_pointer = std::move(value);
  form.mqtt.time_pointer = std::move(time);
  property.forms.push_back(std::move(form));
  return property;
}

std::shared_ptr<const mqtt::TopicRouter> Router() {
  things::Snapshot snapshot;
  snapshot.things.emplace_back().name = "t";
  auto& properties = snapshot.things[0].properties;
  using things::ValueType;
  properties.push_back(Property(0, "a", "/x", "/ts", ValueType::kNumber));
  properties.push_back(Property(1, "a", "/v", "", ValueType::kWaveform));
  properties.push_back(Property(2, "a", "/v/0", "", ValueType::kInteger));
  properties.push_back(Property(3, "a", "/o/b", "", ValueType::kBoolean));
  properties.push_back(Property(4, "+/b", "", "", ValueType::kNumber));
  return std::make_shared<const mqtt::TopicRouter>(snapshot, "");
}

// A broker with every bound small, so that each of them is met.
mqtt::BrokerOptions Small() {
  mqtt::BrokerOptions options;
  options.packet_bytes_max = 2048;
  options.connect_bytes_max = 256;
  options.topics = {.bytes_max = 64, .levels_max = 6};
  options.subscriptions_max = 4;
  options.outgoing_bytes_max = 512;
  options.in_flight_max = 2;
  options.queue_messages_max = 3;
  options.retained_messages_max = 3;
  options.unreleased_max = 3;
  options.sessions_max = 4;
  options.batch_rows_max = 8;
  return options;
}

// Takes the stream as a socket would bring it: pieces of `piece` bytes, what was torn kept.
void Feed(mqtt::Broker& broker, uint64_t peer, std::string_view stream, size_t piece) {
  std::string kept;
  while (!stream.empty()) {
    const size_t count = std::min(piece, stream.size());
    kept += stream.substr(0, count);
    stream.remove_prefix(count);
    const std::string copy = kept;  // Exactly as long as it is: reading beyond is found.
    kept.erase(0, broker.Take(peer, AsBytes(copy), copy.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  SetLogLevel(LogLevel::kError);
  ManualClock clock(FromMicros(1'800'000'000'000'000));
  Sink sink;
  Quarantine quarantine;
  Events events;
  const DriverContext context{clock, sink, quarantine, events};
  std::vector<std::function<void()>> posted;
  mqtt::Broker broker(Small(), context, mqtt::LoopbackOnly(),
                      [&](std::function<void()> task) { posted.push_back(std::move(task)); });
  broker.Use(Router());

  MemoryWire witness;
  const uint64_t witness_id = broker.Open(witness, "127.0.0.1:1");
  std::string text;
  mqtt::Connect connect;
  connect.client_id = "witness";
  mqtt::WriteConnect(connect, text);
  mqtt::Subscribe all;
  all.packet_id = 1;
  all.subscriptions = {{"#", 1}};
  mqtt::WriteSubscribe(all, text);
  Feed(broker, witness_id, text, text.size());

  MemoryWire stranger;
  const uint64_t stranger_id = broker.Open(stranger, "127.0.0.1:2");
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  Feed(broker, stranger_id, stream, 1 + data[0]);
  broker.Flush();
  for (const auto& task : std::exchange(posted, {})) task();
  broker.Closed(stranger_id, "end");
  broker.Tick(std::chrono::steady_clock::now() + std::chrono::hours(48));
  broker.Flush();
  for (const auto& task : std::exchange(posted, {})) task();

  // What the witness was sent is well-formed MQTT.
  std::string_view rest = witness.text;
  while (!rest.empty()) {
    const auto header = mqtt::ReadHeader(AsBytes(rest), 1 << 20);
    CHECK(header && *header && rest.size() >= (*header)->bytes());
    if ((*header)->type == mqtt::PacketType::kPublish) {
      CHECK(mqtt::ReadPublish(**header, AsBytes(rest.substr(0, (*header)->bytes()))).has_value());
    }
    rest.remove_prefix((*header)->bytes());
  }
  return 0;
}
