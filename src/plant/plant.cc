// Two threads beside those of the servers. The line's thread wakes fifty times a second, moves the
// line to the present of the scaled clock and hands what is due to the servers. The crew's thread
// goes its round twice a second: it waits for the node's answers without the lock and takes it only
// to look or to act on the floor.
#include "plant/plant.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "plant/line.h"
#include "plant/modbus_server.h"
#include "plant/mqtt_publisher.h"
#include "plant/opcua_server.h"

namespace penstock::plant {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kTick = std::chrono::milliseconds(20);
constexpr auto kCrewRound = std::chrono::milliseconds(500);
constexpr Duration kLongAgo = seconds(10);  // Real.

// An interruptible nap: false when the thread shall end.
bool Nap(const std::stop_token& stop, std::chrono::milliseconds length) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, length, [] { return false; });
  return !stop.stop_requested();
}

Time LineStart(const PlantOptions& options, Time now) {
  if (now - options.origin > kLongAgo * options.speed) return std::chrono::floor<minutes>(now);
  return std::chrono::floor<seconds>(options.origin);
}

std::string_view CrewModeName(CrewMode mode) {
  return mode == CrewMode::kAuto ? "auto" : mode == CrewMode::kFollow ? "follow" : "none";
}

class Factory final : public Plant, public Floor {
 public:
  explicit Factory(const PlantOptions& options)
      : options_(options), clock_(options.origin, options.speed, options.anchor) {}
  ~Factory() override { Stop(); }

  Status Begin() {
    from_ = LineStart(options_, clock_.Now());
    ASSIGN_OR_RETURN(truth_, Truth::Open(options_.truth_path));
    line_ = std::make_unique<Line>(
        LineOptions{options_.seed, from_, ReportInterval(options_.speed), options_.rates}, *truth_);
    ASSIGN_OR_RETURN(modbus_, ModbusServer::Start(options_.modbus_port));
    ASSIGN_OR_RETURN(opcua_, OpcUaServer::Start(options_.opcua_port));
    ASSIGN_OR_RETURN(mqtt_, MqttPublisher::Start(options_.mqtt_host, options_.mqtt_port, "line-1"));
    modbus_port_ = modbus_->port();
    opcua_port_ = opcua_->port();
    pump_ = line_->Find("pump-7");
    modbus_->Set(PumpRegisters(*pump_));
    if (!options_.node_url.empty() && options_.crew != CrewMode::kNone) {
      ASSIGN_OR_RETURN(node_, NodeClient::Make(options_.node_url, options_.token));
      crew_ = std::make_unique<Crew>(options_.crew, options_.crew_error_rate, Random(options_.seed),
                                     *this, *node_);
      crew_thread_ = std::jthread([this](const std::stop_token& stop) {
        while (Nap(stop, kCrewRound)) RunCrew();
      });
    }
    line_thread_ = std::jthread([this](const std::stop_token& stop) {
      while (Nap(stop, kTick)) MoveLine();
    });
    return {};
  }

  void Stop() override {
    for (std::jthread* thread : {&crew_thread_, &line_thread_})
      if (thread->joinable()) {
        thread->request_stop();
        thread->join();
      }
    mqtt_.reset();
    opcua_.reset();
    modbus_.reset();
  }

  uint16_t modbus_port() const override { return modbus_port_; }
  uint16_t opcua_port() const override { return opcua_port_; }

  Json Summary() const override {
    const std::lock_guard lock(mutex_);
    Json summary = truth_->ToJson();
    summary["seed"] = options_.seed;
    summary["from"] = FormatTime(from_);
    summary["to"] = FormatTime(line_->now());
    summary["production"] = line_->Production();
    Json answers = Json::array();
    for (const CrewAnswer& answer : answers_)
      answers.push_back({{"alarm", answer.alarm},
                         {"machine", answer.machine},
                         {"kind", answer.kind},
                         {"code", answer.code},
                         {"wrong", answer.wrong},
                         {"at", FormatTime(answer.at)}});
    summary["crew"] = {{"mode", CrewModeName(options_.crew)}, {"answers", std::move(answers)}};
    return summary;
  }

