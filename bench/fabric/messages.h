// Publishing to brokers: MQTT 3.1.1 and core NATS, hand-written so that the client is never the
// slower end.
#pragma once

#include <cstdint>

namespace penstock::bench {

struct MessageLoad {
  int port = 0;
  int qos = 0;  // MQTT: 0 or 1.
  uint64_t messages = 200'000;
  int connections = 2;
  int window = 1000;        // MQTT QoS 1: unacknowledged messages per connection.
  bool subscriber = false;  // MQTT: one client takes and acknowledges all of it, as a store would.
  int topics = 100;         // hosts/host_0000/usage_user ...
  int64_t start_us = 0;
};

// Both print one line of JSON: messages, seconds until the last was taken (QoS 0 and NATS: until an
// answer to something sent behind them came; with a subscriber: until it has them, and how many it
// got). They return the exit code.
int PublishMqtt(const MessageLoad& load);
int PublishNats(const MessageLoad& load);

}  // namespace penstock::bench
