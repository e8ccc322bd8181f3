// The driver against PLCs on loopback that behave: well, badly, or not at all.
#include "protocols/driver/driver.h"

#include <atomic>
#include <cmath>
#include <thread>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "base/bytes.h"
#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {
namespace {

using boost::system::error_code;
namespace asio = boost::asio;
using asio::ip::tcp;
using things::ModbusForm;

// A PLC that answers each request with what `answer` makes of it: a whole frame, or nothing to stay
// silent. Default: register n holds n; the addresses in `forbidden` answer exception 02 to any read
// that touches them.
class Plc {
 public:
  using Answer = std::function<Bytes(const Bytes& request)>;

  explicit Plc(Answer answer = nullptr, uint16_t port = 0)
      : answer_(std::move(answer)),
        acceptor_(io_, {asio::ip::address_v4::loopback(), port}),
        thread_([this](std::stop_token stop) { Serve(stop); }) {}

  ~Plc() {
    thread_.request_stop();
    error_code ignored;
    acceptor_.cancel(ignored);
    {
      const std::lock_guard lock(mutex_);
      if (client_ != nullptr) client_->shutdown(tcp::socket::shutdown_both, ignored);
    }
    tcp::socket wake(io_);
    wake.connect({asio::ip::address_v4::loopback(), port()}, ignored);
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::vector<Bytes> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return connections_; }

  std::set<uint16_t> forbidden;
  std::atomic<uint16_t> offset = 0;  // Register n holds n + offset.

  Bytes Normal(const Bytes& request) const {
    const auto word = [&](size_t at) { return uint16_t(request[at] << 8 | request[at + 1]); };
    const uint16_t address = word(8), quantity = word(10);
    Bytes answer(request.begin(), request.begin() + 8);
    for (const uint16_t each : forbidden) {
      if (each < address || each >= address + quantity) continue;
      answer[5] = 3;
      answer[7] |= 0x80;
      answer.push_back(2);
      return answer;
    }
    if (request[7] <= 2) {  // Coils: every odd one is on.
      answer.push_back(static_cast<uint8_t>((quantity + 7) / 8));
      for (uint16_t i = 0; i < quantity; i += 8) {
        answer.push_back(address % 2 == 0 ? 0xAA : 0x55);
      }
    } else {
      answer.push_back(static_cast<uint8_t>(2 * quantity));
      for (uint16_t i = 0; i < quantity; ++i) {
        const auto value = static_cast<uint16_t>(address + i + offset);
        answer.push_back(static_cast<uint8_t>(value >> 8));
        answer.push_back(static_cast<uint8_t>(value));
      }
    }
    answer[5] = static_cast<uint8_t>(answer.size() - 6);
    return answer;
  }

 private:
  void Serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      tcp::socket socket(io_);
      error_code error;
      acceptor_.accept(socket, error);
      if (error || stop.stop_requested()) continue;
      ++connections_;
      SetClient(&socket);
      Talk(socket);
      SetClient(nullptr);
    }
  }
  void SetClient(tcp::socket* socket) {
    const std::lock_guard lock(mutex_);
    client_ = socket;
  }
  void Talk(tcp::socket& socket) {
    error_code error;
    Bytes request(12);
    while (!error) {
      asio::read(socket, asio::buffer(request), error);
      if (error) return;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      const Bytes answer = answer_ ? answer_(request) : Normal(request);
      if (!answer.empty()) asio::write(socket, asio::buffer(answer), error);
    }
  }

  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<Bytes> requests_;
  std::atomic<int> connections_ = 0;
  tcp::socket* client_ = nullptr;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::jthread thread_;
};

things::Form FormOfRegister(uint16_t port, uint16_t address, uint8_t unit = 1) {
  things::Form form;
  form.protocol = things::Protocol::kModbus;
  form.modbus.host = "127.0.0.1";
  form.modbus.port = port;
  form.modbus.unit = unit;
  form.modbus.address = address;
  form.modbus.polling = std::chrono::milliseconds(5);
  form.modbus.timeout = std::chrono::milliseconds(100);
  return form;
}

