// Connections and sessions. Publishing is in publish.cc.
//
// A connection is a Peer, known by a number; what outlives it is its Session. Nothing here frees a
// peer: Drop() marks it and asks its wire to close, and only Closed(), when the socket is really
// gone, forgets it. That makes it safe to close any connection from anywhere, also the one whose
// packet is being handled, and a slow subscriber in the middle of a fan-out (Doom, which waits for
// the end of the call because a will may fan out again).
//
// A malformed packet closes that connection alone; the log names client, offset in the connection
// and rule. A connection that has not sent CONNECT may only announce small packets, so strangers
// cost little memory.
#include "protocols/mqtt/broker.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"

namespace penstock::protocols::mqtt {
namespace {

Metric& Clients() {
  static Metric& metric = Gauge("penstock_mqtt_clients", "MQTT clients connected.");
  return metric;
}
void CountClosed(std::string_view reason) {
  Counter("penstock_mqtt_closed_total", "MQTT connections closed by us, by reason.",
          fmt::format("reason=\"{}\"", reason))
      .Add();
}

ConnectCode CodeOf(const Error& error) {
  switch (error.code) {
    case Code::kUnauthenticated:
      return ConnectCode::kBadUserNameOrPassword;
    case Code::kUnavailable:
    case Code::kResourceExhausted:
      return ConnectCode::kServerUnavailable;
    case Code::kInvalidArgument:
      return ConnectCode::kIdentifierRejected;
    default:
      return ConnectCode::kNotAuthorized;
  }
}

}  // namespace

Broker::Broker(BrokerOptions options, const DriverContext& context, MqttAuthorizer& authorizer,
               Post post)
    : options_(std::move(options)),
      context_(context),
      authorizer_(authorizer),
      post_(std::move(post)),
      mapper_(context.clock, context.quarantine, context.samples),
      now_(Steady::now()) {}

Broker::~Broker() { Clients().Set(0); }

void Broker::Use(std::shared_ptr<const TopicRouter> router) {
  Flush();
  mapper_.Use(std::move(router));
  thing_samples_.assign(mapper_.router().things().size(), 0);
  for (auto& [id, peer] : peers_) {
    peer->speaks_for.clear();
    peer->told_undescribed = false;
  }
}

uint64_t Broker::Open(Wire& wire, std::string remote) {
  auto peer = std::make_unique<Peer>();
  peer->id = ++last_peer_;
  peer->wire = &wire;
  peer->remote = std::move(remote);
  peer->heard_at = now_;
  const uint64_t id = peer->id;
  peers_.emplace(id, std::move(peer));
  return id;
}

Peer* Broker::Find(uint64_t id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

std::string Broker::Name(const Peer& peer) const {
  return fmt::format("mqtt client {} ({})", peer.client_id.empty() ? "unknown" : peer.client_id,
                     peer.remote);
}

size_t Broker::Take(uint64_t id, ByteView bytes, size_t readable) {
  CHECK(readable >= bytes.size());
  Peer* peer = Find(id);
  if (peer == nullptr || peer->closing) return bytes.size();
  peer->heard_at = now_;
  size_t at = 0;
  while (at < bytes.size() && !peer->closing) {
    const ByteView rest = bytes.subspan(at);
    const bool known = peer->session != nullptr;
    const auto header =
        ReadHeader(rest, known ? options_.packet_bytes_max : options_.connect_bytes_max);
    if (header && (!*header || rest.size() < (*header)->bytes())) break;
    Status handled;
    if (header) {
      handled = Handle(*peer, **header, rest.first((*header)->bytes()), readable - at);
    } else {
      handled = std::unexpected(header.error());
    }
    if (!handled && !peer->closing) {
      CountClosed(handled.error().code == Code::kInvalidArgument ? "malformed" : "refused");
      Error why = handled.error();
      why.message = fmt::format("{}: {} (packet began at byte {} of the connection)", Name(*peer),
                                why.message, peer->bytes);
      LogSometimes(LogLevel::kWarn, peer->remote, why.message + "; closed");
      Drop(*peer, why);
    }
    if (!header) return bytes.size();
    at += (*header)->bytes();
    peer->bytes += (*header)->bytes();
    DropIfDeaf(*peer);
  }
  DropDoomed();
  return peer->closing ? bytes.size() : at;
}

// A client that sends requests but does not read the answers would have us keep them all.
void Broker::DropIfDeaf(Peer& peer) {
  const size_t allowed =
      options_.outgoing_bytes_max + options_.packet_bytes_max + peer.resent_bytes;
  if (peer.closing || peer.wire->unsent() <= allowed) return;
  CountClosed("slow");
  const Error why{Code::kResourceExhausted, fmt::format("{}: does not read, {} bytes wait for it",
                                                        Name(peer), peer.wire->unsent())};
  LogSometimes(LogLevel::kWarn, peer.remote, why.message + "; closed");
  Drop(peer, why);
}

Status Broker::Handle(Peer& peer, const FixedHeader& header, ByteView packet, size_t readable) {
  if (header.type == PacketType::kConnect) return OnConnect(peer, header, packet);
  if (peer.session == nullptr) {
    return InvalidArgument("{} before CONNECT [MQTT-3.1.0-1]", PacketName(header.type));
  }
  switch (header.type) {
    case PacketType::kPublish:
      return OnPublish(peer, header, packet, readable);
    case PacketType::kPuback: {
      ASSIGN_OR_RETURN(const uint16_t packet_id, ReadPacketId(header, packet));
      OnPuback(peer, packet_id);
      return {};
    }
    case PacketType::kPubrel: {
      ASSIGN_OR_RETURN(const uint16_t packet_id, ReadPacketId(header, packet));
      OnPubrel(peer, packet_id);
      return {};
    }
    case PacketType::kSubscribe:
      return OnSubscribe(peer, header, packet);
    case PacketType::kUnsubscribe:
      return OnUnsubscribe(peer, header, packet);
    case PacketType::kPingreq:
      TRY(ReadEmpty(header, packet));
      WriteEmpty(PacketType::kPingresp, peer.wire->out());
      return {};
    case PacketType::kDisconnect:
      TRY(ReadEmpty(header, packet));
      Drop(peer, Error{Code::kCancelled, fmt::format("{} disconnected", Name(peer))}, true);
      return {};
    default:
      return InvalidArgument("{} is not for a server", PacketName(header.type));
  }
}

Status Broker::OnConnect(Peer& peer, const FixedHeader& header, ByteView packet) {
  if (peer.session != nullptr) return InvalidArgument("second CONNECT [MQTT-3.1.0-2]");
  ASSIGN_OR_RETURN(const Connect connect, ReadConnect(header, packet));
  if (!connect.supported()) {
    Refuse(peer, ConnectCode::kUnacceptableProtocolVersion,
           Error{Code::kUnimplemented,
                 fmt::format("{} level {}; this listener speaks MQTT 3.1.1 (level 4)",
                             connect.protocol, connect.level)});
    return {};
  }
  if (connect.will) {
    TRY(CheckTopic(connect.will->topic, options_.topics));
  }
  std::string client_id(connect.client_id);
  if (client_id.empty()) client_id = fmt::format("auto-{}", ToHex(RandomBytes(8)));
  auto principal = Admit(peer, connect, client_id);
  if (!principal) {
    Refuse(peer, CodeOf(principal.error()), principal.error());
    return {};
  }
  if (const auto old = sessions_.find(client_id);
      old != sessions_.end() && old->second->peer != nullptr) {
    Peer& before = *old->second->peer;
    Drop(before,
         Error{Code::kAborted, fmt::format("{}: taken over by {}", Name(before), peer.remote)});
  }
  bool present = false;
  Session* session = SessionFor(client_id, connect.clean_session, present);
  if (session == nullptr) {
    Refuse(peer, ConnectCode::kServerUnavailable,
           Error{Code::kResourceExhausted,
                 fmt::format("all {} sessions are in use", options_.sessions_max)});
    return {};
  }
  session->peer = &peer;
  peer.session = session;
  peer.client_id = client_id;
  peer.principal = std::move(*principal);
  peer.keep_alive_s = connect.keep_alive_s;
  if (connect.will) {
    const Will& will = *connect.will;
    peer.will = std::make_shared<Message>(
        Message{std::string(will.topic), std::string(will.payload), will.qos, will.retain});
  }
  Clients().Set(static_cast<int64_t>(++clients_));
  WriteConnack({.session_present = present}, peer.wire->out());
  context_.events.OnConnected(client_id, "mqtt", peer.remote, context_.clock.Now());
  Resume(peer);
  return {};
}

Result<std::string> Broker::Admit(Peer& peer, const Connect& connect, std::string_view client_id) {
  if (connect.client_id.empty() && !connect.clean_session) {
    return InvalidArgument("no client identifier, but a session to keep [MQTT-3.1.3-8]");
  }
  if (client_id.size() > options_.client_id_bytes_max) {
    return InvalidArgument("client identifier of {} bytes, at most {} are taken", client_id.size(),
                           options_.client_id_bytes_max);
  }
  if (clients_ >= options_.clients_max) {
    return ResourceExhausted("{} clients are connected, no more are taken", clients_);
  }
  ASSIGN_OR_RETURN(std::string principal, authorizer_.Connect({.client_id = client_id,
                                                               .user_name = connect.user_name,
                                                               .password = connect.password,
                                                               .remote = peer.remote,
                                                               .peer = peer.wire->tls_peer()}));
  if (connect.will && !authorizer_.MayPublish(principal, connect.will->topic)) {
    return PermissionDenied("{} may not publish its will to {}", client_id, connect.will->topic);
  }
  return principal;
}

void Broker::Refuse(Peer& peer, ConnectCode code, const Error& why) {
  CountClosed("connect");
  LogSometimes(LogLevel::kWarn, peer.remote,
               fmt::format("{}: CONNECT refused with code {}: {}", Name(peer),
                           static_cast<int>(code), why.message));
  WriteConnack({.session_present = false, .code = code}, peer.wire->out());
  Drop(peer, why, true);
}

Session* Broker::SessionFor(const std::string& client_id, bool clean, bool& present) {
  const auto known = sessions_.find(client_id);
  if (known != sessions_.end()) {
    if (!clean && !known->second->clean) {
      present = true;
      return known->second.get();
    }
    Forget(*known->second);
  }
  if (sessions_.size() >= options_.sessions_max && !ForgetOldest()) return nullptr;
  auto session = std::make_unique<Session>();
  session->client_id = client_id;
  session->clean = clean;
  return sessions_.emplace(client_id, std::move(session)).first->second.get();
}

bool Broker::ForgetOldest() {
  Session* oldest = nullptr;
  for (const auto& [id, session] : sessions_) {
    if (session->peer != nullptr) continue;
    if (oldest == nullptr || session->left_at < oldest->left_at) oldest = session.get();
  }
  if (oldest == nullptr) return false;
  Forget(*oldest);
  return true;
}

void Broker::Forget(Session& session) {
  for (const auto& [filter, qos] : session.subscriptions) {
    Subscribers* subscribers = subscriptions_.Find(filter);
    if (subscribers == nullptr) continue;
    subscribers->erase(&session);
    if (subscribers->empty()) subscriptions_.Erase(filter);
  }
  sessions_.erase(std::string(session.client_id));
}

// What was sent before and not acknowledged comes again, in its order [MQTT-4.4.0-1]; then what was
// queued.
void Broker::Resume(Peer& peer) {
  for (const Session::InFlight& each : peer.session->in_flight) {
    WritePublish({.dup = true,
                  .retain = each.retain,
                  .qos = 1,
                  .packet_id = each.packet_id,
                  .topic = each.message->topic,
                  .payload = each.message->payload},
                 peer.wire->out());
  }
  peer.resent_bytes = peer.wire->unsent();
  Refill(*peer.session);
}

Status Broker::OnSubscribe(Peer& peer, const FixedHeader& header, ByteView packet) {
  ASSIGN_OR_RETURN(const mqtt::Subscribe subscribe, ReadSubscribe(header, packet));
  Bytes codes;
  for (const Subscription& each : subscribe.subscriptions) {
    const Status valid = CheckFilter(each.filter, options_.topics);
    if (!valid && valid.error().code == Code::kInvalidArgument) return valid;
    codes.push_back(valid ? Subscribe(*peer.session, each, peer.principal) : kSubscriptionRefused);
  }
  WriteSuback(subscribe.packet_id, codes, peer.wire->out());
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] == kSubscriptionRefused) continue;
    SendRetained(*peer.session, subscribe.subscriptions[i].filter, codes[i]);
  }
  return {};
}

