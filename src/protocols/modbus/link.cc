// A link is a small state machine: backing off -> connecting -> connected, where it has at most one
// request on the wire. One at a time, because many PLCs answer only so and the round trip of a
// plant network is short against the polling time; what keeps 1,000 values/s cheap is that
// neighbours were joined, not that requests overlap.
//
// Failures have three sizes. A refused address (exception 02 or 03 to a joined read) splits that
// read for good, until the culprit stands alone; the others go on. A silent unit behind a gateway
// backs off by itself, its late answers are known by their transaction and dropped, its neighbours
// go on. A broken connection (closed, reset, or bytes that are no Modbus) takes down all units and
// is made again after the link's own back-off.
//
// Points that cannot be read get one Bad_NoCommunication sample each time they fall silent. All
// links of a node share one thread; a dead device costs it one timer.
#include "protocols/modbus/link.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/texts.h"

namespace penstock::protocols::modbus {
namespace {

using boost::system::error_code;
namespace asio = boost::asio;
using asio::ip::tcp;

constexpr size_t kLateMax = 64;

Metric& Requests() {
  static Metric& metric =
      Counter("penstock_modbus_requests_total", "Requests sent to Modbus devices.");
  return metric;
}
Metric& Missed() {
  static Metric& metric = Counter("penstock_modbus_missed_cycles_total",
                                  "Polling times that passed while a device was still busy.");
  return metric;
}
void CountError(std::string_view reason) {
  Counter("penstock_modbus_errors_total", "Modbus requests that failed, by reason.",
          fmt::format("reason=\"{}\"", reason))
      .Add();
}

std::string_view ReasonOf(const Error& error) {
  switch (error.code) {
    case Code::kDataLoss:
      return "garbage";
    case Code::kDeadlineExceeded:
      return "timeout";
    default:
      return "connection";
  }
}

}  // namespace

void Collector::Schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  asio::post(io_, [this] { Flush(); });
}

void Collector::Flush() {
  scheduled_ = false;
  if (batch_.empty()) return;
  telemetry::Batch full;
  std::swap(full, batch_);
  sink_.Write(std::move(full));
}

Link::Link(asio::io_context& io, const DriverContext& context, Collector& collector,
           const Source& source)
    : io_(io),
      context_(context),
      collector_(collector),
      things_(source.things()),
      samples_(things_.size()),
      reporter_(source.points),
      refused_(source.points.size()),
      socket_(io),
      resolver_(io),
      timer_(io),
      backoff_(source.address) {
  for (const SourcePoint& each : source.points) {
    const auto thing = std::lower_bound(things_.begin(), things_.end(), each.point.thing);
    forms_.push_back(each.form.modbus);
    ids_.push_back(each.point.id);
    whole_.push_back(each.point.type == things::ValueType::kInteger);
    thing_of_.push_back(static_cast<uint32_t>(thing - things_.begin()));
    properties_.push_back(each.point.property);
  }
  host_ = forms_.front().host;
  port_ = forms_.front().port;
  address_ = fmt::format("{}:{}", host_, port_);
  std::map<uint8_t, Unit> units;
  for (Read& read : PlanReads(forms_)) {
    Unit& unit =
        units.try_emplace(read.unit, Unit{.id = read.unit, .backoff = Backoff(source.address)})
            .first->second;
    for (const size_t point : read.points) unit.things.push_back(thing_of_[point]);
    unit.polls.push_back({std::move(read), {}});
  }
  for (auto& [id, unit] : units) {
    std::sort(unit.things.begin(), unit.things.end());
    unit.things.erase(std::unique(unit.things.begin(), unit.things.end()), unit.things.end());
    unit.things.shrink_to_fit();
    units_.push_back(std::move(unit));
  }
}

void Link::Start() { Connect(); }

