// The broker against transcripts, on wires of memory and a clock that is told. The tests bear the
// normative statements of the standard that they hold.
#include "protocols/mqtt/broker.h"

#include <gtest/gtest.h>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols::mqtt {
namespace {

using std::chrono::seconds;

class MemoryWire final : public Wire {
 public:
  std::string& out() override { return text; }
  size_t unsent() const override { return stuck ? text.size() : 0; }
  void Close() override { closed = true; }
  std::string text;
  bool closed = false;
  bool stuck = false;  // The client does not read.
};

// What the broker sent, one line a packet: "CONNACK 0", "PUBLISH t=1 q1 r d #3", "PUBACK 7".
std::vector<std::string> Read(MemoryWire& wire) {
  std::vector<std::string> lines;
  std::string_view rest = wire.text;
  while (!rest.empty()) {
    const auto header = ReadHeader(AsBytes(rest), kRemainingLengthMax + 5);
    if (!header || !*header || rest.size() < (*header)->bytes()) {
      lines.push_back("unreadable");
      break;
    }
    const ByteView packet = AsBytes(rest.substr(0, (*header)->bytes()));
    std::string line(PacketName((*header)->type));
    switch ((*header)->type) {
      case PacketType::kConnack: {
        const auto connack = *ReadConnack(**header, packet);
        line += fmt::format(" {}{}", static_cast<int>(connack.code),
                            connack.session_present ? " present" : "");
        break;
      }
      case PacketType::kPublish: {
        const auto publish = *ReadPublish(**header, packet);
        line += fmt::format(" {}={} q{}{}{}", publish.topic, publish.payload, publish.qos,
                            publish.retain ? " retain" : "", publish.dup ? " dup" : "");
        if (publish.qos > 0) line += fmt::format(" #{}", publish.packet_id);
        break;
      }
      case PacketType::kSuback: {
        const auto suback = *ReadSuback(**header, packet);
        line += fmt::format(" {} {}", suback.packet_id, ToHex(suback.codes));
        break;
      }
      case PacketType::kPingresp:
        break;
      default:
        line += fmt::format(" {}", *ReadPacketId(**header, packet));
    }
    lines.push_back(std::move(line));
    rest.remove_prefix((*header)->bytes());
  }
  wire.text.clear();
  return lines;
}

using Lines = std::vector<std::string>;

class Authorizer final : public MqttAuthorizer {
 public:
  Result<std::string> Connect(const Login& login) override {
    if (login.user_name && login.password != "right") return Unauthenticated("wrong password");
    if (login.client_id == "stranger") return PermissionDenied("not enrolled");
    return std::string(login.client_id);
  }
  bool MayPublish(std::string_view, std::string_view topic) override {
    return !topic.starts_with("secret");
  }
  bool MaySubscribe(std::string_view, std::string_view filter) override {
    return !filter.starts_with("secret");
  }
};

class MqttBrokerTest : public testing::Test {
 protected:
  struct Client {
    uint64_t id = 0;
    MemoryWire wire;
  };

  explicit MqttBrokerTest(BrokerOptions options = SmallOptions())
      : broker_(std::move(options), node_.context(), authorizer_,
                [this](std::function<void()> task) { posted_.push_back(std::move(task)); }) {
    things::Form form;
    form.protocol = things::Protocol::kMqtt;
    form.mqtt.topic = "mapped";
    broker_.Use(std::make_shared<TopicRouter>(
        SnapshotOf({PropertyOf(0, "pump-7", "flow", std::move(form))}), ""));
    broker_.Tick(now_);
  }
  static BrokerOptions SmallOptions() {
    BrokerOptions options;
    options.packet_bytes_max = 1000;
    options.outgoing_bytes_max = 1000;
    options.in_flight_max = 2;
    options.queue_messages_max = 3;
    options.retained_messages_max = 3;
    options.clients_max = 5;
    options.sessions_max = 6;
    options.unreleased_max = 4;
    options.subscriptions_max = 3;
    return options;
  }

