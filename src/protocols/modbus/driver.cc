// The Modbus engine: one event loop and one thread for every device of the node.
#include <future>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "protocols/driver/kinds.h"
#include "protocols/modbus/link.h"

namespace penstock::protocols {
namespace {

namespace asio = boost::asio;

class ModbusDriver final : public Driver {
 public:
  ModbusDriver(asio::io_context& io, const DriverContext& context, modbus::Collector& collector,
               const Source& source)
      : io_(io), link_(std::make_shared<modbus::Link>(io, context, collector, source)) {}

  Status Start() override {
    asio::post(io_, [link = link_] { link->Start(); });
    return {};
  }

  void Stop() override {
    std::promise<void> stopped;
    asio::post(io_, [&] {
      link_->Stop();
      stopped.set_value();
    });
    stopped.get_future().wait();
  }

 private:
  asio::io_context& io_;
  std::shared_ptr<modbus::Link> link_;  // Shared with its handlers in the event loop.
};

class ModbusEngine final : public Engine {
 public:
  explicit ModbusEngine(const DriverContext& context)
      : context_(context),
        work_(asio::make_work_guard(io_)),
        collector_(io_, context.samples),
        thread_([this] { io_.run(); }) {}

  ~ModbusEngine() override {
    work_.reset();
    io_.stop();
  }

  std::unique_ptr<Driver> Open(Source source) override {
    return std::make_unique<ModbusDriver>(io_, context_, collector_, source);
  }

 private:
  const DriverContext context_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  modbus::Collector collector_;
  std::jthread thread_;
};

std::string ModbusAddress(const things::Form& form) {
  return fmt::format("modbus+tcp://{}:{}", form.modbus.host, form.modbus.port);
}

std::unique_ptr<Engine> MakeModbusEngine(const DriverContext& context) {
  return std::make_unique<ModbusEngine>(context);
}

}  // namespace

constexpr ProtocolKind k_modbus_kind = {
    .name = "modbus",
    .scheme = "modbus+tcp",
    .summary = "Polls coils and registers of a PLC over Modbus TCP.",
    .reference = "MODBUS Application Protocol Specification V1.1b3",
    .protocol = things::Protocol::kModbus,
    .address = ModbusAddress,
    .engine = MakeModbusEngine,
};

}  // namespace penstock::protocols
