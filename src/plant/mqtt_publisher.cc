// QoS 1 messages are given to the library only while it is connected, and at most kInFlight
// unacknowledged ones at a time: its own queue has no bound. What waits here is bounded. When the
// connection is lost the library resends what was in flight.
//
// Numbers are written with the decimals that the point has (PointKind::step), so a reader gets the
// very value that the history generator gives.
#include "plant/mqtt_publisher.h"

#include <mosquitto.h>

#include <atomic>
#include <cmath>
#include <deque>
#include <mutex>

#include "base/log.h"
#include "plant/line.h"

namespace penstock::plant {
namespace {

constexpr size_t kInFlight = 100;

int Decimals(double step) {
  return step >= 1 ? 0 : static_cast<int>(std::lround(-std::log10(step)));
}

void AppendValue(std::string& text, const PointKind& point, const Measured& measured) {
  const auto out = std::back_inserter(text);
  if (measured.lost)
    text += "null";
  else if (point.encoding == Encoding::kBoolean)
    text += measured.value != 0 ? "true" : "false";
  else if (point.encoding == Encoding::kInteger)
    fmt::format_to(out, "{:.0f}", measured.value);
  else
    fmt::format_to(out, "{:.{}f}", measured.value, Decimals(point.step));
}

class Publisher final : public MqttPublisher {
 public:
  ~Publisher() override {
    if (client_ == nullptr) return;
    mosquitto_disconnect(client_);
    mosquitto_loop_stop(client_, true);
    mosquitto_destroy(client_);
  }

  Status Connect(const std::string& host, uint16_t port, const std::string& client_id) {
    static const int library = mosquitto_lib_init();
    if (library != MOSQ_ERR_SUCCESS)
      return Internal("mqtt client: {}", mosquitto_strerror(library));
    client_ = mosquitto_new(client_id.c_str(), true, this);
    if (client_ == nullptr) return Internal("mqtt client: out of memory");
    mosquitto_connect_callback_set(client_, [](mosquitto*, void* self, int code) {
      static_cast<Publisher*>(self)->OnConnect(code);
    });
    mosquitto_disconnect_callback_set(client_, [](mosquitto*, void* self, int) {
      static_cast<Publisher*>(self)->connected_ = false;
    });
    mosquitto_publish_callback_set(client_, [](mosquitto*, void* self, int id) {
      static_cast<Publisher*>(self)->OnPublished(id);
    });
    mosquitto_reconnect_delay_set(client_, 1, 2, false);
    mosquitto_int_option(client_, MOSQ_OPT_TCP_NODELAY, 1);
    const int begun = mosquitto_connect_async(client_, host.c_str(), port, 30);
    // Nobody listens yet: the library's thread tries again. Anything else is our mistake.
    if (begun == MOSQ_ERR_INVAL || begun == MOSQ_ERR_NOMEM)
      return InvalidArgument("mqtt client {}:{}: {}", host, port, mosquitto_strerror(begun));
    const int running = mosquitto_loop_start(client_);
    if (running != MOSQ_ERR_SUCCESS)
      return Internal("mqtt client: {}", mosquitto_strerror(running));
    return {};
  }

  void Publish(MqttMessage message) override {
    if (message.topic.empty()) return;
    if (message.qos == 0) {
      if (!connected_ || !Send(message)) ++dropped_;
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= kWaitingMax) {
        waiting_.pop_front();
        ++dropped_;
      }
      waiting_.push_back(std::move(message));
    }
    Flush();
  }

  bool connected() const override { return connected_; }
  uint64_t dropped() const override { return dropped_; }

 private:
  void OnConnect(int code) {
    if (code != 0) {
      LogSometimes(LogLevel::kWarn, "plant mqtt",
                   fmt::format("plant: mqtt: {}", mosquitto_connack_string(code)));
      return;
    }
    connected_ = true;
    Flush();
  }

  void OnPublished(int) {
    // QoS 0 is reported as well; counting down too early only lets a few more out.
    size_t now = in_flight_.load();
    while (now > 0 && !in_flight_.compare_exchange_weak(now, now - 1)) {
    }
    Flush();
  }

  // May be called by the plant's and by the library's thread.
  void Flush() {
    while (connected_ && in_flight_ < kInFlight) {
      MqttMessage message;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) return;
        message = std::move(waiting_.front());
        waiting_.pop_front();
      }
      ++in_flight_;
      if (Send(message)) continue;
      --in_flight_;
      const std::lock_guard lock(mutex_);
      waiting_.push_front(std::move(message));
      return;
    }
  }

  bool Send(const MqttMessage& message) {
    const int code = mosquitto_publish(client_, nullptr, message.topic.c_str(),
                                       static_cast<int>(message.payload.size()),
                                       message.payload.data(), message.qos, false);
    return code == MOSQ_ERR_SUCCESS;
  }

  mosquitto* client_ = nullptr;
  std::atomic<bool> connected_{false};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<size_t> in_flight_{0};
  std::mutex mutex_;
  std::deque<MqttMessage> waiting_;
};

}  // namespace

MqttMessage StateMessage(const Report& report) {
  const std::string_view machine = report.station.name();
  MqttMessage message;
  if (machine != "filler-1" && machine != "energy-meter-1" && machine != "weather-1")
    return message;
  message.topic = fmt::format("line-1/{}/state", machine);
  message.qos = machine == "filler-1" ? 1 : 0;
  message.payload = fmt::format("{{\"ts\":\"{}\"", FormatTime(report.time));
  const auto points = report.station.machine().points();
  for (size_t i = 0; i < points.size(); ++i) {
    fmt::format_to(std::back_inserter(message.payload), ",\"{}\":", points[i].property);
    AppendValue(message.payload, points[i], report.values[i]);
  }
  message.payload += '}';
  return message;
}

MqttMessage WaveformMessage(const Report& report) {
  MqttMessage message;
  if (report.waveform.empty() || report.station.name() != "pump-7") return message;
  message.topic = "line-1/pump-7/vibration";
  message.payload = fmt::format("{{\"ts\":\"{}\",\"v\":[", FormatTime(report.waveform_time));
  message.payload.reserve(message.payload.size() + report.waveform.size() * 7);
  for (size_t i = 0; i < report.waveform.size(); ++i) {
    const char* form = i == 0 ? "{:.3f}" : ",{:.3f}";
    fmt::format_to(std::back_inserter(message.payload), fmt::runtime(form), report.waveform[i]);
  }
  message.payload += "]}";
  return message;
}

Result<std::unique_ptr<MqttPublisher>> MqttPublisher::Start(const std::string& host, uint16_t port,
                                                            const std::string& client_id) {
  auto publisher = std::make_unique<Publisher>();
  TRY(publisher->Connect(host, port, client_id));
  return publisher;
}

}  // namespace penstock::plant
