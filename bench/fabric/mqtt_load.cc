// A message is {"ts": epoch ms, "value": two decimals} on hosts/host_NNNN/usage_user: what a small
// device sends. A connection owns its topics, so that each topic's times rise. QoS 0 has no answer;
// the last message goes with QoS 1, and since a connection keeps its order, its PUBACK says that
// all before it were read.
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "messages.h"
#include "wire.h"

namespace penstock::bench {
namespace {

constexpr size_t kSendBytes = 32 << 10;

struct Message {
  char topic[48];
  char payload[64];
  size_t topic_size = 0, payload_size = 0;
};

void Fill(Message& message, const MessageLoad& load, int connection, uint64_t number) {
  const int own = load.topics / load.connections;
  const int topic = connection * own + static_cast<int>(number % static_cast<uint64_t>(own));
  const int64_t ms =
      load.start_us / 1000 + static_cast<int64_t>(number / static_cast<uint64_t>(own)) * 10;
  const uint64_t draw = (number + 1) * 0x9e3779b97f4a7c15ULL >> 40;
  message.topic_size = static_cast<size_t>(
      std::snprintf(message.topic, sizeof message.topic, "hosts/host_%04d/usage_user", topic));
  message.payload_size = static_cast<size_t>(std::snprintf(message.payload, sizeof message.payload,
                                                           "{\"ts\":%ld,\"value\":%lu.%02lu}", ms,
                                                           draw / 100 % 100, draw % 100));
}

void PutShort(std::string& out, size_t number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number);
}

std::string ConnectPacket(int connection) {
  const std::string name = "fabric-" + std::to_string(connection);
  std::string body;
  PutShort(body, 4);
  body += "MQTT";
  body += '\x04';  // Protocol level of 3.1.1.
  body += '\x02';  // Clean session.
  PutShort(body, 60);
  PutShort(body, name.size());
  body += name;
  return std::string("\x10") + static_cast<char>(body.size()) + body;
}

void PutPublish(std::string& out, const Message& message, int qos, uint16_t id) {
  const size_t length = 2 + message.topic_size + (qos > 0 ? 2 : 0) + message.payload_size;
  out += static_cast<char>(0x30 | qos << 1);
  if (length > 127) Die("a message longer than its one byte of length can say");
  out += static_cast<char>(length);
  PutShort(out, message.topic_size);
  out.append(message.topic, message.topic_size);
  if (qos > 0) PutShort(out, id);
  out.append(message.payload, message.payload_size);
}

// Counts PUBACKs (four bytes each: 0x40 2 id id) in what comes.
class Acks {
 public:
  explicit Acks(Connection& connection) : connection_(connection) {}
  uint64_t Wait() {  // At least some bytes.
    const std::string_view got = connection_.Receive();
    if (got.empty()) Die("the broker closed the connection");
    bytes_ += got.size();
    return bytes_ / 4;
  }

