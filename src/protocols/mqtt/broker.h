// MQTT 3.1.1 as a server, apart from sockets: bytes of a connection go in, bytes to connections
// come out, samples go to the sink.
//
// Thread rule: one thread. `post` (from any thread) brings the sink's answers back to it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocols/mqtt/authorizer.h"
#include "protocols/mqtt/packet.h"
#include "protocols/mqtt/payload.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/topic.h"

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
  std::vector<bool> speaks_for;  // Things (of the router) that this connection sent samples of.
};

class Broker {
 public:
  using Steady = std::chrono::steady_clock;
  using Post = std::function<void(std::function<void()>)>;

  Broker(BrokerOptions options, const DriverContext& context, MqttAuthorizer& authorizer,
         Post post);
  ~Broker();

  void Use(std::shared_ptr<const TopicRouter> router);
  uint64_t Open(Wire& wire, std::string remote);
  // Takes the whole packets at the front of `bytes`; returns how many bytes. `readable` >=
  // bytes.size() bytes may be read behind bytes.data().
  size_t Take(uint64_t peer, ByteView bytes, size_t readable);
  void Closed(uint64_t peer, std::string_view why);  // The connection is gone.
  void Tick(Steady::time_point now);                 // About once a second.
  void Flush();                                      // Hands collected samples to the sink.

  size_t clients() const { return clients_; }
  size_t sessions() const { return sessions_.size(); }
  size_t retained() const { return retained_.size(); }

 private:
  using Subscribers = std::map<Session*, uint8_t>;  // -> granted QoS.

  Status Handle(Peer& peer, const FixedHeader& header, ByteView packet, size_t readable);
  Status OnConnect(Peer& peer, const FixedHeader& header, ByteView packet);
  Status OnPublish(Peer& peer, const FixedHeader& header, ByteView packet, size_t readable);
  Status OnSubscribe(Peer& peer, const FixedHeader& header, ByteView packet);
  Status OnUnsubscribe(Peer& peer, const FixedHeader& header, ByteView packet);
  void OnPuback(Peer& peer, uint16_t packet_id);
  void OnPubrel(Peer& peer, uint16_t packet_id);
  void OnDurable(uint64_t batch, const Status& status);

  void Refuse(Peer& peer, ConnectCode code, const Error& why);
  Result<std::string> Admit(Peer& peer, const Connect& connect, std::string_view client_id);
  Session* SessionFor(const std::string& client_id, bool clean, bool& present);
  bool ForgetOldest();
  void Forget(Session& session);
  void Resume(Peer& peer);
  uint8_t Subscribe(Session& session, const Subscription& wanted, std::string_view principal);
  void SendRetained(Session& session, std::string_view filter, uint8_t qos);

  // To the points it maps to: true when samples were added.
  bool Map(Peer* peer, std::string_view client_id, std::string_view topic, std::string_view payload,
           size_t readable);
  void Distribute(std::string_view topic, std::string_view payload, uint8_t qos);
  void Retain(std::string_view topic, std::string_view payload, uint8_t qos);
  void Deliver(Session& session, const SharedMessage& message, uint8_t qos, bool retain);
  void Refill(Session& session);
  void Acknowledge(Peer& peer, PacketType type, uint16_t packet_id, uint64_t batch);
  void SendAcknowledgements(Peer& peer);
  void TellThings(Peer& peer, size_t thing);

  // Ends the connection; not clean: the will is published.
  void Drop(Peer& peer, const Error& why, bool clean = false);
  void Doom(Peer& peer, Error why);  // Dropped when the present call ends: safe inside of a loop.
  void DropDoomed();
  void DropIfDeaf(Peer& peer);
  std::string Name(const Peer& peer) const;
  Peer* Find(uint64_t id);

  const BrokerOptions options_;
  const DriverContext context_;
  MqttAuthorizer& authorizer_;
  const Post post_;
  PayloadMapper mapper_;

  std::unordered_map<uint64_t, std::unique_ptr<Peer>> peers_;
  std::unordered_map<std::string, std::unique_ptr<Session>> sessions_;
  TopicTree<Subscribers> subscriptions_;
  std::map<std::string, SharedMessage, std::less<>> retained_;
  size_t retained_bytes_ = 0;
  uint64_t last_peer_ = 0;
  size_t clients_ = 0;
  Steady::time_point now_;

  telemetry::Batch batch_;
  uint64_t batch_number_ = 1;
  std::vector<uint64_t> batch_peers_;  // With acknowledgements that wait for it.
  std::unordered_map<uint64_t, std::vector<uint64_t>> waiting_;  // Batch -> peers.
  std::vector<uint64_t> thing_samples_;                          // In this batch, by thing.
  std::vector<const TopicPlan*> plans_;
  std::vector<std::pair<Session*, uint8_t>> receivers_;
  std::vector<std::pair<uint64_t, Error>> doomed_;
};

}  // namespace penstock::protocols::mqtt