  std::unique_ptr<Client> Open(std::string remote = "127.0.0.1:4000") {
    auto client = std::make_unique<Client>();
    client->id = broker_.Open(client->wire, std::move(remote));
    return client;
  }
  std::unique_ptr<Client> Connected(std::string_view client_id, bool clean = true,
                                    std::optional<Will> will = {}, uint16_t keep_alive_s = 0) {
    auto client = Open();
    std::string text;
    mqtt::Connect connect;
    connect.clean_session = clean;
    connect.client_id = client_id;
    connect.will = will;
    connect.keep_alive_s = keep_alive_s;
    WriteConnect(connect, text);
    Send(*client, text);
    greeting_ = Read(client->wire);
    connack_ = greeting_.front();
    EXPECT_TRUE(connack_.starts_with("CONNACK 0")) << connack_;
    return client;
  }
  void Send(Client& client, std::string_view text) {
    EXPECT_EQ(broker_.Take(client.id, AsBytes(text), text.size()), text.size());
  }
  void SendHex(Client& client, std::string_view hex) { Send(client, AsText(*FromHex(hex))); }
  void Publish(Client& client, std::string_view topic, std::string_view payload, uint8_t qos = 0,
               uint16_t packet_id = 0, bool retain = false, bool dup = false) {
    std::string text;
    WritePublish({.dup = dup,
                  .retain = retain,
                  .qos = qos,
                  .packet_id = packet_id,
                  .topic = topic,
                  .payload = payload},
                 text);
    Send(client, text);
  }
  void Subscribe(Client& client, std::string_view filter, uint8_t qos = 0) {
    std::string text;
    mqtt::Subscribe subscribe;
    subscribe.packet_id = 1;
    subscribe.subscriptions = {{filter, qos}};
    WriteSubscribe(subscribe, text);
    Send(client, text);
  }
  void Acknowledge(Client& client, PacketType type, uint16_t packet_id) {
    std::string text;
    WritePacketId(type, packet_id, text);
    Send(client, text);
  }
  void RunPosted() {
    for (const auto& task : std::exchange(posted_, {})) task();
  }
  void After(std::chrono::milliseconds time) { broker_.Tick(now_ += time); }

  TestNode node_;
  Authorizer authorizer_;
  std::vector<std::function<void()>> posted_;
  std::chrono::steady_clock::time_point now_{};
  Lines greeting_;
  std::string connack_;
  Broker broker_;
};

TEST_F(MqttBrokerTest, Mqtt_3_1_0_1_TheFirstPacketMustBeConnect) {
  auto client = Open();
  SendHex(*client, "C000");
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_1_0_2_ASecondConnectIsAViolation) {
  auto client = Connected("a");
  std::string text;
  WriteConnect({}, text);
  Send(*client, text);
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_1_2_2_AnotherProtocolLevelGetsCode1) {
  auto five = Open();
  SendHex(*five, "101000044D5154540502003C000003616263");
  EXPECT_EQ(Read(five->wire), Lines{"CONNACK 1"});
  EXPECT_TRUE(five->wire.closed);
  auto three = Open();
  SendHex(*three, "100F00064D51497364700302003C000161");
  EXPECT_EQ(Read(three->wire), Lines{"CONNACK 1"});
}

TEST_F(MqttBrokerTest, Mqtt_3_1_3_8_NoIdentifierWithASessionToKeepGetsCode2) {
  auto client = Open();
  SendHex(*client, "100C00044D5154540400003C0000");
  EXPECT_EQ(Read(client->wire), Lines{"CONNACK 2"});
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_1_3_6_NoIdentifierWithACleanSessionIsGivenOne) {
  Connected("");
  Connected("");
  EXPECT_EQ(broker_.clients(), 2U);
}

TEST_F(MqttBrokerTest, AWrongPasswordGetsCode4AndAStrangerCode5) {
  mqtt::Connect connect;
  connect.client_id = "a";
  connect.user_name = "a";
  connect.password = "wrong";
  std::string text;
  WriteConnect(connect, text);
  auto client = Open();
  Send(*client, text);
  EXPECT_EQ(Read(client->wire), Lines{"CONNACK 4"});

  connect = {};
  connect.client_id = "stranger";
  text.clear();
  WriteConnect(connect, text);
  auto stranger = Open();
  Send(*stranger, text);
  EXPECT_EQ(Read(stranger->wire), Lines{"CONNACK 5"});
  EXPECT_TRUE(stranger->wire.closed);
}

TEST_F(MqttBrokerTest, MoreClientsThanAllowedGetCode3) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(Connected(fmt::format("c{}", i)));
  std::string text;
  WriteConnect({}, text);
  auto client = Open();
  Send(*client, text);
  EXPECT_EQ(Read(client->wire), Lines{"CONNACK 3"});
  broker_.Closed(clients[0]->id, "gone");
  Connected("another");
}

