// What the broker remembers of a client between its packets and, unless it asked for a clean
// session, between its connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace penstock::protocols::mqtt {

struct Message {
  std::string topic, payload;
  uint8_t qos = 0;
  bool retain = false;
};
// Shared by the queues of all subscribers; it never changes.
using SharedMessage = std::shared_ptr<const Message>;

struct Peer;

class Session {
 public:
  // Packet identifiers 1 to 65535 that are not in flight, in turn.
  uint16_t NextPacketId();

  std::string client_id;
  bool clean = true;
  Peer* peer = nullptr;  // The connection, while there is one.
  std::chrono::steady_clock::time_point left_at{};
  std::map<std::string, uint8_t, std::less<>> subscriptions;  // Filter -> granted QoS.
  std::set<uint16_t> unreleased;                              // QoS 2: received, PUBREL not yet.

  struct InFlight {
    uint16_t packet_id = 0;
    SharedMessage message;
    bool retain = false;
  };
  std::deque<InFlight> in_flight;  // Sent with QoS 1, not acknowledged; oldest first.
  struct Queued {
    SharedMessage message;
    bool retain = false;
  };
  std::deque<Queued> queue;  // Waiting for a place in flight.
  size_t queue_bytes = 0;

 private:
  uint16_t last_packet_id_ = 0;
};

}  // namespace penstock::protocols::mqtt