class ModbusDriverTest : public testing::Test {
 protected:
  void Run(std::vector<things::Property> properties) {
    drivers_.Apply(SnapshotOf(std::move(properties)));
  }
  std::vector<RecordingSink::Row> Rows(uint32_t point) { return node_.sink.rows(PointId{point}); }
  bool Has(uint32_t point, double value) {
    for (const auto& row : Rows(point)) {
      if (row.value == value && row.quality == telemetry::kGood) return true;
    }
    return false;
  }

  TestNode node_;
  Drivers drivers_{node_.context()};
};

TEST_F(ModbusDriverTest, ReadsNeighboursWithOneRequest) {
  Plc plc;
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc.port(), 10)),
       PropertyOf(1, "pump-7", "speed", FormOfRegister(plc.port(), 12))});
  ASSERT_TRUE(Eventually([&] { return Has(0, 10) && Has(1, 12); }));
  const Bytes first = plc.requests().front();
  EXPECT_EQ(first[9], 10);
  EXPECT_EQ(first[11], 3);
  EXPECT_EQ(Rows(0)[0].source, node_.clock.Now());
  EXPECT_EQ(Rows(0)[0].ingest, node_.clock.Now());
  EXPECT_GE(node_.events.Count(fmt::format("up pump-7 modbus 127.0.0.1:{}/1", plc.port())), 1U);
  EXPECT_TRUE(Eventually([&] { return node_.events.samples("pump-7") >= 2; }));
}

TEST_F(ModbusDriverTest, ReadsCoils) {
  Plc plc;
  things::Form form = FormOfRegister(plc.port(), 7);
  form.modbus.entity = ModbusForm::Entity::kCoil;
  form.modbus.type = ModbusForm::Type::kBoolean;
  Run({PropertyOf(0, "pump-7", "running", form, things::ValueType::kBoolean)});
  EXPECT_TRUE(Eventually([&] { return Has(0, 1); }));
}

TEST_F(ModbusDriverTest, ReportsOnlyWhatChangedByTheDeadband) {
  Plc plc;
  auto property = PropertyOf(0, "pump-7", "flow", FormOfRegister(plc.port(), 10));
  property.point.report = {.on_change = true, .deadband = 2};
  Run({property});
  ASSERT_TRUE(Eventually([&] { return plc.requests().size() > 5; }));
  plc.offset = 1;
  const size_t seen = plc.requests().size();
  ASSERT_TRUE(Eventually([&] { return plc.requests().size() > seen + 3; }));
  EXPECT_EQ(Rows(0).size(), 1U);
  plc.offset = 2;
  ASSERT_TRUE(Eventually([&] { return Has(0, 12); }));
  EXPECT_EQ(Rows(0).size(), 2U);
}

TEST_F(ModbusDriverTest, ARefusedAddressStandsAloneInTheEnd) {
  Plc plc;
  plc.forbidden = {3};
  std::vector<things::Property> properties;
  for (uint16_t i = 0; i < 8; ++i) {
    properties.push_back(
        PropertyOf(i, "pump-7", fmt::format("r{}", i), FormOfRegister(plc.port(), i)));
  }
  Run(properties);
  ASSERT_TRUE(Eventually([&] {
    for (uint32_t i = 0; i < 8; ++i) {
      if (i != 3 && !Has(i, i)) return false;
    }
    return !Rows(3).empty();
  }));
  EXPECT_EQ(Rows(3)[0].quality, telemetry::kBadNoCommunication);
  // Remembered: nobody asks for the joined registers again.
  const size_t seen = plc.requests().size();
  ASSERT_TRUE(Eventually([&] { return plc.requests().size() > seen + 20; }));
  const auto requests = plc.requests();
  for (size_t i = seen; i < requests.size(); ++i) EXPECT_LE(requests[i][11], 4);
  EXPECT_EQ(Rows(3).size(), 1U);  // Once per transition.
  EXPECT_EQ(node_.events.Count("exception 02 (illegal data address) for pump-7/r3 at address 3"),
            1U);
}

