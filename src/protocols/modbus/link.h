// One TCP connection to a Modbus address and the polling of all units behind it.
//
// Thread rule: everything runs on the engine's one thread; nothing here blocks but the sink's
// back-pressure.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "protocols/driver/backoff.h"
#include "protocols/driver/driver.h"
#include "protocols/driver/reporter.h"
#include "protocols/modbus/pdu.h"
#include "protocols/modbus/plan.h"

namespace penstock::protocols::modbus {

// The samples of all links, handed to the sink once per turn of the event loop.
class Collector {
 public:
  Collector(boost::asio::io_context& io, telemetry::SampleSink& sink) : io_(io), sink_(sink) {}
  telemetry::Batch& batch() { return batch_; }
  void Schedule();  // Hands over what was added, after the handlers that are ready now.

 private:
  void Flush();
  boost::asio::io_context& io_;
  telemetry::SampleSink& sink_;
  telemetry::Batch batch_;
  bool scheduled_ = false;
};

// Handlers that wait in the event loop share the link with its driver, so that it outlives them.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(boost::asio::io_context& io, const DriverContext& context, Collector& collector,
       const Source& source);
  void Start();
  void Stop();

 private:
  using Steady = std::chrono::steady_clock;
  struct Poll {
    Read read;
    Steady::time_point due;
  };
  struct Unit {
    uint8_t id = 1;
    Backoff backoff;
    Steady::time_point retry_at{};  // Silent: not asked before.
    bool asked = false;             // Since the connection was made.
    bool answers = false;           // Its last request was answered.
    bool told_down = false;
    std::vector<Poll> polls{};
    std::vector<uint32_t> things{};  // Indexes into things_.
  };
  struct InFlight {
    ReadRequest request;
    Unit* unit = nullptr;
    size_t poll = 0;
    bool open = false;
  };

  void Connect();
  void OnResolved(const boost::asio::ip::tcp::endpoint& endpoint);
  void OnConnected();
  // The connection is of no use: every unit is down, next attempt after the back-off.
  void Drop(const Error& why);
  void Pump();  // Sends the next request that is due, or sleeps until one is.
  void Send(Unit& unit, size_t poll);
  void Receive();
  void OnBytes(size_t count);
  Status TakeFrames();
  Status OnAnswer(const Answer& answer);
  void OnTimeout();
  void OnValues(Unit& unit, Poll& poll, ByteView data);
  // A point's value out of an answer; nothing when it went to the quarantine.
  std::optional<double> ValueOf(const Unit& unit, size_t point, uint16_t first, ByteView data);
  void OnException(Unit& unit, size_t poll, uint8_t exception);
  void Reschedule(Poll& poll);
  void MarkUp(Unit& unit);
  void MarkDown(Unit& unit, const Error& why);
  void FailPoints(const std::vector<size_t>& points);
  std::string Name(const Unit& unit) const;  // "127.0.0.1:502/1"
  std::string PathOf(size_t point) const;    // "pump-7/flow"
  std::chrono::microseconds LongestTimeout() const;

  boost::asio::io_context& io_;
  const DriverContext& context_;
  Collector& collector_;
  // Of each point only what polling needs: a gateway may have a hundred thousand.
  std::vector<things::ModbusForm> forms_;
  std::vector<PointId> ids_;
  std::vector<bool> whole_;         // A point of type integer.
  std::vector<uint32_t> thing_of_;  // Index into things_.
  std::vector<std::string> properties_;
  const std::vector<std::string> things_;
  std::vector<uint64_t> samples_;  // Of the answer being read, by thing.
  std::string host_, address_;     // "127.0.0.1", "127.0.0.1:502"
  uint16_t port_ = 0;
  Reporter reporter_;
  std::vector<Unit> units_;
  std::vector<bool> refused_;  // Per point: its address or value was refused and that was said.

  boost::asio::ip::tcp::socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer timer_;
  Backoff backoff_;
  bool stopped_ = false, connected_ = false;
  uint64_t generation_ = 0;  // Of the connection: handlers of an older one do nothing.
  InFlight in_flight_;
  uint16_t transaction_ = 0;
  std::deque<uint16_t> late_;  // Transactions given up; their answers are expected and dropped.
  std::array<uint8_t, 2 * kFrameBytesMax> received_{};
  size_t received_bytes_ = 0;
};

}  // namespace penstock::protocols::modbus
