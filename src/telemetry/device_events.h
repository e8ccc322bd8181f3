// What a driver tells about the device it speaks with: it came, it went, it spoke, it erred. Owned
// by the lower room so that drivers report without knowing who keeps the book
// (fleet::DeviceRegistry does).
//
// Thread rule: any thread; calls return at once and never block on a disk or a socket.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::telemetry {

// `name` is stable over restarts and unique in a node: the thing's name for a device with its own
// Thing Description
// ("pump-7"), the client id for an MQTT client without one. Times come from the driver's clock.
class DeviceEvents {
 public:
  virtual ~DeviceEvents() = default;

  // The device answers. `protocol`: "modbus", "opcua", "mqtt"; `address`: "127.0.0.1:502/1".
  virtual void OnConnected(std::string_view name, std::string_view protocol,
                           std::string_view address, Time at) = 0;
  // It answers no more, or an attempt to reach it failed; the driver retries. `why.message` is kept
  // and shown.
  virtual void OnDisconnected(std::string_view name, const Error& why, Time at) = 0;
  // `count` samples came from it (once per batch, not per sample).
  virtual void OnSamples(std::string_view name, uint64_t count, Time at) = 0;
  // One request failed or one message was refused, the connection stands: an exception code, a torn
  // payload.
  virtual void OnError(std::string_view name, const Error& why, Time at) = 0;
  // It published on a topic that no thing describes (once per connection, the first one): nothing
  // is kept of it.
  virtual void OnUndescribed(std::string_view name, std::string_view topic, Time at) {
    (void)name, (void)topic, (void)at;
  }
};

}  // namespace penstock::telemetry
