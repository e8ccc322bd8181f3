// The OPC UA engine: one event loop and one thread for every server of the node.
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include <open62541/plugin/eventloop.h>

#include "base/check.h"
#include "protocols/driver/kinds.h"
#include "protocols/opcua/endpoint.h"

namespace penstock::protocols {
namespace {

constexpr UA_UInt32 kLoopTurnMs =
    20;  // How long a new source or Stop waits for the loop's turn to end.

class OpcUaEngine final : public Engine {
 public:
  explicit OpcUaEngine(const DriverContext& context) : context_(context) {
    loop_ = UA_EventLoop_new_POSIX(nullptr);
    CHECK(loop_ != nullptr);
    UA_ConnectionManager* tcp =
        UA_ConnectionManager_new_POSIX_TCP(UA_STRING_STATIC("tcp connection manager"));
    CHECK(tcp != nullptr);
    loop_->registerEventSource(loop_, &tcp->eventSource);
    loop_->start(loop_);
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  }

  ~OpcUaEngine() override {
    thread_.request_stop();
    thread_.join();
    endpoints_.clear();
    loop_->stop(loop_);
    while (loop_->state != UA_EVENTLOOPSTATE_STOPPED) loop_->run(loop_, 1);
    loop_->free(loop_);
  }

  std::unique_ptr<Driver> Open(Source source) override;

  void Add(const void* key, Source source) {
    Do([&] {
      endpoints_[key] =
          std::make_unique<opcua::Endpoint>(*loop_, context_, batch_, std::move(source));
    });
  }
  void Remove(const void* key) {
    Do([&] {
      const auto found = endpoints_.find(key);
      if (found == endpoints_.end()) return;
      found->second->Close();
      HandOver();
      endpoints_.erase(found);
    });
  }

 private:
  // Runs the task on the engine's thread and waits for it.
  void Do(std::function<void()> task) {
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back([&] {
        task();
        done.set_value();
      });
    }
    wake_.notify_one();
    done.get_future().wait();
  }

  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::deque<std::function<void()>> tasks;
      {
        std::unique_lock lock(mutex_);
        if (endpoints_.empty()) {  // Nothing to listen to: sleep until there is.
          wake_.wait(lock, stop, [&] { return !tasks_.empty(); });
        }
        tasks.swap(tasks_);
      }
      for (const auto& task : tasks) task();
      for (const auto& [key, endpoint] : endpoints_) {
        endpoint->Poll(opcua::Endpoint::Steady::now());
      }
      if (!endpoints_.empty()) loop_->run(loop_, kLoopTurnMs);
      HandOver();
    }
  }

  void HandOver() {
    for (const auto& [key, endpoint] : endpoints_) endpoint->TellSamples();
    if (batch_.empty()) return;
    telemetry::Batch full;
    std::swap(full, batch_);
    context_.samples.Write(std::move(full));
  }

  const DriverContext context_;
  UA_EventLoop* loop_ = nullptr;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::function<void()>> tasks_;
  telemetry::Batch batch_;
  std::map<const void*, std::unique_ptr<opcua::Endpoint>> endpoints_;
  std::jthread thread_;
};

class OpcUaDriver final : public Driver {
 public:
  OpcUaDriver(OpcUaEngine& engine, Source source) : engine_(engine), source_(std::move(source)) {}
  Status Start() override {
    engine_.Add(this, std::move(source_));
    return {};
  }
  void Stop() override { engine_.Remove(this); }

 private:
  OpcUaEngine& engine_;
  Source source_;
};

std::unique_ptr<Driver> OpcUaEngine::Open(Source source) {
  return std::make_unique<OpcUaDriver>(*this, std::move(source));
}

std::string OpcuaAddress(const things::Form& form) { return form.opcua.endpoint; }

std::unique_ptr<Engine> MakeOpcuaEngine(const DriverContext& context) {
  return std::make_unique<OpcUaEngine>(context);
}

}  // namespace

constexpr ProtocolKind k_opcua_kind = {
    .name = "opcua",
    .scheme = "opc.tcp",
    .summary =
        "Subscribes to nodes of an OPC UA server; source times and status codes pass through.",
    .reference = "OPC 10000-4 (IEC 62541-4), 5.13 and 5.14",
    .protocol = things::Protocol::kOpcUa,
    .address = OpcuaAddress,
    .engine = MakeOpcuaEngine,
};

}  // namespace penstock::protocols
