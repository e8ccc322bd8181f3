// A connection as the broker sees it, and the broker's bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "protocols/mqtt/packet.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/topic.h"
#include "trust/tls.h"

namespace penstock::protocols::mqtt {

// Bounds, and what happens when each is reached.
struct BrokerOptions {
  size_t packet_bytes_max = 1 << 20;    // A larger announcement closes the connection.
  size_t connect_bytes_max = 64 << 10;  // The same before CONNECT was accepted.
  size_t clients_max = 10'000;          // CONNACK 3.
  size_t client_id_bytes_max = 256;     // CONNACK 2.
  TopicLimits topics;                   // PUBLISH: closed. SUBSCRIBE: refused with 0x80.
  size_t subscriptions_max = 1'000;     // Per session; refused with 0x80.
  size_t outgoing_bytes_max = 1 << 20;  // Unsent to one client: QoS 0 is dropped, QoS 1 queued.
  size_t in_flight_max = 64;  // QoS 1 messages unacknowledged by one client; more are queued.
  size_t queue_messages_max =
      1'000;  // Per session. Connected: closed as too slow. Away: the new one dropped.
  size_t queue_bytes_max = 8 << 20;
  size_t retained_messages_max = 10'000;  // Not retained, counted.
  size_t retained_bytes_max = 64 << 20;
  size_t unreleased_max = 1'000;  // QoS 2 messages a client has not released; closed.
  size_t sessions_max = 20'000;   // The session longest away is forgotten; none away: CONNACK 3.
  size_t batch_rows_max = 8'192;  // Handed to the sink at once.
  std::chrono::seconds session_expiry{86'400};  // Away for longer: forgotten.
  std::chrono::seconds connect_within{10};
};

// The sending side of a connection.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual std::string& out() = 0;     // Append; it is sent when the broker's call has returned.
  virtual size_t unsent() const = 0;  // Bytes that the client has not taken.
  virtual void Close() = 0;           // Sends what it can, then closes; Closed() follows later.
  virtual trust::TlsPeer tls_peer() const { return {}; }  // Of a TLS connection.
};

// One connection.
struct Peer {
  uint64_t id = 0;
  Wire* wire = nullptr;
  std::string remote;
  std::string client_id;  // "" until CONNECT was accepted.
  std::string principal;
  Session* session = nullptr;
  bool closing = false;
  uint16_t keep_alive_s = 0;
  std::chrono::steady_clock::time_point heard_at;
  uint64_t bytes = 0;       // Taken from this connection so far.
  size_t resent_bytes = 0;  // By resuming its session: allowed to be unsent on top of the limit.
  SharedMessage will;
  struct Acknowledgement {
    PacketType type;  // PUBACK or PUBREC.
    uint16_t packet_id;
    uint64_t batch;  // Waits for this batch to be durable; 0: waits only for its predecessors.
  };
  std::deque<Acknowledgement> acknowledgements;  // In the order of their PUBLISHes [MQTT-4.6.0-2].
  std::vector<bool> speaks_for;   // Things (of the router) that this connection sent samples of.
  bool told_undescribed = false;  // That it published on a topic of no thing.
};

}  // namespace penstock::protocols::mqtt