void Link::Stop() {
  stopped_ = true;
  connected_ = false;
  ++generation_;
  timer_.cancel();
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

std::chrono::microseconds Link::LongestTimeout() const {
  std::chrono::microseconds longest{0};
  for (const Unit& unit : units_) {
    for (const Poll& poll : unit.polls) longest = std::max(longest, poll.read.timeout);
  }
  return longest > Duration{0} ? longest : std::chrono::seconds(1);
}

std::string Link::Name(const Unit& unit) const { return fmt::format("{}/{}", address_, unit.id); }

std::string Link::PathOf(size_t point) const {
  return things_[thing_of_[point]] + "/" + properties_[point];
}

void Link::Connect() {
  const uint64_t generation = ++generation_;
  timer_.expires_after(LongestTimeout());
  timer_.async_wait([self = shared_from_this(), generation](error_code error) {
    if (error || generation != self->generation_ || self->connected_) return;
    self->Drop(Error{Code::kDeadlineExceeded,
                     fmt::format("modbus {}: no connection within {}", self->address_,
                                 FormatDuration(self->LongestTimeout()))});
  });
  error_code not_numeric;
  const auto numeric = asio::ip::make_address(host_, not_numeric);
  if (!not_numeric) return OnResolved({numeric, port_});
  resolver_.async_resolve(
      host_, std::to_string(port_),
      [self = shared_from_this(), generation](error_code error, const auto& found) {
        if (generation != self->generation_) return;
        if (!error && !found.empty()) return self->OnResolved(found.begin()->endpoint());
        self->Drop(Error{Code::kUnavailable, fmt::format("modbus {}: host name unknown: {}",
                                                         self->address_, error.message())});
      });
}

void Link::OnResolved(const tcp::endpoint& endpoint) {
  error_code ignored;
  socket_.close(ignored);
  socket_.async_connect(
      endpoint, [self = shared_from_this(), generation = generation_](error_code error) {
        if (generation != self->generation_) return;
        if (!error) return self->OnConnected();
        self->Drop(Error{Code::kUnavailable, fmt::format("modbus {}: cannot connect: {}",
                                                         self->address_, error.message())});
      });
}

void Link::OnConnected() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  timer_.cancel();
  connected_ = true;
  received_bytes_ = 0;
  late_.clear();
  in_flight_ = {};
  const auto now = Steady::now();
  for (Unit& unit : units_) {
    unit.retry_at = now;
    unit.asked = false;
    for (Poll& poll : unit.polls) poll.due = now;
  }
  Receive();
  Pump();
}

void Link::Drop(const Error& why) {
  if (stopped_) return;
  connected_ = false;
  in_flight_ = {};
  error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  CountError(ReasonOf(why));
  LogSometimes(LogLevel::kWarn, address_, why.ToString());
  for (Unit& unit : units_) MarkDown(unit, why);

  const uint64_t generation = ++generation_;
  timer_.expires_after(backoff_.Next());
  timer_.async_wait([self = shared_from_this(), generation](error_code error) {
    if (!error && generation == self->generation_ && !self->stopped_) self->Connect();
  });
}

void Link::Pump() {
  if (stopped_ || !connected_ || in_flight_.open) return;
  const auto now = Steady::now();
  auto next = Steady::time_point::max();
  Unit* unit_next = nullptr;
  size_t poll_next = 0;
  for (Unit& unit : units_) {
    for (size_t i = 0; i < unit.polls.size(); ++i) {
      const auto at = std::max(unit.polls[i].due, unit.retry_at);
      if (at >= next) continue;
      next = at;
      unit_next = &unit;
      poll_next = i;
    }
  }
  if (unit_next == nullptr) return;
  if (next <= now) return Send(*unit_next, poll_next);
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this(), generation = generation_](error_code error) {
    if (!error && generation == self->generation_) self->Pump();
  });
}

void Link::Send(Unit& unit, size_t poll) {
  const Read& read = unit.polls[poll].read;
  unit.asked = true;
  in_flight_ = {.request = {.transaction = ++transaction_,
                            .unit = unit.id,
                            .function = FunctionOf(read.entity),
                            .address = read.first,
                            .quantity = read.quantity},
                .unit = &unit,
                .poll = poll,
                .open = true};
  Requests().Add();
  // Twelve bytes on a socket with nothing else to send: they fit, or the connection is broken.
  const auto frame = Encode(in_flight_.request);
  error_code error;
  socket_.non_blocking(true, error);
  const size_t written = error ? 0 : socket_.write_some(asio::buffer(frame), error);
  if (error || written != frame.size()) {
    return Drop(Error{Code::kUnavailable, fmt::format("modbus {}: cannot send: {}", Name(unit),
                                                      error ? error.message() : "socket full")});
  }
  const auto timeout = read.timeout > Duration{0} ? read.timeout : Duration(1'000'000);
  timer_.expires_after(timeout);
  timer_.async_wait([self = shared_from_this(), generation = generation_,
                     transaction = transaction_](error_code cancelled) {
    if (cancelled || generation != self->generation_) return;
    if (self->in_flight_.open && self->in_flight_.request.transaction == transaction) {
      self->OnTimeout();
    }
  });
}