uint8_t Broker::Subscribe(Session& session, const Subscription& wanted,
                          std::string_view principal) {
  const auto known = session.subscriptions.find(wanted.filter);
  const bool full = known == session.subscriptions.end() &&
                    session.subscriptions.size() >= options_.subscriptions_max;
  if (full || !authorizer_.MaySubscribe(principal, wanted.filter)) {
    LogSometimes(LogLevel::kWarn, session.client_id,
                 fmt::format("mqtt client {}: subscription to {} refused: {}", session.client_id,
                             wanted.filter, full ? "too many" : "not authorized"));
    return kSubscriptionRefused;
  }
  const uint8_t granted = std::min<uint8_t>(wanted.qos, 1);
  session.subscriptions.insert_or_assign(std::string(wanted.filter), granted);
  subscriptions_.At(wanted.filter)[&session] = granted;
  return granted;
}

Status Broker::OnUnsubscribe(Peer& peer, const FixedHeader& header, ByteView packet) {
  ASSIGN_OR_RETURN(const Unsubscribe unsubscribe, ReadUnsubscribe(header, packet));
  for (const std::string_view filter : unsubscribe.filters) {
    const auto known = peer.session->subscriptions.find(filter);
    if (known == peer.session->subscriptions.end()) continue;
    peer.session->subscriptions.erase(known);
    Subscribers* subscribers = subscriptions_.Find(filter);
    CHECK(subscribers != nullptr);
    subscribers->erase(peer.session);
    if (subscribers->empty()) subscriptions_.Erase(filter);
  }
  WritePacketId(PacketType::kUnsuback, unsubscribe.packet_id, peer.wire->out());
  return {};
}