 private:
  Connection& connection_;
  uint64_t bytes_ = 0;
};

void PublishOver(const MessageLoad& load, int connection, uint64_t messages,
                 std::atomic<int>& ready) {
  Connection wire(load.port);
  wire.Send(ConnectPacket(connection));
  if (const std::string_view hello = wire.Receive(); hello.size() != 4 || hello[3] != 0)
    Die("the broker refused the connection");
  ++ready;
  while (ready < load.connections) std::this_thread::yield();
  Acks acks(wire);
  std::string out;
  Message message;
  uint64_t acknowledged = 0, expected = 0;
  for (uint64_t number = 0; number < messages; ++number) {
    const bool last = number + 1 == messages;
    const int qos = last ? 1 : load.qos;
    Fill(message, load, connection, number);
    PutPublish(out, message, qos, static_cast<uint16_t>(number % 65'535 + 1));
    if (qos > 0) ++expected;
    const bool window_full =
        load.qos > 0 && expected - acknowledged >= static_cast<uint64_t>(load.window);
    if (last || out.size() >= kSendBytes || window_full) {
      wire.Send(out);
      out.clear();
    }
    while (expected - acknowledged >= static_cast<uint64_t>(load.window))
      acknowledged = acks.Wait();
  }
  while (acknowledged < expected) acknowledged = acks.Wait();
}

// Takes everything that is published and acknowledges it, as the store behind a broker does.
class Subscriber {
 public:
  explicit Subscriber(const MessageLoad& load) : wire_(load.port) {
    wire_.Send(ConnectPacket(999));
    if (const std::string_view hello = wire_.Receive(); hello.size() != 4 || hello[3] != 0)
      Die("the broker refused the subscriber");
    std::string body;
    PutShort(body, 1);
    PutShort(body, 7);
    body += "hosts/#";
    body += static_cast<char>(load.qos);
    wire_.Send(std::string("\x82") + static_cast<char>(body.size()) + body);
    if (wire_.Receive().size() != 5) Die("the broker refused the subscription");
  }

  // Until so many came, or nothing for five seconds.
  uint64_t TakeAll(uint64_t messages) {
    uint64_t taken = 0;
    std::string waiting, acks;
    while (taken < messages) {
      pollfd ready{wire_.fd(), POLLIN, 0};
      if (poll(&ready, 1, 5000) == 0) break;
      const std::string_view got = wire_.Receive();
      if (got.empty()) break;
      waiting += got;
      size_t at = 0;
      // Packets of ours are shorter than 128 bytes: one byte of length.
      while (waiting.size() - at >= 2) {
        const auto type = static_cast<uint8_t>(waiting[at]);
        const size_t end = at + 2 + static_cast<uint8_t>(waiting[at + 1]);
        if (end > waiting.size()) break;
        if (type >> 4 == 3) {
          ++taken;
          const size_t topic = static_cast<uint8_t>(waiting[at + 3]);
          if ((type & 0x06) != 0)
            acks += std::string("\x40\x02") + waiting[at + 4 + topic] + waiting[at + 5 + topic];
        }
        at = end;
      }
      waiting.erase(0, at);
      if (!acks.empty()) wire_.Send(acks);
      acks.clear();
    }
    return taken;
  }

 private:
  Connection wire_;
};

void Report(uint64_t messages, double seconds) {
  std::printf("{\"messages\": %lu, \"seconds\": %.6f}\n", messages, seconds);
}

template <typename Publisher>
int Run(const MessageLoad& load, const Publisher& publish) {
  std::optional<Subscriber> subscriber;
  if (load.subscriber) subscriber.emplace(load);
  std::atomic<int> ready{0};
  std::vector<std::jthread> threads;
  for (int c = 0; c < load.connections; ++c)
    threads.emplace_back([&, c] {
      publish(load, c, load.messages / static_cast<uint64_t>(load.connections), ready);
    });
  const uint64_t messages = load.messages / static_cast<uint64_t>(load.connections) *
                            static_cast<uint64_t>(load.connections);
  while (ready < load.connections) std::this_thread::yield();
  const double begin = Now();
  uint64_t taken = messages;
  if (subscriber) taken = subscriber->TakeAll(messages);
  threads.clear();
  Report(taken, Now() - begin);
  return 0;
}

void PublishNatsOver(const MessageLoad& load, int connection, uint64_t messages,
                     std::atomic<int>& ready) {
  Connection wire(load.port);
  wire.Receive();  // INFO
  wire.Send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
  std::string heard;
  while (heard.find("PONG\r\n") == std::string::npos) heard += wire.Receive();
  ++ready;
  while (ready < load.connections) std::this_thread::yield();
  std::string out;
  Message message;
  for (uint64_t number = 0; number < messages; ++number) {
    Fill(message, load, connection, number);
    for (size_t i = 0; i < message.topic_size; ++i)
      if (message.topic[i] == '/') message.topic[i] = '.';
    out += "PUB ";
    out.append(message.topic, message.topic_size);
    out += " " + std::to_string(message.payload_size) + "\r\n";
    out.append(message.payload, message.payload_size);
    out += "\r\n";
    if (out.size() >= kSendBytes) {
      wire.Send(out);
      out.clear();
    }
  }
  wire.Send(out + "PING\r\n");
  heard.clear();
  while (heard.find("PONG\r\n") == std::string::npos) {
    const std::string_view more = wire.Receive();
    if (more.empty()) Die("the server closed the connection");
    heard += more;
    if (heard.find("-ERR") != std::string::npos) Die("nats: " + heard);
  }
}

}  // namespace

int PublishMqtt(const MessageLoad& load) { return Run(load, PublishOver); }
int PublishNats(const MessageLoad& load) { return Run(load, PublishNatsOver); }

}  // namespace penstock::bench
