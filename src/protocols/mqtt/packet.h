// MQTT 3.1.1 on the wire (OASIS Standard, 29 October 2014), apart from any socket. Packets are read
// in place: every text and payload is a view into the caller's bytes. Errors say the offset in the
// packet and the rule broken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::protocols::mqtt {

enum class PacketType : uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
};
std::string_view PacketName(PacketType type);  // "PUBLISH"

enum class ConnectCode : uint8_t {
  kAccepted = 0,
  kUnacceptableProtocolVersion = 1,
  kIdentifierRejected = 2,
  kServerUnavailable = 3,
  kBadUserNameOrPassword = 4,
  kNotAuthorized = 5,
};

inline constexpr uint8_t kSubscriptionRefused = 0x80;
inline constexpr size_t kRemainingLengthMax = 268'435'455;

struct FixedHeader {
  PacketType type = PacketType::kConnect;
  uint8_t flags = 0;
  size_t header_bytes = 0;  // 2 to 5.
  size_t body_bytes = 0;
  size_t bytes() const { return header_bytes + body_bytes; }
};
// Nothing while the header is incomplete. kResourceExhausted when it announces more than
// `packet_bytes_max`: known from the first bytes, before anything was allocated for the rest.
Result<std::optional<FixedHeader>> ReadHeader(ByteView bytes, size_t packet_bytes_max);

struct Will {
  std::string_view topic, payload;
  uint8_t qos = 0;
  bool retain = false;
};
struct Connect {
  std::string_view protocol;  // "MQTT"; "MQIsdp" for 3.1.
  uint8_t level = 4;          // When not 4 or not "MQTT", nothing below was read.
  bool clean_session = true;
  uint16_t keep_alive_s = 0;
  std::string_view client_id;
  std::optional<Will> will;
  std::optional<std::string_view> user_name, password;
  bool supported() const { return protocol == "MQTT" && level == 4; }
};
struct Publish {
  bool dup = false, retain = false;
  uint8_t qos = 0;
  uint16_t packet_id = 0;  // 0 with QoS 0.
  std::string_view topic, payload;
};
struct Subscription {
  std::string_view filter;
  uint8_t qos = 0;
};
struct Subscribe {
  uint16_t packet_id = 0;
  std::vector<Subscription> subscriptions;  // At least one.
};
struct Unsubscribe {
  uint16_t packet_id = 0;
  std::vector<std::string_view> filters;  // At least one.
};
struct Connack {
  bool session_present = false;
  ConnectCode code = ConnectCode::kAccepted;
};
struct Suback {
  uint16_t packet_id = 0;
  ByteView codes;
};

// `packet` is one whole packet, fixed header included.
Result<Connect> ReadConnect(const FixedHeader& header, ByteView packet);
Result<Publish> ReadPublish(const FixedHeader& header, ByteView packet);
Result<Subscribe> ReadSubscribe(const FixedHeader& header, ByteView packet);
Result<Unsubscribe> ReadUnsubscribe(const FixedHeader& header, ByteView packet);
Result<Connack> ReadConnack(const FixedHeader& header, ByteView packet);
Result<Suback> ReadSuback(const FixedHeader& header, ByteView packet);
// PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK: a packet identifier and nothing else.
Result<uint16_t> ReadPacketId(const FixedHeader& header, ByteView packet);
// PINGREQ, PINGRESP, DISCONNECT.
Status ReadEmpty(const FixedHeader& header, ByteView packet);

// Each appends one packet to `out`.
void WriteConnect(const Connect& connect, std::string& out);
void WriteConnack(const Connack& connack, std::string& out);
void WritePublish(const Publish& publish, std::string& out);
void WriteSubscribe(const Subscribe& subscribe, std::string& out);
void WriteSuback(uint16_t packet_id, ByteView codes, std::string& out);
void WriteUnsubscribe(const Unsubscribe& unsubscribe, std::string& out);
void WritePacketId(PacketType type, uint16_t packet_id, std::string& out);
void WriteEmpty(PacketType type, std::string& out);

}  // namespace penstock::protocols::mqtt