void Broker::Drop(Peer& peer, const Error& why, bool clean) {
  if (peer.closing) return;
  peer.closing = true;
  // A QoS 2 message whose PUBREC was never sent is one that the client will send again, and that
  // must then count.
  for (const Peer::Acknowledgement& each : peer.acknowledgements) {
    if (each.type == PacketType::kPubrec && peer.session != nullptr) {
      peer.session->unreleased.erase(each.packet_id);
    }
  }
  peer.acknowledgements.clear();
  const Time now = context_.clock.Now();
  const auto& things = mapper_.router().things();
  for (size_t i = 0; i < peer.speaks_for.size(); ++i) {
    if (peer.speaks_for[i]) context_.events.OnDisconnected(things[i], why, now);
  }
  if (Session* session = std::exchange(peer.session, nullptr)) {
    context_.events.OnDisconnected(peer.client_id, why, now);
    Clients().Set(static_cast<int64_t>(--clients_));
    session->peer = nullptr;
    session->left_at = now_;
    if (session->clean) Forget(*session);
  }
  if (const SharedMessage will = std::exchange(peer.will, nullptr); will && !clean) {
    Map(nullptr, peer.client_id, will->topic, will->payload, will->payload.size());
    if (will->retain) Retain(will->topic, will->payload, will->qos);
    Distribute(will->topic, will->payload, will->qos);
  }
  peer.wire->Close();
}