TEST_F(MqttBrokerTest, Mqtt_3_1_4_2_ASecondConnectionTakesTheSessionOver) {
  auto first = Connected("a", false, Will{"gone", "a", 0, false});
  Subscribe(*first, "x");
  Read(first->wire);
  auto witness = Connected("w");
  Subscribe(*witness, "gone");
  Read(witness->wire);

  auto second = Connected("a", false);
  EXPECT_EQ(connack_, "CONNACK 0 present");
  EXPECT_TRUE(first->wire.closed);
  EXPECT_EQ(Read(witness->wire), Lines{"PUBLISH gone=a q0"});
  Publish(*witness, "x", "1");
  EXPECT_EQ(Read(second->wire), Lines{"PUBLISH x=1 q0"});
  EXPECT_TRUE(Read(first->wire).empty());
  EXPECT_EQ(broker_.clients(), 2U);
  EXPECT_EQ(node_.events.Count("taken over"), 1U);
}

TEST_F(MqttBrokerTest, Mqtt_3_1_2_4_ASessionIsResumedWithWhatWaited) {
  auto client = Connected("a", false);
  EXPECT_EQ(connack_, "CONNACK 0");
  Subscribe(*client, "x", 1);
  broker_.Closed(client->id, "cable");
  auto sender = Connected("s");
  Publish(*sender, "x", "0", 0);  // QoS 0 is not kept for the absent.
  for (const auto* payload : {"1", "2", "3", "4"}) Publish(*sender, "x", payload, 1, 9);

  auto again = Connected("a", false);
  // Three were kept, the fourth was one too many; two are in flight at once.
  EXPECT_EQ(greeting_, (Lines{"CONNACK 0 present", "PUBLISH x=1 q1 #1", "PUBLISH x=2 q1 #2"}));
  Acknowledge(*again, PacketType::kPuback, 1);
  Acknowledge(*again, PacketType::kPuback, 2);
  EXPECT_EQ(Read(again->wire), Lines{"PUBLISH x=3 q1 #3"});
}

TEST_F(MqttBrokerTest, Mqtt_4_4_0_1_UnacknowledgedMessagesAreSentAgainWithTheirIdentifier) {
  auto client = Connected("a", false);
  Subscribe(*client, "x", 1);
  Read(client->wire);
  auto sender = Connected("s");
  for (const auto* payload : {"1", "2", "3"}) Publish(*sender, "x", payload, 1, 9);
  EXPECT_EQ(Read(client->wire), (Lines{"PUBLISH x=1 q1 #1", "PUBLISH x=2 q1 #2"}));
  Acknowledge(*client, PacketType::kPuback, 1);
  EXPECT_EQ(Read(client->wire), Lines{"PUBLISH x=3 q1 #3"});
  broker_.Closed(client->id, "cable");

  auto again = Connected("a", false);
  EXPECT_EQ(greeting_,
            (Lines{"CONNACK 0 present", "PUBLISH x=2 q1 dup #2", "PUBLISH x=3 q1 dup #3"}));
}

TEST_F(MqttBrokerTest, Mqtt_3_1_2_6_ACleanSessionForgets) {
  auto client = Connected("a", false);
  Subscribe(*client, "x");
  broker_.Closed(client->id, "cable");
  auto again = Connected("a", true);
  EXPECT_EQ(connack_, "CONNACK 0");
  auto sender = Connected("s");
  Publish(*sender, "x", "1");
  EXPECT_TRUE(Read(again->wire).empty());
}

TEST_F(MqttBrokerTest, Mqtt_3_1_2_8_TheWillIsPublishedWhenTheConnectionBreaks) {
  auto witness = Connected("w");
  Subscribe(*witness, "#");
  Read(witness->wire);
  auto client = Connected("a", true, Will{"gone", "a", 0, true});
  broker_.Closed(client->id, "cable");
  EXPECT_EQ(Read(witness->wire), Lines{"PUBLISH gone=a q0"});
  EXPECT_EQ(broker_.retained(), 1U);
}

TEST_F(MqttBrokerTest, Mqtt_3_14_4_3_TheWillIsForgottenOnDisconnect) {
  auto witness = Connected("w");
  Subscribe(*witness, "#");
  Read(witness->wire);
  auto client = Connected("a", true, Will{"gone", "a", 0, false});
  SendHex(*client, "E000");
  EXPECT_TRUE(client->wire.closed);
  broker_.Closed(client->id, "closed");
  EXPECT_TRUE(Read(witness->wire).empty());
}