void Link::Receive() {
  socket_.async_read_some(
      asio::buffer(received_.data() + received_bytes_, received_.size() - received_bytes_),
      [self = shared_from_this(), generation = generation_](error_code error, size_t count) {
        if (generation != self->generation_) return;
        if (!error) return self->OnBytes(count);
        self->Drop(Error{Code::kUnavailable, fmt::format("modbus {}: connection lost: {}",
                                                         self->address_, error.message())});
      });
}

void Link::OnBytes(size_t count) {
  received_bytes_ += count;
  const uint64_t generation = generation_;
  if (const Status taken = TakeFrames(); !taken) return Drop(taken.error());
  if (generation != generation_) return;  // Dropped while an answer was taken.
  Receive();
  Pump();
}

Status Link::TakeFrames() {
  size_t begin = 0;
  while (true) {
    const ByteView rest(received_.data() + begin, received_bytes_ - begin);
    auto frame = FrameBytes(rest);
    if (frame && *frame != 0 && rest.size() >= *frame) {
      auto answer = Decode(rest.first(*frame));
      Status taken = answer ? OnAnswer(*answer) : std::unexpected(answer.error());
      if (!taken) frame = std::unexpected(taken.error());
    }
    if (!frame) {
      frame.error().message = fmt::format("modbus {}: {}", address_, frame.error().message);
      return std::unexpected(frame.error().Fix("check that this port speaks Modbus TCP"));
    }
    if (*frame == 0 || rest.size() < *frame) break;
    begin += *frame;
  }
  std::copy(received_.begin() + static_cast<std::ptrdiff_t>(begin),
            received_.begin() + static_cast<std::ptrdiff_t>(received_bytes_), received_.begin());
  received_bytes_ -= begin;
  return {};
}

Status Link::OnAnswer(const Answer& answer) {
  if (!in_flight_.open || answer.transaction != in_flight_.request.transaction) {
    const auto late = std::find(late_.begin(), late_.end(), answer.transaction);
    if (late == late_.end()) {
      return DataLoss("answer to transaction {}, asked was {}", answer.transaction,
                      in_flight_.request.transaction);
    }
    late_.erase(late);
    CountError("late");
    return {};
  }
  TRY(Check(in_flight_.request, answer));
  timer_.cancel();
  const InFlight asked = in_flight_;
  in_flight_ = {};
  backoff_.Reset();
  Unit& unit = *asked.unit;
  if (answer.exception == 10 || answer.exception == 11) {  // The gateway speaks, the unit does not.
    CountError("gateway");
    MarkDown(unit, Error{Code::kUnavailable,
                         fmt::format("modbus {}: exception {} ({})", Name(unit), answer.exception,
                                     ExceptionName(answer.exception))});
    unit.retry_at = Steady::now() + unit.backoff.Next();
    return {};
  }
  MarkUp(unit);
  Reschedule(unit.polls[asked.poll]);
  if (answer.exception != 0) {
    OnException(unit, asked.poll, answer.exception);
  } else {
    OnValues(unit, unit.polls[asked.poll], answer.data);
  }
  return {};
}

void Link::OnValues(Unit& unit, Poll& poll, ByteView data) {
  const Time now = context_.clock.Now();
  telemetry::Batch& batch = collector_.batch();
  for (const size_t point : poll.read.points) {
    const size_t before = batch.size();
    const auto value = ValueOf(unit, point, poll.read.first, data);
    if (!value) continue;
    reporter_.Add(point, now, now, *value, telemetry::kGood, batch);
    refused_[point] = false;
    samples_[thing_of_[point]] += batch.size() - before;
  }
  for (const uint32_t thing : unit.things) {
    if (samples_[thing] == 0) continue;
    context_.events.OnSamples(things_[thing], std::exchange(samples_[thing], 0), now);
  }
  if (!batch.empty()) collector_.Schedule();
}

