// Reading: a cursor with a bound walks each packet once; every field is checked for being there
// before it is looked at, and the first broken rule ends the packet with its offset and its number
// in the standard. A rule that the standard leaves to the receiver is read strictly where it keeps
// control characters out of topics and client ids
// ([MQTT-1.5.3] permits it), because both end up in logs and in file names of the console.
//
// Writing: straight into the connection's outgoing text, lengths computed beforehand, no temporary.
#include "protocols/mqtt/packet.h"

#include <algorithm>

#include <simdjson.h>

#include "base/check.h"

namespace penstock::protocols::mqtt {
namespace {

struct PacketRow {
  std::string_view name;
  uint8_t flags;  // What the fixed header's lower bits must be; PUBLISH has its own.
};
constexpr PacketRow kPackets[16] = {
    {"reserved", 0},  {"CONNECT", 0},  {"CONNACK", 0},     {"PUBLISH", 0},
    {"PUBACK", 0},    {"PUBREC", 0},   {"PUBREL", 2},      {"PUBCOMP", 0},
    {"SUBSCRIBE", 2}, {"SUBACK", 0},   {"UNSUBSCRIBE", 2}, {"UNSUBACK", 0},
    {"PINGREQ", 0},   {"PINGRESP", 0}, {"DISCONNECT", 0},  {"reserved", 0},
};
const PacketRow& Row(PacketType type) { return kPackets[static_cast<uint8_t>(type) & 15]; }

class Cursor {
 public:
  Cursor(const FixedHeader& header, ByteView packet)
      : name_(Row(header.type).name), bytes_(packet), at_(header.header_bytes) {
    CHECK(packet.size() == header.bytes());
  }

  template <typename... Args>
  std::unexpected<Error> Malformed(fmt::format_string<Args...> format, Args&&... args) const {
    return InvalidArgument("{} malformed at byte {}: {}", name_, at_,
                           fmt::format(format, std::forward<Args>(args)...));
  }

  size_t left() const { return bytes_.size() - at_; }

  Result<uint8_t> Byte(std::string_view what) {
    if (left() < 1) return Malformed("no {}", what);
    return bytes_[at_++];
  }
  Result<uint16_t> Word(std::string_view what) {
    if (left() < 2) return Malformed("no {}", what);
    const auto word = static_cast<uint16_t>(bytes_[at_] << 8 | bytes_[at_ + 1]);
    at_ += 2;
    return word;
  }
  Result<std::string_view> Binary(std::string_view what) {
    if (left() < 2) return Malformed("no {}", what);
    const size_t size = static_cast<size_t>(bytes_[at_] << 8 | bytes_[at_ + 1]);
    if (left() - 2 < size) return Malformed("{} of {} bytes, {} are left", what, size, left() - 2);
    const auto text = AsText(bytes_.subspan(at_ + 2, size));
    at_ += 2 + size;
    return text;
  }
  // UTF-8 without control characters [MQTT-1.5.3-1, 1.5.3-2].
  Result<std::string_view> Text(std::string_view what) {
    const size_t begin = at_;
    ASSIGN_OR_RETURN(const std::string_view text, Binary(what));
    const bool control = std::any_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    if (control || !simdjson::validate_utf8(text.data(), text.size())) {
      at_ = begin;
      return Malformed("{} {} [MQTT-1.5.3]", what,
                       control ? "has a control character" : "is not UTF-8");
    }
    return text;
  }
  std::string_view Rest() {
    const auto text = AsText(bytes_.subspan(at_));
    at_ = bytes_.size();
    return text;
  }
  ByteView RestBytes() { return AsBytes(Rest()); }
  Result<uint16_t> PacketId() {
    ASSIGN_OR_RETURN(const uint16_t id, Word("packet identifier"));
    if (id == 0) {
      at_ -= 2;
      return Malformed("packet identifier 0 [MQTT-2.3.1-1]");
    }
    return id;
  }
  Status End() const {
    if (left() != 0) return Malformed("{} bytes too many", left());
    return {};
  }