TEST_F(MqttBrokerTest, Mqtt_3_1_2_24_SilenceOfOneAndAHalfKeepAlivesCloses) {
  auto client = Connected("a", true, {}, 10);
  After(seconds(14));
  EXPECT_FALSE(client->wire.closed);
  SendHex(*client, "C000");
  EXPECT_EQ(Read(client->wire), Lines{"PINGRESP"});
  After(seconds(14));
  EXPECT_FALSE(client->wire.closed);
  After(seconds(2));
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, WithoutConnectAConnectionIsClosed) {
  auto client = Open();
  After(seconds(9));
  EXPECT_FALSE(client->wire.closed);
  After(seconds(1));
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_8_4_TheGrantIsAtMostQos1AndRefusalsAreSaid) {
  auto client = Connected("a");
  std::string text;
  mqtt::Subscribe subscribe;
  subscribe.packet_id = 7;
  subscribe.subscriptions = {{"a/+", 0}, {"b", 1}, {"c/#", 2}, {"secret/x", 0}, {"d", 0}};
  WriteSubscribe(subscribe, text);
  Send(*client, text);
  // The fourth is not authorized, the fifth one more than a session may have.
  EXPECT_EQ(Read(client->wire), Lines{"SUBACK 7 0001018080"});
}

TEST_F(MqttBrokerTest, AMalformedFilterClosesOnlyItsConnection) {
  auto client = Connected("a");
  auto other = Connected("b");
  Subscribe(*client, "a/#/b");
  EXPECT_TRUE(client->wire.closed);
  EXPECT_FALSE(other->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_3_1_5_ARetainedMessageGreetsALaterSubscriber) {
  auto sender = Connected("s");
  Publish(*sender, "a/1", "old", 0, 0, true);
  Publish(*sender, "a/1", "new", 0, 0, true);
  Publish(*sender, "a/2", "x", 1, 5, true);
  Publish(*sender, "b", "y");
  auto client = Connected("c");
  Subscribe(*client, "a/+", 1);
  EXPECT_EQ(Read(client->wire),
            (Lines{"SUBACK 1 01", "PUBLISH a/1=new q0 retain", "PUBLISH a/2=x q1 retain #1"}));
  // [MQTT-3.3.1-9]: to an established subscription it comes as any other.
  Publish(*sender, "a/1", "newer", 0, 0, true);
  EXPECT_EQ(Read(client->wire), Lines{"PUBLISH a/1=newer q0"});
}

TEST_F(MqttBrokerTest, Mqtt_3_3_1_10_AnEmptyPayloadEndsTheRetainedMessage) {
  auto sender = Connected("s");
  Publish(*sender, "a", "1", 0, 0, true);
  EXPECT_EQ(broker_.retained(), 1U);
  Publish(*sender, "a", "", 0, 0, true);
  EXPECT_EQ(broker_.retained(), 0U);
}

TEST_F(MqttBrokerTest, RetainedMessagesAreBounded) {
  auto sender = Connected("s");
  for (int i = 0; i < 10; ++i) Publish(*sender, fmt::format("t{}", i), "1", 0, 0, true);
  EXPECT_EQ(broker_.retained(), 3U);
  Publish(*sender, "t0", "2", 0, 0, true);  // One that is there may change.
  EXPECT_EQ(broker_.retained(), 3U);
}

TEST_F(MqttBrokerTest, OverlappingSubscriptionsDeliverOnceWithTheHighestQos) {
  auto client = Connected("c");
  Subscribe(*client, "a/#", 0);
  Subscribe(*client, "a/b", 1);
  Read(client->wire);
  auto sender = Connected("s");
  Publish(*sender, "a/b", "1", 1, 5);
  EXPECT_EQ(Read(client->wire), Lines{"PUBLISH a/b=1 q1 #1"});
}

TEST_F(MqttBrokerTest, Mqtt_3_10_4_AfterUnsubscribeNothingComes) {
  auto client = Connected("c");
  Subscribe(*client, "a");
  Read(client->wire);
  SendHex(*client, "A205000A000161");
  EXPECT_EQ(Read(client->wire), Lines{"UNSUBACK 10"});
  auto sender = Connected("s");
  Publish(*sender, "a", "1");
  EXPECT_TRUE(Read(client->wire).empty());
}

TEST_F(MqttBrokerTest, Qos1IsAcknowledgedOnlyWhenItsSamplesAreDurable) {
  node_.sink.Hold();
  auto client = Connected("pump-7");
  Publish(*client, "mapped", "1.5", 1, 7);
  broker_.Flush();
  RunPosted();
  EXPECT_TRUE(Read(client->wire).empty());
  ASSERT_EQ(node_.sink.rows().size(), 1U);
  EXPECT_EQ(node_.sink.rows()[0].value, 1.5);
  node_.sink.Release();
  RunPosted();
  EXPECT_EQ(Read(client->wire), Lines{"PUBACK 7"});
  EXPECT_EQ(node_.events.samples("pump-7"), 1U);
}

TEST_F(MqttBrokerTest, AMessageThatMapsToNoPointIsAcknowledgedAtOnce) {
  auto client = Connected("a");
  Publish(*client, "chatter", "x", 1, 7);
  EXPECT_EQ(Read(client->wire), Lines{"PUBACK 7"});
}

TEST_F(MqttBrokerTest, Mqtt_4_6_0_2_AcknowledgementsKeepTheOrderOfTheirMessages) {
  node_.sink.Hold();
  auto client = Connected("a");
  Publish(*client, "mapped", "1", 1, 7);
  Publish(*client, "chatter", "x", 1, 8);
  broker_.Flush();
  Publish(*client, "mapped", "2", 1, 9);
  EXPECT_TRUE(Read(client->wire).empty());
  node_.sink.Release();
  RunPosted();
  EXPECT_EQ(Read(client->wire), (Lines{"PUBACK 7", "PUBACK 8"}));
  broker_.Flush();
  RunPosted();
  EXPECT_EQ(Read(client->wire), Lines{"PUBACK 9"});
}

TEST_F(MqttBrokerTest, WhatTheLogCannotTakeIsNotAcknowledgedAndTheClientClosed) {
  node_.sink.Hold();
  auto client = Connected("a");
  Publish(*client, "mapped", "1", 1, 7);
  broker_.Flush();
  node_.sink.Release(ResourceExhausted("disk full"));
  RunPosted();
  EXPECT_TRUE(client->wire.closed);
  EXPECT_TRUE(Read(client->wire).empty());
  EXPECT_EQ(node_.events.Count("disk full"), 2U);  // For the client and for pump-7.
}

TEST_F(MqttBrokerTest, AnAnswerForAClientThatLeftIsNoHarm) {
  node_.sink.Hold();
  auto client = Connected("a");
  Publish(*client, "mapped", "1", 1, 7);
  broker_.Flush();
  broker_.Closed(client->id, "cable");
  client.reset();
  node_.sink.Release();
  RunPosted();
}

TEST_F(MqttBrokerTest, Mqtt_4_3_3_Qos2IsTakenOnce) {
  auto witness = Connected("w");
  Subscribe(*witness, "x");
  Read(witness->wire);
  auto client = Connected("a");
  Publish(*client, "x", "1", 2, 7);
  Publish(*client, "x", "1", 2, 7, false, true);
  EXPECT_EQ(Read(client->wire), (Lines{"PUBREC 7", "PUBREC 7"}));
  EXPECT_EQ(Read(witness->wire), Lines{"PUBLISH x=1 q0"});
  Acknowledge(*client, PacketType::kPubrel, 7);
  EXPECT_EQ(Read(client->wire), Lines{"PUBCOMP 7"});
  Publish(*client, "x", "2", 2, 7);
  EXPECT_EQ(Read(witness->wire), Lines{"PUBLISH x=2 q0"});
}

TEST_F(MqttBrokerTest, AQos2MessageThatWasNotStoredCountsWhenItComesAgain) {
  node_.sink.Hold();
  auto client = Connected("a", false);
  Publish(*client, "mapped", "1", 2, 7);
  broker_.Flush();
  broker_.Closed(client->id, "cable");
  node_.sink.Release(Unavailable("disk"));
  RunPosted();
  auto again = Connected("a", false);
  Publish(*again, "mapped", "1", 2, 7, false, true);
  broker_.Flush();
  RunPosted();
  EXPECT_EQ(Read(again->wire), Lines{"PUBREC 7"});
  EXPECT_EQ(node_.sink.rows().size(), 2U);
}

TEST_F(MqttBrokerTest, UnreleasedQos2MessagesAreBounded) {
  auto client = Connected("a");
  for (uint16_t i = 1; i <= 5; ++i) Publish(*client, "x", "1", 2, i);
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, Mqtt_3_3_5_2_AnUnauthorizedPublishClosesTheConnection) {
  auto client = Connected("a");
  Publish(*client, "secret/x", "1");
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, ASlowSubscriberLosesQos0AndThenItsConnection) {
  auto slow = Connected("slow");
  Subscribe(*slow, "x", 1);
  Read(slow->wire);
  slow->wire.stuck = true;
  auto sender = Connected("s");
  const std::string large(600, 'x');
  for (int i = 0; i < 10; ++i) Publish(*sender, "x", large);
  EXPECT_EQ(slow->wire.text.size(), 2 * (large.size() + 6));  // The rest was dropped and counted.
  EXPECT_FALSE(slow->wire.closed);
  for (uint16_t i = 1; i < 4; ++i) Publish(*sender, "x", large, 1, i);
  EXPECT_FALSE(slow->wire.closed);  // Three wait.
  Publish(*sender, "x", large, 1, 4);
  EXPECT_TRUE(slow->wire.closed);
  EXPECT_FALSE(sender->wire.closed);
}

TEST_F(MqttBrokerTest, AClientThatNeverReadsItsAnswersIsClosed) {
  auto client = Connected("a");
  client->wire.stuck = true;
  for (int i = 0; i < 2000 && !client->wire.closed; ++i) SendHex(*client, "C000");
  EXPECT_TRUE(client->wire.closed);
  EXPECT_LE(client->wire.text.size(), 2002U);
}

TEST_F(MqttBrokerTest, TheSessionLongestAwayMakesRoom) {
  for (int i = 0; i < 6; ++i) {
    auto client = Connected(fmt::format("c{}", i), false);
    broker_.Closed(client->id, "cable");
    After(seconds(1));
  }
  Connected("new", false);
  EXPECT_EQ(broker_.sessions(), 6U);
  Connected("c5", false);
  EXPECT_EQ(connack_, "CONNACK 0 present");
  Connected("c0", false);
  EXPECT_EQ(connack_, "CONNACK 0");
}

TEST_F(MqttBrokerTest, ASessionExpires) {
  auto client = Connected("a", false);
  broker_.Closed(client->id, "cable");
  After(seconds(86'401));
  EXPECT_EQ(broker_.sessions(), 0U);
}

TEST_F(MqttBrokerTest, PacketsTornAnywhereAreTheSamePackets) {
  std::string stream;
  mqtt::Connect connect;
  connect.client_id = "pump-7";
  WriteConnect(connect, stream);
  WritePublish({.qos = 1, .packet_id = 7, .topic = "mapped", .payload = "1.5"}, stream);
  WriteEmpty(PacketType::kPingreq, stream);
  auto client = Open();
  std::string kept;
  for (const char c : stream) {
    kept += c;
    kept.erase(0, broker_.Take(client->id, AsBytes(kept), kept.size()));
  }
  EXPECT_TRUE(kept.empty());
  EXPECT_EQ(Read(client->wire), (Lines{"CONNACK 0", "PINGRESP"}));
  broker_.Flush();
  RunPosted();
  EXPECT_EQ(Read(client->wire), Lines{"PUBACK 7"});
}

TEST_F(MqttBrokerTest, BeforeConnectOnlySmallPacketsAreTaken) {
  auto client = Open();
  SendHex(*client, "30FFFFFF7F");
  EXPECT_TRUE(client->wire.closed);
}

TEST_F(MqttBrokerTest, AnotherSnapshotMapsTheNextMessage) {
  auto client = Connected("a");
  things::Form form;
  form.protocol = things::Protocol::kMqtt;
  form.mqtt.topic = "elsewhere";
  Publish(*client, "elsewhere", "1");
  Publish(*client, "elsewhere", "1.5");
  EXPECT_EQ(node_.events.Count("undescribed a elsewhere"), 1U);  // Told once.
  broker_.Use(std::make_shared<TopicRouter>(
      SnapshotOf({PropertyOf(3, "pump-8", "flow", std::move(form))}), ""));
  Publish(*client, "elsewhere", "2");
  broker_.Flush();
  ASSERT_EQ(node_.sink.rows().size(), 1U);
  EXPECT_EQ(node_.sink.rows()[0].point, PointId{3});
  EXPECT_EQ(node_.events.Count("up pump-8 mqtt a (127.0.0.1:4000)"), 1U);
  Publish(*client, "nowhere", "3");
  EXPECT_EQ(node_.events.Count("undescribed a nowhere"), 1U);
}

}  // namespace
}  // namespace penstock::protocols::mqtt
