// Wire transcripts: the packets of the standard, byte by byte.
#include "protocols/mqtt/packet.h"

#include <gtest/gtest.h>

#include "protocols/driver/testing_hex.h"

namespace penstock::protocols::mqtt {
namespace {

FixedHeader HeaderOf(ByteView packet) {
  const auto header = ReadHeader(packet, kRemainingLengthMax + 5);
  EXPECT_TRUE(header && *header);
  return **header;
}

template <typename Read>
auto Parse(const Bytes& packet, Read read) {
  return read(HeaderOf(packet), packet);
}

std::string HexOf(const std::string& text) { return ToHex(AsBytes(text)); }

TEST(MqttPacketTest, ReadsAConnectWithEverything) {
  const Bytes packet =
      Hex("10 2B 0004 4D515454 04 F6 003C 0003 646576 0004 77696C6C 0003 6F6666 0004 75736572 0005 "
          "7061737332");
  Bytes whole = packet;
  whole[1] = static_cast<uint8_t>(whole.size() - 2);
  const auto connect = Parse(whole, ReadConnect);
  ASSERT_TRUE(connect) << connect.error().ToString();
  EXPECT_TRUE(connect->supported());
  EXPECT_TRUE(connect->clean_session);
  EXPECT_EQ(connect->keep_alive_s, 60);
  EXPECT_EQ(connect->client_id, "dev");
  ASSERT_TRUE(connect->will);
  EXPECT_EQ(connect->will->topic, "will");
  EXPECT_EQ(connect->will->payload, "off");
  EXPECT_EQ(connect->will->qos, 2);
  EXPECT_TRUE(connect->will->retain);
  EXPECT_EQ(connect->user_name, "user");
  EXPECT_EQ(connect->password, "pass2");

  std::string written;
  WriteConnect(*connect, written);
  EXPECT_EQ(HexOf(written), ToHex(whole));
}

TEST(MqttPacketTest, AnotherProtocolLevelIsReadNoFurther) {
  // An MQTT 5 CONNECT: level 5, then properties that 3.1.1 does not know.
  const Bytes level_5 = Hex("10 10 0004 4D515454 05 02 003C 00 0003 616263");
  const auto five = Parse(level_5, ReadConnect);
  ASSERT_TRUE(five);
  EXPECT_EQ(five->level, 5);
  EXPECT_FALSE(five->supported());
  const Bytes level_3 = Hex("10 0F 0006 4D5149736470 03 02 003C 0001 61");
  const auto three = Parse(level_3, ReadConnect);
  ASSERT_TRUE(three);
  EXPECT_FALSE(three->supported());
}

TEST(MqttPacketTest, ReadsAndWritesPublish) {
  const Bytes packet = Hex("3B 0A 0003 612F62 1234 010203");
  const auto publish = Parse(packet, ReadPublish);
  ASSERT_TRUE(publish) << publish.error().ToString();
  EXPECT_TRUE(publish->dup);
  EXPECT_TRUE(publish->retain);
  EXPECT_EQ(publish->qos, 1);
  EXPECT_EQ(publish->topic, "a/b");
  EXPECT_EQ(publish->packet_id, 0x1234);
  EXPECT_EQ(publish->payload, "\x01\x02\x03");
  EXPECT_EQ(reinterpret_cast<const uint8_t*>(publish->payload.data()), packet.data() + 9)
      << "the payload is read in place";
  std::string written;
  WritePublish(*publish, written);
  EXPECT_EQ(HexOf(written), ToHex(packet));
}

TEST(MqttPacketTest, ReadsSubscribeAndUnsubscribe) {
  const Bytes first = Hex("82 0E 000A 0003 612F62 01 0003 632F64 02");
  const auto subscribe = Parse(first, ReadSubscribe);
  ASSERT_TRUE(subscribe);
  ASSERT_EQ(subscribe->subscriptions.size(), 2U);
  EXPECT_EQ(subscribe->subscriptions[1].filter, "c/d");
  EXPECT_EQ(subscribe->subscriptions[1].qos, 2);
  const Bytes second = Hex("A2 0C 000A 0003 612F62 0003 632F64");
  const auto unsubscribe = Parse(second, ReadUnsubscribe);
  ASSERT_TRUE(unsubscribe);
  EXPECT_EQ(unsubscribe->filters, (std::vector<std::string_view>{"a/b", "c/d"}));
}

TEST(MqttPacketTest, WritesTheAnswers) {
  std::string out;
  WriteConnack({.session_present = true}, out);
  WriteSuback(10, Hex("00 01 80"), out);
  WritePacketId(PacketType::kPuback, 0x1234, out);
  WritePacketId(PacketType::kPubrel, 7, out);
  WriteEmpty(PacketType::kPingresp, out);
  EXPECT_EQ(HexOf(out), ToHex(Hex("20020100 9005000A000180 40021234 62020007 D000")));
}

TEST(MqttPacketTest, RemainingLengthsOfTheStandardsTable) {
  const auto body = [](std::string_view hex) { return HeaderOf(Hex(hex)).body_bytes; };
  EXPECT_EQ(body("30 00"), 0U);
  EXPECT_EQ(body("30 7F"), 127U);
  EXPECT_EQ(body("30 8001"), 128U);
  EXPECT_EQ(body("30 FF7F"), 16383U);
  EXPECT_EQ(body("30 808001"), 16384U);
  EXPECT_EQ(body("30 FFFFFF7F"), kRemainingLengthMax);
  EXPECT_FALSE(ReadHeader(Hex("30 FFFFFFFF"), kRemainingLengthMax + 5));
}

TEST(MqttPacketTest, AnIncompleteHeaderWaits) {
  for (const std::string_view hex : {"", "30", "30 80", "30 8080"}) {
    const auto header = ReadHeader(Hex(hex), 1000);
    ASSERT_TRUE(header) << hex;
    EXPECT_FALSE(*header) << hex;
  }
}

TEST(MqttPacketTest, AnAnnouncementBeyondTheLimitIsRefusedAtOnce) {
  const auto header = ReadHeader(Hex("30 FFFFFF7F"), 1 << 20);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, Code::kResourceExhausted);
  EXPECT_EQ(header.error().message, "PUBLISH announces 268435460 bytes, at most 1048576 are taken");
}

struct Wrong {
  std::string_view why, hex, rule;
};

TEST(MqttPacketTest, EachBrokenRuleIsNamed) {
  const Wrong rows[] = {
      {"reserved flags", "83 00", "[MQTT-2.2.2-2]"},
      {"packet type 0", "00 00", "packet type 0"},
      {"packet type 15", "F0 00", "packet type 15"},
      {"QoS 3", "36 05 0001 61 0001", "[MQTT-3.3.1-4]"},
      {"DUP with QoS 0", "38 03 0001 61", "[MQTT-3.3.1-2]"},
      {"packet identifier 0", "32 05 0001 61 0000", "[MQTT-2.3.1-1]"},
      {"wildcard", "30 03 0001 23", "[MQTT-3.3.2-2]"},
      {"empty topic", "30 02 0000", "[MQTT-4.7.3-1]"},
      {"not UTF-8", "30 04 0002 C328", "[MQTT-1.5.3]"},
      {"a surrogate", "30 05 0003 EDA080", "[MQTT-1.5.3]"},
      {"U+0000", "30 03 0001 00", "[MQTT-1.5.3]"},
      {"topic longer than the packet", "30 03 00FF 61", "are left"},
      {"no packet identifier", "32 03 0001 61", "no packet identifier"},
      {"SUBSCRIBE without a filter", "82 02 0001", "no topic filter"},
      {"SUBSCRIBE with QoS 3", "82 06 0001 0001 61 03", "[MQTT-3.8.3-4]"},
      {"UNSUBSCRIBE without a filter", "A2 02 0001", "no topic filter"},
      {"PUBACK too long", "40 03 0001 00", "1 bytes too many"},
      {"PINGREQ with a body", "C0 01 00", "1 bytes too many"},
      {"another protocol", "10 0C 0004 48545450 04 02 003C 0000", "[MQTT-3.1.2-1]"},
      {"reserved connect flag", "10 0C 0004 4D515454 04 03 003C 0000", "[MQTT-3.1.2-3]"},
      {"will QoS without a will", "10 0C 0004 4D515454 04 0A 003C 0000", "[MQTT-3.1.2-11]"},
      {"will QoS 3", "10 0C 0004 4D515454 04 1E 003C 0000", "[MQTT-3.1.2-14]"},
      {"password alone", "10 0C 0004 4D515454 04 42 003C 0000", "[MQTT-3.1.2-22]"},
      {"bytes behind CONNECT", "10 0D 0004 4D515454 04 02 003C 0000 00", "1 bytes too many"},
  };
  for (const Wrong& row : rows) {
    const Bytes packet = Hex(row.hex);
    const auto header = ReadHeader(packet, 1000);
    Status status;
    if (!header) {
      status = std::unexpected(header.error());
    } else {
      ASSERT_TRUE(*header) << row.why;
      const auto check = [&](const auto& result) {
        if (!result) status = std::unexpected(result.error());
      };
      switch ((*header)->type) {
        case PacketType::kConnect:
          check(ReadConnect(**header, packet));
          break;
        case PacketType::kPublish:
          check(ReadPublish(**header, packet));
          break;
        case PacketType::kSubscribe:
          check(ReadSubscribe(**header, packet));
          break;
        case PacketType::kUnsubscribe:
          check(ReadUnsubscribe(**header, packet));
          break;
        case PacketType::kPuback:
          check(ReadPacketId(**header, packet));
          break;
        default:
          check(ReadEmpty(**header, packet));
      }
    }
    ASSERT_FALSE(status) << row.why;
    EXPECT_NE(status.error().message.find(row.rule), std::string::npos)
        << row.why << ": " << status.error().message;
  }
}

}  // namespace
}  // namespace penstock::protocols::mqtt
