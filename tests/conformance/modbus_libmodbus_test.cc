// Our Modbus driver against libmodbus as the device: an implementation that is not ours.
#include <cerrno>
#include <thread>

#include <gtest/gtest.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocols/driver/test_doubles.h"

namespace penstock::protocols {
namespace {

using things::ModbusForm;

// Registers 0 to 99 and coils 0 to 63; everything else is an illegal data address.
class LibmodbusPlc {
 public:
  LibmodbusPlc() {
    context_ = modbus_new_tcp("127.0.0.1", 0);
    map_ = modbus_mapping_new(64, 64, 100, 100);
    map_->tab_registers[10] = 1234;
    // 3.5 is 0x40600000, -7.25 is 0xC0E80000; by hand, since the byte order of
    // modbus_set_float_abcd() changed between versions of libmodbus.
    map_->tab_registers[20] = 0x4060;
    map_->tab_registers[21] = 0x0000;
    map_->tab_registers[22] = 0x0000;
    map_->tab_registers[23] = 0xC0E8;
    map_->tab_input_registers[5] = static_cast<uint16_t>(-40);
    map_->tab_bits[3] = 1;
    map_->tab_input_bits[33] = 1;
    listener_ = modbus_tcp_listen(context_, 1);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { Serve(stop); });
  }
  ~LibmodbusPlc() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    ::shutdown(modbus_get_socket(context_), SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    modbus_close(context_);
    modbus_mapping_free(map_);
    modbus_free(context_);
  }
  uint16_t port() const { return port_; }

 private:
  void Serve(const std::stop_token& stop) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    while (!stop.stop_requested() && modbus_tcp_accept(context_, &listener_) >= 0) {
      while (true) {
        const int size = modbus_receive(context_, query);
        if (size < 0) break;
        modbus_reply(context_, query, size, map_);
      }
    }
  }
  modbus_t* context_;
  modbus_mapping_t* map_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::jthread thread_;
};

TEST(ModbusLibmodbusTest, EveryEntityAndTypeIsReadAsItWasSet) {
  LibmodbusPlc plc;
  TestNode node;
  uint32_t next = 0;
  std::vector<things::Property> properties;
  const auto add = [&](ModbusForm::Entity entity, ModbusForm::Type type, uint16_t address,
                       bool big_word = true) {
    things::Form form;
    form.protocol = things::Protocol::kModbus;
    form.modbus.host = "127.0.0.1";
    form.modbus.port = plc.port();
    form.modbus.entity = entity;
    form.modbus.type = type;
    form.modbus.address = address;
    form.modbus.most_significant_word = big_word;
    form.modbus.polling = std::chrono::milliseconds(10);
    properties.push_back(PropertyOf(next, "plc", fmt::format("p{}", next), std::move(form)));
    ++next;
  };
  add(ModbusForm::Entity::kHoldingRegister, ModbusForm::Type::kUint16, 10);
  add(ModbusForm::Entity::kHoldingRegister, ModbusForm::Type::kFloat32, 20);
  add(ModbusForm::Entity::kHoldingRegister, ModbusForm::Type::kFloat32, 22, false);
  add(ModbusForm::Entity::kInputRegister, ModbusForm::Type::kInt16, 5);
  add(ModbusForm::Entity::kCoil, ModbusForm::Type::kBoolean, 3);
  add(ModbusForm::Entity::kDiscreteInput, ModbusForm::Type::kBoolean, 33);
  add(ModbusForm::Entity::kHoldingRegister, ModbusForm::Type::kUint16, 99);
  add(ModbusForm::Entity::kHoldingRegister, ModbusForm::Type::kUint16, 101);  // Beyond the table.
  Drivers drivers(node.context());
  drivers.Apply(SnapshotOf(properties));
  ASSERT_TRUE(Eventually([&] {
    for (uint32_t i = 0; i < next; ++i) {
      if (node.sink.rows(PointId{i}).empty()) return false;
    }
    return true;
  }));
  const double expected[] = {1234, 3.5, -7.25, -40, 1, 1, 0};
  for (uint32_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(node.sink.rows(PointId{i})[0].value, expected[i]) << i;
    EXPECT_EQ(node.sink.rows(PointId{i})[0].quality, telemetry::kGood) << i;
  }
  EXPECT_EQ(node.sink.rows(PointId{7})[0].quality, telemetry::kBadNoCommunication);
}

}  // namespace
}  // namespace penstock::protocols
