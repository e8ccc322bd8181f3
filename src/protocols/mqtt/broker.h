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
#include "protocols/mqtt/peer.h"
#include "protocols/mqtt/session.h"
#include "protocols/mqtt/topic.h"

namespace penstock::protocols::mqtt {

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