TEST_F(ModbusDriverTest, ADeadDeviceDelaysNobody) {
  Plc live;
  Plc dead([](const Bytes&) { return Bytes{}; });
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(live.port(), 10)),
       PropertyOf(1, "pump-8", "flow", FormOfRegister(dead.port(), 10))});
  ASSERT_TRUE(Eventually([&] { return !dead.requests().empty() && Rows(1).size() == 1; }));
  EXPECT_EQ(Rows(1)[0].quality, telemetry::kBadNoCommunication);
  const size_t before = live.requests().size();
  const size_t asked = dead.requests().size();
  ASSERT_TRUE(Eventually([&] { return live.requests().size() > before + 50; }));
  EXPECT_LE(dead.requests().size(), asked + 3);
  EXPECT_GE(node_.events.Count("down pump-8"), 1U);
  EXPECT_EQ(node_.events.Count("down pump-7"), 0U);
}

TEST_F(ModbusDriverTest, ASilentUnitBehindAGatewayDoesNotSilenceItsNeighbour) {
  std::unique_ptr<Plc> plc;
  plc = std::make_unique<Plc>(
      [&](const Bytes& request) { return request[6] == 1 ? Bytes{} : plc->Normal(request); });
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc->port(), 10, 1)),
       PropertyOf(1, "pump-8", "flow", FormOfRegister(plc->port(), 10, 2))});
  ASSERT_TRUE(Eventually([&] { return Rows(1).size() > 10; }));
  EXPECT_EQ(plc->connections(), 1);
  EXPECT_EQ(Rows(0).size(), 1U);
  drivers_.Stop();
}

TEST_F(ModbusDriverTest, GarbageIsCountedAndTheConnectionDropped) {
  Plc plc([](const Bytes&) {
    const std::string_view text = "HTTP/1.1 400 Bad Request\r\n\r\n";
    return Bytes(text.begin(), text.end());
  });
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc.port(), 10))});
  ASSERT_TRUE(Eventually([&] { return plc.connections() >= 2; }));
  EXPECT_EQ(Rows(0).size(), 1U);
  EXPECT_EQ(Rows(0)[0].quality, telemetry::kBadNoCommunication);
  EXPECT_GE(node_.events.Count(fmt::format("down pump-7 modbus 127.0.0.1:{}", plc.port())), 1U);
  EXPECT_GE(node_.events.Count("48 54 54 50"), 1U);
}

TEST_F(ModbusDriverTest, AnAnswerOfTheWrongLengthIsNotBelieved) {
  std::unique_ptr<Plc> plc;
  plc = std::make_unique<Plc>([&](const Bytes& request) {
    Bytes longer = request;
    longer[11] = static_cast<uint8_t>(longer[11] + 1);
    return plc->Normal(longer);
  });
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc->port(), 10))});
  ASSERT_TRUE(Eventually([&] { return node_.events.Count("4 data bytes") > 0; }));
  EXPECT_FALSE(Has(0, 10));
  drivers_.Stop();
}

TEST_F(ModbusDriverTest, AWrongTransactionIsNotBelieved) {
  std::unique_ptr<Plc> plc;
  plc = std::make_unique<Plc>([&](const Bytes& request) {
    Bytes answer = plc->Normal(request);
    answer[0] ^= 0x40;
    return answer;
  });
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc->port(), 10))});
  ASSERT_TRUE(Eventually([&] { return node_.events.Count("answer to transaction") > 0; }));
  EXPECT_FALSE(Has(0, 10));
  drivers_.Stop();
}

