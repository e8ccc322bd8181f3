// The way of a message through the broker: to points, to subscribers, and back as an
// acknowledgement.
//
// A message whose topic maps to points is acknowledged only when the sink says that its samples are
// durable; others are acknowledged at once, but never before an earlier one of the same client,
// since the standard wants them in order. Samples of all clients are collected into one batch until
// the listener has read what is there, so that a thousand small messages cost the log one record.
// If the log cannot take them, the connection is closed: MQTT 3.1.1 has no other way to say no, and
// a client that keeps its session sends again.
//
// Outgoing is bounded twice: bytes the socket has not taken (then QoS 0 is dropped and QoS 1 waits
// in the session), and messages in the session (then a connected client is too slow and is closed,
// and for an absent one the new message is dropped and counted).
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "protocols/mqtt/broker.h"

namespace penstock::protocols::mqtt {
namespace {

Metric& PublishedMessages() {
  static Metric& metric = Counter("penstock_mqtt_messages_total", "PUBLISH packets received.");
  return metric;
}
Metric& Delivered() {
  static Metric& metric =
      Counter("penstock_mqtt_delivered_total", "PUBLISH packets sent to subscribers.");
  return metric;
}
void CountDropped(std::string_view reason) {
  Counter("penstock_mqtt_dropped_total", "Messages not delivered to a subscriber, by reason.",
          fmt::format("reason=\"{}\"", reason))
      .Add();
}

}  // namespace

Status Broker::OnPublish(Peer& peer, const FixedHeader& header, ByteView packet, size_t readable) {
  ASSIGN_OR_RETURN(const Publish publish, ReadPublish(header, packet));
  TRY(CheckTopic(publish.topic, options_.topics));
  if (!authorizer_.MayPublish(peer.principal, publish.topic)) {
    return PermissionDenied("not authorized to publish to {} [MQTT-3.3.5-2]", publish.topic);
  }
  PublishedMessages().Add();
  if (publish.qos == 2) {
    auto& unreleased = peer.session->unreleased;
    if (!unreleased.insert(publish.packet_id).second) {  // Sent again; it was taken the first time.
      Acknowledge(peer, PacketType::kPubrec, publish.packet_id, 0);
      return {};
    }
    if (unreleased.size() > options_.unreleased_max) {
      return ResourceExhausted("{} QoS 2 messages without PUBREL", unreleased.size());
    }
  }
  const auto payload_at = static_cast<size_t>(publish.payload.data() - AsText(packet).data());
  const bool mapped =
      Map(&peer, peer.client_id, publish.topic, publish.payload, readable - payload_at);
  if (publish.retain) Retain(publish.topic, publish.payload, publish.qos);
  if (!subscriptions_.empty()) Distribute(publish.topic, publish.payload, publish.qos);
  const uint64_t batch = mapped ? batch_number_ : 0;
  if (publish.qos == 1) Acknowledge(peer, PacketType::kPuback, publish.packet_id, batch);
  if (publish.qos == 2) Acknowledge(peer, PacketType::kPubrec, publish.packet_id, batch);
  if (batch_.size() >= options_.batch_rows_max) Flush();
  return {};
}

bool Broker::Map(Peer* peer, std::string_view client_id, std::string_view topic,
                 std::string_view payload, size_t readable) {
  plans_.clear();
  mapper_.router().Find(topic, plans_);
  if (plans_.empty() && peer != nullptr && !peer->told_undescribed) {
    peer->told_undescribed = true;
    context_.events.OnUndescribed(client_id, topic, context_.clock.Now());
  }
  const size_t before = batch_.size();
  for (const TopicPlan* plan : plans_) {
    const size_t refused = mapper_.Map(*plan, topic, payload, readable, client_id, batch_);
    for (const auto& [thing, count] : mapper_.counts()) {
      thing_samples_[thing] += count;
      if (peer != nullptr) TellThings(*peer, thing);
    }
    if (refused == 0) continue;
    const size_t thing = mapper_.router().thing_of(plan->targets().front().point);
    context_.events.OnError(
        mapper_.router().things()[thing],
        Error{Code::kInvalidArgument,
              fmt::format("mqtt client {}: {} values of a message to {} are in quarantine",
                          client_id, refused, topic)},
        context_.clock.Now());
  }
  return batch_.size() > before;
}

void Broker::TellThings(Peer& peer, size_t thing) {
  peer.speaks_for.resize(mapper_.router().things().size());
  if (peer.speaks_for[thing]) return;
  peer.speaks_for[thing] = true;
  context_.events.OnConnected(mapper_.router().things()[thing], "mqtt",
                              fmt::format("{} ({})", peer.client_id, peer.remote),
                              context_.clock.Now());
}

void Broker::Distribute(std::string_view topic, std::string_view payload, uint8_t qos) {
  receivers_.clear();
  subscriptions_.Match(topic, [&](const Subscribers& subscribers) {
    receivers_.insert(receivers_.end(), subscribers.begin(), subscribers.end());
  });
  if (receivers_.empty()) return;
  // Overlapping subscriptions of one client: once, with the highest QoS [MQTT-3.3.5-1].
  std::sort(receivers_.begin(), receivers_.end(), std::greater<>());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  receivers_.erase(std::unique(receivers_.begin(), receivers_.end(), same), receivers_.end());
  const auto message = std::make_shared<const Message>(
      Message{std::string(topic), std::string(payload), qos, false});
  for (const auto& [session, granted] : receivers_) {
    Deliver(*session, message, std::min(qos, granted), false);
  }
}

void Broker::Retain(std::string_view topic, std::string_view payload, uint8_t qos) {
  auto known = retained_.find(topic);
  if (known != retained_.end()) {
    retained_bytes_ -= known->first.size() + known->second->payload.size();
    known = retained_.erase(known);
  }
  if (payload.empty()) return;  // Nothing to keep [MQTT-3.3.1-10].
  if (retained_.size() >= options_.retained_messages_max ||
      retained_bytes_ + topic.size() + payload.size() > options_.retained_bytes_max) {
    CountDropped("retained_full");
    LogSometimes(LogLevel::kWarn, "mqtt retained",
                 fmt::format("mqtt: {} retained messages of {} bytes are kept, {} is not",
                             retained_.size(), retained_bytes_, topic));
    return;
  }
  retained_bytes_ += topic.size() + payload.size();
  retained_.emplace(std::string(topic), std::make_shared<const Message>(Message{
                                            std::string(topic), std::string(payload), qos, true}));
}

void Broker::SendRetained(Session& session, std::string_view filter, uint8_t qos) {
  if (!HasWildcard(filter)) {
    const auto known = retained_.find(filter);
    if (known != retained_.end()) {
      Deliver(session, known->second, std::min(qos, known->second->qos), true);
    }
    return;
  }
  TopicTree<bool> wanted;
  wanted.At(filter);
  for (const auto& [topic, message] : retained_) {
    wanted.Match(topic,
                 [&](bool) { Deliver(session, message, std::min(qos, message->qos), true); });
  }
}

void Broker::Deliver(Session& session, const SharedMessage& message, uint8_t qos, bool retain) {
  Peer* peer = session.peer;
  const bool room = peer != nullptr && peer->wire->unsent() < options_.outgoing_bytes_max;
  if (qos == 0) {
    if (peer == nullptr) return;  // Not kept for an absent client.
    if (!room) return CountDropped("qos0_slow_client");
    Delivered().Add();
    WritePublish({.retain = retain, .qos = 0, .topic = message->topic, .payload = message->payload},
                 peer->wire->out());
    return;
  }
  const size_t bytes = message->topic.size() + message->payload.size();
  if (session.queue.size() >= options_.queue_messages_max ||
      session.queue_bytes + bytes > options_.queue_bytes_max) {
    CountDropped(peer == nullptr ? "queue_full" : "slow_client");
    if (peer != nullptr && !peer->closing) {
      Doom(*peer,
           Error{Code::kResourceExhausted, fmt::format("{}: too slow, {} messages wait for it",
                                                       Name(*peer), session.queue.size())});
    }
    return;
  }
  session.queue_bytes += bytes;
  session.queue.push_back({message, retain});
  if (room) Refill(session);
}

void Broker::Refill(Session& session) {
  if (session.peer == nullptr) return;
  Wire& wire = *session.peer->wire;
  while (!session.queue.empty() && session.in_flight.size() < options_.in_flight_max &&
         wire.unsent() < options_.outgoing_bytes_max) {
    const Session::Queued next = std::move(session.queue.front());
    session.queue.pop_front();
    session.queue_bytes -= next.message->topic.size() + next.message->payload.size();
    const uint16_t packet_id = session.NextPacketId();
    session.in_flight.push_back({packet_id, next.message, next.retain});
    Delivered().Add();
    WritePublish({.retain = next.retain,
                  .qos = 1,
                  .packet_id = packet_id,
                  .topic = next.message->topic,
                  .payload = next.message->payload},
                 wire.out());
  }
}

void Broker::OnPuback(Peer& peer, uint16_t packet_id) {
  auto& in_flight = peer.session->in_flight;
  const auto known = std::find_if(in_flight.begin(), in_flight.end(),
                                  [&](const auto& each) { return each.packet_id == packet_id; });
  if (known != in_flight.end()) in_flight.erase(known);
  Refill(*peer.session);
}

void Broker::OnPubrel(Peer& peer, uint16_t packet_id) {
  peer.session->unreleased.erase(packet_id);
  WritePacketId(PacketType::kPubcomp, packet_id, peer.wire->out());
}

void Broker::Acknowledge(Peer& peer, PacketType type, uint16_t packet_id, uint64_t batch) {
  if (batch == 0 && peer.acknowledgements.empty()) {
    WritePacketId(type, packet_id, peer.wire->out());
    return;
  }
  peer.acknowledgements.push_back({type, packet_id, batch});
  if (batch != 0 && (batch_peers_.empty() || batch_peers_.back() != peer.id)) {
    batch_peers_.push_back(peer.id);
  }
  if (peer.acknowledgements.size() > 0xFFFF) {
    Doom(peer, Error{Code::kResourceExhausted,
                     fmt::format("{}: more than 65535 messages unacknowledged", Name(peer))});
  }
}

void Broker::SendAcknowledgements(Peer& peer) {
  while (!peer.acknowledgements.empty() && peer.acknowledgements.front().batch == 0) {
    const Peer::Acknowledgement& first = peer.acknowledgements.front();
    WritePacketId(first.type, first.packet_id, peer.wire->out());
    peer.acknowledgements.pop_front();
  }
}

void Broker::Flush() {
  if (batch_.empty()) return;
  const Time now = context_.clock.Now();
  for (size_t thing = 0; thing < thing_samples_.size(); ++thing) {
    if (thing_samples_[thing] == 0) continue;
    context_.events.OnSamples(mapper_.router().things()[thing], thing_samples_[thing], now);
    thing_samples_[thing] = 0;
  }
  telemetry::Batch full;
  std::swap(full, batch_);
  const uint64_t number = batch_number_++;
  if (batch_peers_.empty()) return context_.samples.Write(std::move(full));
  waiting_.emplace(number, std::exchange(batch_peers_, {}));
  context_.samples.Write(std::move(full), [this, post = post_, number](const Status& status) {
    post([this, number, status] { OnDurable(number, status); });
  });
}

void Broker::OnDurable(uint64_t batch, const Status& status) {
  const auto found = waiting_.find(batch);
  CHECK(found != waiting_.end());
  const std::vector<uint64_t> peers = std::move(found->second);
  waiting_.erase(found);
  for (const uint64_t id : peers) {
    Peer* peer = Find(id);
    if (peer == nullptr || peer->closing) continue;
    if (!status) {
      Doom(*peer, Error{status.error().code,
                        fmt::format("{}: samples were not stored, not acknowledged: {}",
                                    Name(*peer), status.error().message)});
      continue;
    }
    for (Peer::Acknowledgement& each : peer->acknowledgements) {
      if (each.batch == batch) each.batch = 0;
    }
    SendAcknowledgements(*peer);
  }
  DropDoomed();
}

}  // namespace penstock::protocols::mqtt
