// The client of a foreign broker: libmosquitto on a thread of its own per broker (there are few),
// subscribed to the filters of the points, mapping payloads exactly as the listener does.
//
// One difference to the listener is the library's: it acknowledges QoS 1 to the broker before it
// shows us the message, so a crash within the log's commit interval (some milliseconds) can lose
// what the broker believes delivered. Who needs more lets the device publish to the node's own
// listener.
//
// The connection is made without blocking and given up after a deadline; between attempts the
// thread waits for its back-off or for Stop.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <mosquitto.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/site.h"
#include "protocols/driver/backoff.h"
#include "protocols/driver/kinds.h"
#include "protocols/mqtt/payload.h"

namespace penstock::protocols {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::string_view kScheme = "mqtt://";
constexpr int kKeepAliveS = 30;
constexpr int kTurnMs = 50;
constexpr std::chrono::seconds kConnectTimeout{10};
constexpr int kPayloadBytesMax = 1 << 20;

Metric& ReceivedMessages() {
  static Metric& metric =
      Counter("penstock_mqtt_client_messages_total", "Messages received from foreign brokers.");
  return metric;
}

class BrokerClient final : public Driver {
 public:
  BrokerClient(const DriverContext& context, Source source)
      : context_(context),
        source_(std::move(source)),
        things_(source_.things()),
        backoff_(source_.address),
        mapper_(context.clock, context.quarantine, context.samples) {
    mapper_.Use(std::make_shared<mqtt::TopicRouter>(source_.points));
  }
  ~BrokerClient() override { Stop(); }

  Status Start() override {
    ASSIGN_OR_RETURN(endpoint_, ParseEndpoint(source_.address.substr(kScheme.size())));
    TRY(MakeClient());
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
    return {};
  }

  void Stop() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }

 private:
  struct Delete {
    void operator()(mosquitto* client) const { mosquitto_destroy(client); }
  };

  static BrokerClient& Of(void* self) { return *static_cast<BrokerClient*>(self); }

  Status MakeClient() {
    static const int initialized = mosquitto_lib_init();
    if (initialized != MOSQ_ERR_SUCCESS) return Internal("libmosquitto does not start");
    bool keeps_session = false;
    for (const auto& [filter, qos] : mapper_.router().filters()) keeps_session |= qos > 0;
    // With a session to keep, the same node on the same machine is the same client after a restart.
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const auto digest =
        Sha256Of(AsBytes(fmt::format("{}|{}|{}", host, source_.address, things_.front())));
    const std::string id =
        "penstock-" +
        ToHex(keeps_session ? Bytes(digest.begin(), digest.begin() + 6) : RandomBytes(6));
    client_.reset(mosquitto_new(id.c_str(), !keeps_session, this));
    if (!client_) return FromErrno(errno, "mqtt client");
    mosquitto_connect_callback_set(
        client_.get(), [](mosquitto*, void* self, int code) { Of(self).OnConnected(code); });
    mosquitto_message_callback_set(client_.get(),
                                   [](mosquitto*, void* self, const mosquitto_message* message) {
                                     Of(self).OnMessage(*message);
                                   });
    mosquitto_subscribe_callback_set(
        client_.get(), [](mosquitto*, void* self, int, int count, const int* granted) {
          Of(self).OnSubscribed({granted, static_cast<size_t>(count)});
        });
    return {};
  }