TEST_F(ModbusDriverTest, ComesBackWhenTheDeviceDoes) {
  auto plc = std::make_unique<Plc>();
  const uint16_t port = plc->port();
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(port, 10))});
  ASSERT_TRUE(Eventually([&] { return Has(0, 10); }));
  plc.reset();
  const auto is_bad = [&] { return telemetry::IsBad(Rows(0).back().quality); };
  ASSERT_TRUE(Eventually(is_bad));
  Plc again(nullptr, port);
  EXPECT_TRUE(Eventually([&] { return !is_bad(); }));
  EXPECT_EQ(node_.events.Count("up pump-7 modbus"), 2U);
}

TEST_F(ModbusDriverTest, ANumberThatIsNoneIsASensorFailure) {
  Plc plc;
  plc.offset = static_cast<uint16_t>(0x7FC0 - 10);  // Registers 10 and 11: 0x7FC0 0x7FC1, a NaN.
  things::Form form = FormOfRegister(plc.port(), 10);
  form.modbus.type = ModbusForm::Type::kFloat32;
  Run({PropertyOf(0, "pump-7", "flow", form)});
  ASSERT_TRUE(Eventually([&] { return !Rows(0).empty(); }));
  EXPECT_EQ(Rows(0)[0].quality, telemetry::kBadSensorFailure);
  EXPECT_TRUE(std::isfinite(Rows(0)[0].value));
}

TEST_F(ModbusDriverTest, ATextComesOutOfRegisters) {
  Plc plc;
  plc.offset = static_cast<uint16_t>(0x4142 - 10);  // Registers 10 and 11: "AB", "AC".
  things::Form form = FormOfRegister(plc.port(), 10);
  form.modbus.type = ModbusForm::Type::kString;
  form.modbus.quantity = 2;
  things::Form wide = FormOfRegister(plc.port(), 10);
  wide.modbus.type = ModbusForm::Type::kUint64;
  wide.modbus.quantity = 4;
  Run({PropertyOf(0, "pump-7", "recipe", form, things::ValueType::kString),
       PropertyOf(1, "pump-7", "count", wide, things::ValueType::kInteger)});
  ASSERT_TRUE(Eventually([&] { return Has(0, 1); }));
  EXPECT_EQ(node_.sink.texts(), std::vector<std::string>{"ABAC"});
  ASSERT_TRUE(Eventually([&] { return !node_.quarantine.entries().empty(); }));
  const auto refused = node_.quarantine.entries()[0];
  EXPECT_EQ(refused.point, "pump-7/count");
  EXPECT_NE(refused.message.find("beyond 2^53"), std::string::npos);
  EXPECT_TRUE(Rows(1).empty());
}

TEST_F(ModbusDriverTest, AChangedSourceRestartsAndAnUnchangedOneDoesNot) {
  Plc first, second;
  const auto one = PropertyOf(0, "pump-7", "flow", FormOfRegister(first.port(), 10));
  auto two = PropertyOf(1, "pump-8", "flow", FormOfRegister(second.port(), 10));
  Run({one, two});
  ASSERT_TRUE(Eventually([&] { return Has(0, 10) && Has(1, 10); }));
  two.forms[0].modbus.address = 20;
  Run({one, two});
  ASSERT_TRUE(Eventually([&] { return Has(1, 20); }));
  EXPECT_EQ(first.connections(), 1);
  EXPECT_EQ(second.connections(), 2);
  Run({two});
  EXPECT_EQ(drivers_.addresses().size(), 1U);
}

TEST_F(ModbusDriverTest, NothingComesAfterStop) {
  Plc plc;
  Run({PropertyOf(0, "pump-7", "flow", FormOfRegister(plc.port(), 10))});
  ASSERT_TRUE(Eventually([&] { return Has(0, 10); }));
  drivers_.Stop();
  const size_t rows = Rows(0).size();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(Rows(0).size(), rows);
  EXPECT_TRUE(drivers_.addresses().empty());
}

}  // namespace
}  // namespace penstock::protocols