std::optional<double> Link::ValueOf(const Unit& unit, size_t point, uint16_t first, ByteView data) {
  const things::ModbusForm& form = forms_[point];
  std::string shown, message;
  std::string_view rule = "type";
  if (form.type == things::ModbusForm::Type::kString) {
    const std::string text = RegisterText(form, first, data);
    const auto code = context_.samples.Intern(ids_[point], text);
    if (code) return *code;
    rule = telemetry::TextRule(code.error());
    message = code.error().message;
    shown = Excerpt(AsBytes(text));
  } else {
    const double value = Value(form, first, data);
    const bool wide = form.type == things::ModbusForm::Type::kInt64 ||
                      form.type == things::ModbusForm::Type::kUint64;
    if (!wide || !whole_[point] || std::abs(value) < telemetry::kIntegerEnd) return value;
    message = "a whole number beyond 2^53 is not exact here; type \"number\" takes it rounded";
    shown = fmt::format("{}", value);
  }
  // Said once until it is good again: the same registers are read many times a second.
  if (refused_[point]) return std::nullopt;
  refused_[point] = true;
  context_.quarantine.Put({.at = context_.clock.Now(),
                           .source = fmt::format("modbus {}", Name(unit)),
                           .point = PathOf(point),
                           .rule = std::string(rule),
                           .value = shown,
                           .message = message});
  return std::nullopt;
}

void Link::OnException(Unit& unit, size_t poll, uint8_t exception) {
  CountError(fmt::format("exception_{:02}", exception));
  const Read read = unit.polls[poll].read;
  const bool refused = exception == kIllegalDataAddress || exception == kIllegalDataValue;
  if (refused) {
    if (auto halves = Split(read, forms_); !halves.empty()) {
      LogInfo("modbus {}: {} from {} refused with exception {:02}, read in two from now on",
              Name(unit), read.quantity, read.first, exception);
      const auto now = Steady::now();
      unit.polls[poll] = {std::move(halves[0]), now};
      unit.polls.push_back({std::move(halves[1]), now});
      return;
    }
  }
  const Time now = context_.clock.Now();
  for (const size_t point : read.points) {
    if (refused_[point]) continue;
    refused_[point] = true;
    const std::string path = PathOf(point);
    Error error{Code::kInvalidArgument,
                fmt::format("modbus {}: exception {:02} ({}) for {} at address {}", Name(unit),
                            exception, ExceptionName(exception), path, read.first)};
    if (refused)
      error.Fix("compare the form's href and modv:entity with the device's register list");
    LogSometimes(LogLevel::kWarn, path, error.ToString());
    context_.events.OnError(things_[thing_of_[point]], error, now);
  }
  FailPoints(read.points);
}

void Link::OnTimeout() {
  Unit& unit = *in_flight_.unit;
  late_.push_back(in_flight_.request.transaction);
  if (late_.size() > kLateMax) late_.pop_front();
  in_flight_ = {};
  const Error why{Code::kDeadlineExceeded, fmt::format("modbus {}: no answer", Name(unit))};
  // While another unit answers, or may yet, the connection is good and only this unit is silent.
  const bool others_hope = std::any_of(units_.begin(), units_.end(), [&](const Unit& other) {
    return &other != &unit && (other.answers || !other.asked);
  });
  if (!others_hope) return Drop(why);
  CountError("timeout");
  LogSometimes(LogLevel::kWarn, Name(unit), why.ToString());
  MarkDown(unit, why);
  unit.retry_at = Steady::now() + unit.backoff.Next();
  Pump();
}

void Link::Reschedule(Poll& poll) {
  const auto now = Steady::now();
  const auto interval = std::max<Duration>(poll.read.polling, Duration(1000));
  poll.due += interval;
  if (poll.due > now) return;
  const auto missed = (now - poll.due) / interval + 1;
  Missed().Add(static_cast<uint64_t>(missed));
  poll.due += missed * interval;
}

void Link::MarkUp(Unit& unit) {
  unit.backoff.Reset();
  if (unit.answers) return;
  unit.answers = true;
  unit.told_down = false;
  LogInfo("modbus {}: answers", Name(unit));
  for (const uint32_t thing : unit.things) {
    context_.events.OnConnected(things_[thing], "modbus", Name(unit), context_.clock.Now());
  }
}

void Link::MarkDown(Unit& unit, const Error& why) {
  unit.answers = false;
  for (const uint32_t thing : unit.things) {
    context_.events.OnDisconnected(things_[thing], why, context_.clock.Now());
  }
  if (unit.told_down) return;
  unit.told_down = true;
  for (const Poll& poll : unit.polls) FailPoints(poll.read.points);
}

void Link::FailPoints(const std::vector<size_t>& points) {
  const Time now = context_.clock.Now();
  for (const size_t point : points) {
    reporter_.Fail(point, now, telemetry::kBadNoCommunication, collector_.batch());
  }
  if (!collector_.batch().empty()) collector_.Schedule();
}

}  // namespace penstock::protocols::modbus