  Status Login() {
    if (!source_.wants_password) return {};
    const auto credential =
        context_.credentials ? context_.credentials(source_.address) : std::nullopt;
    if (!credential) {
      Error error{Code::kUnauthenticated,
                  "the Thing Description asks for a password, none is known"};
      return std::unexpected(error.Fix("store user name and password for this address"));
    }
    mosquitto_username_pw_set(client_.get(), credential->user.c_str(),
                              credential->password.c_str());
    return {};
  }

  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const Error why = Connection(stop);
      if (stop.stop_requested()) break;
      OnLost(why);
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, backoff_.Next(), [] { return false; });
    }
    mosquitto_disconnect(client_.get());
    mosquitto_loop(client_.get(), 0, 1);  // Lets DISCONNECT out.
    Flush();
  }

  // One connection from its attempt to its end, which it returns.
  Error Connection(const std::stop_token& stop) {
    if (const Status login = Login(); !login) return login.error();
    connected_ = false;
    refused_.reset();
    int code =
        mosquitto_connect_async(client_.get(), endpoint_.host.c_str(), endpoint_.port, kKeepAliveS);
    const auto deadline = Steady::now() + kConnectTimeout;
    while (code == MOSQ_ERR_SUCCESS && !refused_ && !stop.stop_requested()) {
      if (!connected_ && Steady::now() > deadline) {
        return Error{Code::kDeadlineExceeded, "no answer"};
      }
      code = mosquitto_loop(client_.get(), kTurnMs, 1);
      Flush();
    }
    if (refused_) return *refused_;
    return Error{Code::kUnavailable, code == MOSQ_ERR_ERRNO
                                         ? std::string(std::strerror(errno))
                                         : std::string(mosquitto_strerror(code))};
  }

  void OnConnected(int code) {
    if (code != 0) {
      refused_ = Error{code == 4 || code == 5 ? Code::kUnauthenticated : Code::kUnavailable,
                       fmt::format("connection refused: {}", mosquitto_connack_string(code))};
      return;
    }
    connected_ = true;
    backoff_.Reset();
    for (const auto& [filter, qos] : mapper_.router().filters()) {
      mosquitto_subscribe(client_.get(), nullptr, filter.c_str(), std::min(qos, 1));
    }
    LogInfo("mqtt {}: connected, {} subscriptions", source_.address,
            mapper_.router().filters().size());
    for (const std::string& thing : things_) {
      context_.events.OnConnected(thing, "mqtt", source_.address, context_.clock.Now());
    }
  }

  void OnSubscribed(std::span<const int> granted) {
    for (const int qos : granted) {
      if (qos != 0x80) continue;
      Error why{Code::kPermissionDenied,
                fmt::format("mqtt {}: a subscription was refused", source_.address)};
      why.Fix("allow this client to subscribe to the topics of the Thing Description");
      LogSometimes(LogLevel::kWarn, source_.address, why.ToString());
      for (const std::string& thing : things_) {
        context_.events.OnError(thing, why, context_.clock.Now());
      }
    }
  }

  void OnMessage(const mosquitto_message& message) {
    ReceivedMessages().Add();
    plans_.clear();
    mapper_.router().Find(message.topic, plans_);
    const auto bytes = static_cast<size_t>(message.payloadlen);
    const std::string_view payload =
        bytes == 0 ? std::string_view{}
                   : std::string_view(static_cast<const char*>(message.payload), bytes);
    if (message.payloadlen > kPayloadBytesMax) {
      return context_.quarantine.Put(
          {.at = context_.clock.Now(),
           .source = source_.address,
           .point = "",
           .rule = "payload",
           .value = std::string(payload.substr(0, 200)),
           .message = fmt::format("topic {}: payload of {} bytes, at most {} are taken",
                                  message.topic, bytes, kPayloadBytesMax)});
    }
    for (const mqtt::TopicPlan* plan : plans_) {
      const size_t refused =
          mapper_.Map(*plan, message.topic, payload, bytes, source_.address, batch_);
      const Time now = context_.clock.Now();
      for (const auto& [thing, count] : mapper_.counts()) {
        context_.events.OnSamples(things_[thing], count, now);
      }
      if (refused == 0) continue;
      context_.events.OnError(
          things_[mapper_.router().thing_of(plan->targets().front().point)],
          Error{Code::kInvalidArgument,
                fmt::format("mqtt {}: {} values of a message to {} are in quarantine",
                            source_.address, refused, message.topic)},
          now);
    }
  }

  void OnLost(Error why) {
    why.message = fmt::format("mqtt {}: {}", source_.address, why.message);
    LogSometimes(LogLevel::kWarn, source_.address, why.ToString());
    for (const std::string& thing : things_) {
      context_.events.OnDisconnected(thing, why, context_.clock.Now());
    }
    mapper_.FailAll(batch_);
    Flush();
  }

  void Flush() {
    if (batch_.empty()) return;
    telemetry::Batch full;
    std::swap(full, batch_);
    context_.samples.Write(std::move(full));
  }

  const DriverContext& context_;
  const Source source_;
  const std::vector<std::string> things_;
  Endpoint endpoint_;
  Backoff backoff_;
  mqtt::PayloadMapper mapper_;
  std::unique_ptr<mosquitto, Delete> client_;
  bool connected_ = false;
  std::optional<Error> refused_;
  std::vector<const mqtt::TopicPlan*> plans_;
  telemetry::Batch batch_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

class MqttClientEngine final : public Engine {
 public:
  explicit MqttClientEngine(const DriverContext& context) : context_(context) {}
  std::unique_ptr<Driver> Open(Source source) override {
    return std::make_unique<BrokerClient>(context_, std::move(source));
  }

 private:
  const DriverContext context_;
};

std::string MqttAddress(const things::Form& form) { return form.mqtt.broker; }

std::unique_ptr<Engine> MakeMqttEngine(const DriverContext& context) {
  return std::make_unique<MqttClientEngine>(context);
}

}  // namespace

constexpr ProtocolKind k_mqtt_kind = {
    .name = "mqtt",
    .scheme = "mqtt",
    .summary =
        "Subscribes to topics of a foreign MQTT broker and reads values out of JSON payloads.",
    .reference = "MQTT 3.1.1, OASIS Standard, 29 October 2014",
    .protocol = things::Protocol::kMqtt,
    .address = MqttAddress,
    .engine = MakeMqttEngine,
};

}  // namespace penstock::protocols