void Broker::Doom(Peer& peer, Error why) { doomed_.emplace_back(peer.id, std::move(why)); }

void Broker::DropDoomed() {
  while (!doomed_.empty()) {  // A will may doom others; each peer is dropped once.
    auto [id, why] = std::move(doomed_.back());
    doomed_.pop_back();
    Peer* peer = Find(id);
    if (peer == nullptr || peer->closing) continue;
    LogSometimes(LogLevel::kWarn, peer->remote, why.message + "; closed");
    Drop(*peer, why);
  }
}

void Broker::Closed(uint64_t id, std::string_view why) {
  Peer* peer = Find(id);
  if (peer == nullptr) return;
  Drop(*peer, Error{Code::kUnavailable, fmt::format("{}: {}", Name(*peer), why)});
  peers_.erase(id);
  DropDoomed();
}

void Broker::Tick(Steady::time_point now) {
  now_ = now;
  for (auto& [id, peer] : peers_) {
    if (peer->closing) continue;
    const auto silent = now - peer->heard_at;
    if (peer->session == nullptr) {
      if (silent < options_.connect_within) continue;
      CountClosed("no_connect");
      Doom(*peer, Error{Code::kDeadlineExceeded, fmt::format("{}: no CONNECT", Name(*peer))});
    } else if (peer->keep_alive_s != 0 &&
               silent > std::chrono::milliseconds(1500) * peer->keep_alive_s) {
      CountClosed("keep_alive");
      Doom(*peer, Error{Code::kDeadlineExceeded,
                        fmt::format("{}: silent for 1.5 times its keep alive of {} s "
                                    "[MQTT-3.1.2-24]",
                                    Name(*peer), peer->keep_alive_s)});
    }
  }
  DropDoomed();
  std::vector<Session*> expired;
  for (const auto& [id, session] : sessions_) {
    if (session->peer == nullptr && now - session->left_at > options_.session_expiry) {
      expired.push_back(session.get());
    }
  }
  for (Session* session : expired) Forget(*session);
}

}  // namespace penstock::protocols::mqtt
