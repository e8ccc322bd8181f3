// The MQTT machines' client: publishes one JSON object per report and comes back by itself when the
// listener was away.
//
// Thread rule: Publish() from one thread; the library runs its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace penstock::plant {

struct Report;

struct MqttMessage {
  std::string topic, payload;
  int qos = 0;
};

// What a report of an MQTT machine looks like on the wire. `state`: scalars, {"ts": ..., "rate":
// ..., ...}, null for a lost sensor; "" topic for machines that do not speak MQTT.
MqttMessage StateMessage(const Report& report);
// The pump's vibration: {"ts": time of the first sample, "v": [...]}; "" topic when the report has
// none or goes elsewhere.
MqttMessage WaveformMessage(const Report& report);

class MqttPublisher {
 public:
  virtual ~MqttPublisher() = default;
  // QoS 0 is dropped while there is no connection. QoS 1 waits, at most kWaitingMax messages; then
  // the oldest is dropped and counted.
  virtual void Publish(MqttMessage message) = 0;
  virtual bool connected() const = 0;
  virtual uint64_t dropped() const = 0;

  static constexpr size_t kWaitingMax = 2000;

  // Connects in the background and again after every loss, within about 2 s.
  static Result<std::unique_ptr<MqttPublisher>> Start(const std::string& host, uint16_t port,
                                                      const std::string& client_id);
};

}  // namespace penstock::plant