 private:
  std::string_view name_;
  ByteView bytes_;
  size_t at_;
};

Result<Will> ReadWill(Cursor& cursor, uint8_t flags) {
  Will will{.topic = {},
            .payload = {},
            .qos = static_cast<uint8_t>(flags >> 3 & 3),
            .retain = (flags & 0x20) != 0};
  if (will.qos == 3) return cursor.Malformed("will QoS 3 [MQTT-3.1.2-14]");
  ASSIGN_OR_RETURN(will.topic, cursor.Text("will topic"));
  ASSIGN_OR_RETURN(will.payload, cursor.Binary("will message"));
  return will;
}

void PutWord(uint16_t word, std::string& out) {
  out += static_cast<char>(word >> 8);
  out += static_cast<char>(word);
}
void PutText(std::string_view text, std::string& out) {
  CHECK(text.size() <= 0xFFFF);
  PutWord(static_cast<uint16_t>(text.size()), out);
  out += text;
}
void PutHeader(PacketType type, uint8_t flags, size_t body, std::string& out) {
  CHECK(body <= kRemainingLengthMax);
  out += static_cast<char>(static_cast<uint8_t>(type) << 4 | flags);
  do {
    const auto low = static_cast<uint8_t>(body % 128);
    body /= 128;
    out += static_cast<char>(body > 0 ? low | 0x80 : low);
  } while (body > 0);
}

}  // namespace

std::string_view PacketName(PacketType type) { return Row(type).name; }

Result<std::optional<FixedHeader>> ReadHeader(ByteView bytes, size_t packet_bytes_max) {
  if (bytes.empty()) return std::nullopt;
  FixedHeader header{.type = static_cast<PacketType>(bytes[0] >> 4),
                     .flags = static_cast<uint8_t>(bytes[0] & 15)};
  const PacketRow& row = Row(header.type);
  if (row.name == "reserved") {
    return InvalidArgument("no MQTT: packet type {} at byte 0", bytes[0] >> 4);
  }
  if (header.type != PacketType::kPublish && header.flags != row.flags) {
    return InvalidArgument("{} malformed at byte 0: flags {} instead of {} [MQTT-2.2.2-2]",
                           row.name, header.flags, row.flags);
  }
  size_t shift = 0;
  for (size_t at = 1;; ++at, shift += 7) {
    if (at > 4) {
      return InvalidArgument("{} malformed at byte 4: remaining length of more than 4 bytes",
                             row.name);
    }
    if (at >= bytes.size()) return std::nullopt;
    header.body_bytes |= static_cast<size_t>(bytes[at] & 0x7F) << shift;
    header.header_bytes = at + 1;
    if ((bytes[at] & 0x80) == 0) break;
  }
  if (header.bytes() > packet_bytes_max) {
    return ResourceExhausted("{} announces {} bytes, at most {} are taken", row.name,
                             header.bytes(), packet_bytes_max);
  }
  return header;
}

Result<Connect> ReadConnect(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  Connect connect;
  ASSIGN_OR_RETURN(connect.protocol, cursor.Text("protocol name"));
  if (connect.protocol != "MQTT" && connect.protocol != "MQIsdp") {
    return cursor.Malformed("protocol name is not MQTT [MQTT-3.1.2-1]");
  }
  ASSIGN_OR_RETURN(connect.level, cursor.Byte("protocol level"));
  if (!connect.supported()) return connect;

  ASSIGN_OR_RETURN(const uint8_t flags, cursor.Byte("connect flags"));
  const bool has_will = (flags & 0x04) != 0, has_user = (flags & 0x80) != 0,
             has_password = (flags & 0x40) != 0;
  if ((flags & 0x01) != 0) return cursor.Malformed("reserved flag is set [MQTT-3.1.2-3]");
  if (!has_will && (flags & 0x38) != 0) {
    return cursor.Malformed("will QoS or retain without a will [MQTT-3.1.2-11]");
  }
  if (has_password && !has_user) {
    return cursor.Malformed("password without a user name [MQTT-3.1.2-22]");
  }
  connect.clean_session = (flags & 0x02) != 0;
  ASSIGN_OR_RETURN(connect.keep_alive_s, cursor.Word("keep alive"));
  ASSIGN_OR_RETURN(connect.client_id, cursor.Text("client identifier"));
  if (has_will) {
    ASSIGN_OR_RETURN(connect.will, ReadWill(cursor, flags));
  }
  if (has_user) {
    ASSIGN_OR_RETURN(connect.user_name, cursor.Text("user name"));
  }
  if (has_password) {
    ASSIGN_OR_RETURN(connect.password, cursor.Binary("password"));
  }
  TRY(cursor.End());
  return connect;
}

Result<Publish> ReadPublish(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  Publish publish{.dup = (header.flags & 8) != 0,
                  .retain = (header.flags & 1) != 0,
                  .qos = static_cast<uint8_t>(header.flags >> 1 & 3),
                  .packet_id = 0,
                  .topic = {},
                  .payload = {}};
  if (publish.qos == 3) return cursor.Malformed("QoS 3 [MQTT-3.3.1-4]");
  if (publish.dup && publish.qos == 0) return cursor.Malformed("DUP with QoS 0 [MQTT-3.3.1-2]");
  ASSIGN_OR_RETURN(publish.topic, cursor.Text("topic"));
  if (publish.topic.empty()) return cursor.Malformed("topic of no characters [MQTT-4.7.3-1]");
  if (publish.topic.find_first_of("+#") != publish.topic.npos) {
    return cursor.Malformed("wildcard in the topic of a PUBLISH [MQTT-3.3.2-2]");
  }
  if (publish.qos > 0) {
    ASSIGN_OR_RETURN(publish.packet_id, cursor.PacketId());
  }
  publish.payload = cursor.Rest();
  return publish;
}

Result<Subscribe> ReadSubscribe(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  Subscribe subscribe;
  ASSIGN_OR_RETURN(subscribe.packet_id, cursor.PacketId());
  do {
    Subscription each;
    ASSIGN_OR_RETURN(each.filter, cursor.Text("topic filter"));
    ASSIGN_OR_RETURN(each.qos, cursor.Byte("requested QoS"));
    if (each.qos > 2) return cursor.Malformed("requested QoS {} [MQTT-3.8.3-4]", each.qos);
    subscribe.subscriptions.push_back(each);
  } while (cursor.left() > 0);
  return subscribe;
}

Result<Unsubscribe> ReadUnsubscribe(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  Unsubscribe unsubscribe;
  ASSIGN_OR_RETURN(unsubscribe.packet_id, cursor.PacketId());
  do {
    ASSIGN_OR_RETURN(const std::string_view filter, cursor.Text("topic filter"));
    unsubscribe.filters.push_back(filter);
  } while (cursor.left() > 0);
  return unsubscribe;
}

Result<Connack> ReadConnack(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  ASSIGN_OR_RETURN(const uint8_t flags, cursor.Byte("acknowledge flags"));
  if (flags > 1) return cursor.Malformed("acknowledge flags {}", flags);
  ASSIGN_OR_RETURN(const uint8_t code, cursor.Byte("return code"));
  if (code > 5) return cursor.Malformed("return code {}", code);
  TRY(cursor.End());
  return Connack{.session_present = flags == 1, .code = static_cast<ConnectCode>(code)};
}

Result<Suback> ReadSuback(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  Suback suback;
  ASSIGN_OR_RETURN(suback.packet_id, cursor.PacketId());
  if (cursor.left() == 0) return cursor.Malformed("no return code");
  suback.codes = cursor.RestBytes();
  return suback;
}

Result<uint16_t> ReadPacketId(const FixedHeader& header, ByteView packet) {
  Cursor cursor(header, packet);
  ASSIGN_OR_RETURN(const uint16_t id, cursor.PacketId());
  TRY(cursor.End());
  return id;
}

Status ReadEmpty(const FixedHeader& header, ByteView packet) {
  return Cursor(header, packet).End();
}

void WriteConnect(const Connect& connect, std::string& out) {
  uint8_t flags = connect.clean_session ? 0x02 : 0;
  size_t body = 10 + 2 + connect.client_id.size();
  if (connect.will) {
    flags |=
        static_cast<uint8_t>(0x04 | connect.will->qos << 3 | (connect.will->retain ? 0x20 : 0));
    body += 4 + connect.will->topic.size() + connect.will->payload.size();
  }
  if (connect.user_name) {
    flags |= 0x80;
    body += 2 + connect.user_name->size();
  }
  if (connect.password) {
    flags |= 0x40;
    body += 2 + connect.password->size();
  }
  PutHeader(PacketType::kConnect, 0, body, out);
  PutText("MQTT", out);
  out += static_cast<char>(connect.level);
  out += static_cast<char>(flags);
  PutWord(connect.keep_alive_s, out);
  PutText(connect.client_id, out);
  if (connect.will) {
    PutText(connect.will->topic, out);
    PutText(connect.will->payload, out);
  }
  if (connect.user_name) PutText(*connect.user_name, out);
  if (connect.password) PutText(*connect.password, out);
}

void WriteConnack(const Connack& connack, std::string& out) {
  PutHeader(PacketType::kConnack, 0, 2, out);
  out += static_cast<char>(connack.session_present ? 1 : 0);
  out += static_cast<char>(connack.code);
}

void WritePublish(const Publish& publish, std::string& out) {
  const size_t body = 2 + publish.topic.size() + (publish.qos > 0 ? 2 : 0) + publish.payload.size();
  const auto flags =
      static_cast<uint8_t>((publish.dup ? 8 : 0) | publish.qos << 1 | (publish.retain ? 1 : 0));
  PutHeader(PacketType::kPublish, flags, body, out);
  PutText(publish.topic, out);
  if (publish.qos > 0) PutWord(publish.packet_id, out);
  out += publish.payload;
}

void WriteSubscribe(const Subscribe& subscribe, std::string& out) {
  size_t body = 2;
  for (const Subscription& each : subscribe.subscriptions) body += 3 + each.filter.size();
  PutHeader(PacketType::kSubscribe, 2, body, out);
  PutWord(subscribe.packet_id, out);
  for (const Subscription& each : subscribe.subscriptions) {
    PutText(each.filter, out);
    out += static_cast<char>(each.qos);
  }
}

void WriteSuback(uint16_t packet_id, ByteView codes, std::string& out) {
  PutHeader(PacketType::kSuback, 0, 2 + codes.size(), out);
  PutWord(packet_id, out);
  out += AsText(codes);
}

void WriteUnsubscribe(const Unsubscribe& unsubscribe, std::string& out) {
  size_t body = 2;
  for (const std::string_view filter : unsubscribe.filters) body += 2 + filter.size();
  PutHeader(PacketType::kUnsubscribe, 2, body, out);
  PutWord(unsubscribe.packet_id, out);
  for (const std::string_view filter : unsubscribe.filters) PutText(filter, out);
}

void WritePacketId(PacketType type, uint16_t packet_id, std::string& out) {
  PutHeader(type, Row(type).flags, 2, out);
  PutWord(packet_id, out);
}

void WriteEmpty(PacketType type, std::string& out) { PutHeader(type, 0, 0, out); }

}  // namespace penstock::protocols::mqtt