  // Floor.
  Time Now() override {
    const std::lock_guard lock(mutex_);
    return line_->now();
  }
  Inspection Inspect(const std::string& machine, Time raised) override {
    const std::lock_guard lock(mutex_);
    Inspection found = truth_->Inspect(machine, raised, line_->now());
    found.known = line_->Find(machine) != nullptr;
    return found;
  }
  void BeginRepair(const std::string& machine, Duration length, std::string_view reason) override {
    const std::lock_guard lock(mutex_);
    if (Station* station = line_->Find(machine); station != nullptr)
      station->life().BeginRepair(line_->now(), std::chrono::floor<seconds>(length), reason);
  }
  void RepairSensors(const std::string& machine) override {
    const std::lock_guard lock(mutex_);
    line_->RepairSensors(machine);
  }
  void WriteTruth(std::string_view event, Json fields) override {
    const std::lock_guard lock(mutex_);
    truth_->Write(line_->now(), event, std::move(fields));
  }

 private:
  void MoveLine() {
    const std::lock_guard lock(mutex_);
    line_->AdvanceTo(clock_.Now(), [this](const Report& report) {
      mqtt_->Publish(StateMessage(report));
      mqtt_->Publish(WaveformMessage(report));
      if (report.station.name() == "gearbox-2") opcua_->Write(report);
    });
    modbus_->Set(PumpRegisters(*pump_));
  }

  void RunCrew() {
    crew_->Round();
    const std::lock_guard lock(mutex_);
    answers_ = crew_->answers();
  }

  const PlantOptions options_;
  const ScaledClock clock_;
  Time from_{};
  uint16_t modbus_port_ = 0, opcua_port_ = 0;
  mutable std::mutex mutex_;  // Guards the line, the truth and answers_.
  std::unique_ptr<Truth> truth_;
  std::unique_ptr<Line> line_;
  Station* pump_ = nullptr;
  std::vector<CrewAnswer> answers_;
  std::unique_ptr<ModbusServer> modbus_;
  std::unique_ptr<OpcUaServer> opcua_;
  std::unique_ptr<MqttPublisher> mqtt_;
  std::unique_ptr<NodeClient> node_;
  std::unique_ptr<Crew> crew_;
  std::jthread line_thread_, crew_thread_;
};

}  // namespace

Duration ReportInterval(double speed) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(0.8 * speed, 2.0, 96.0)));
  return seconds(whole / 2 * 2);
}

Result<std::unique_ptr<Plant>> Plant::Start(const PlantOptions& options) {
  if (!(options.speed >= 1 && options.speed <= 3600))
    return InvalidArgument("speed {} is not within 1 to 3600", options.speed);
  auto factory = std::make_unique<Factory>(options);
  TRY(factory->Begin());
  return factory;
}

int RunPlantCommand(const PlantOptions& options, bool print_summary) {
  // Blocked before any thread starts, so that they all inherit it and only sigwait sees the signal.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  auto plant = Plant::Start(options);
  if (!plant) {
    LogError("plant: {}", plant.error().ToString());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return 1;
  }
  LogInfo(
      "plant: modbus 127.0.0.1:{}, opc ua 127.0.0.1:{}, mqtt to {}:{}, seed {}, {} times as fast",
      (*plant)->modbus_port(), (*plant)->opcua_port(), options.mqtt_host, options.mqtt_port,
      options.seed, options.speed);
  int signal = 0;
  sigwait(&signals, &signal);
  (*plant)->Stop();
  if (print_summary) std::printf("%s\n", (*plant)->Summary().dump().c_str());
  std::fflush(stdout);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return 0;
}

}  // namespace penstock::plant
