#include "plant/modbus_server.h"

#include <gtest/gtest.h>
#include <modbus/modbus.h>

#include <cerrno>

#include "plant/line.h"

namespace penstock::plant {
namespace {

struct Closer {
  void operator()(modbus_t* client) const {
    modbus_close(client);
    modbus_free(client);
  }
};
using Client = std::unique_ptr<modbus_t, Closer>;

Client Connect(uint16_t port, int unit = 1) {
  Client client(modbus_new_tcp("127.0.0.1", port));
  modbus_set_slave(client.get(), unit);
  EXPECT_EQ(modbus_connect(client.get()), 0) << modbus_strerror(errno);
  return client;
}

class ModbusServerTest : public testing::Test {
 protected:
  void SetUp() override {
    line_.AdvanceTo(Time{} + std::chrono::minutes(3), nullptr);
    auto server = ModbusServer::Start(0);
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(*server);
    server_->Set(PumpRegisters(pump()));
  }
  const Station& pump() { return *line_.Find("pump-7"); }
  double Measured(size_t row) { return pump().measured()[row].value; }

  Truth truth_;
  Line line_{{3, Time{}, std::chrono::seconds(120), {}}, truth_};
  std::unique_ptr<ModbusServer> server_;
};

TEST_F(ModbusServerTest, GivesFloatsInBothWordOrdersAndScaledIntegers) {
  const Client client = Connect(server_->port());
  uint16_t words[7];
  ASSERT_EQ(modbus_read_registers(client.get(), 40, 7, words), 7) << modbus_strerror(errno);
  EXPECT_EQ(modbus_get_float_abcd(words), static_cast<float>(Measured(0)));
  EXPECT_EQ(modbus_get_float_cdab(words + 2), static_cast<float>(Measured(1)));
  EXPECT_DOUBLE_EQ(words[4] * 0.1, Measured(2));
  EXPECT_DOUBLE_EQ(words[5] * 0.01, Measured(3));
  EXPECT_EQ(words[6], Measured(4));
  ASSERT_EQ(modbus_read_input_registers(client.get(), 10, 2, words), 2);
  EXPECT_DOUBLE_EQ(static_cast<int16_t>(words[0]) * 0.1, Measured(5));
  EXPECT_DOUBLE_EQ(words[1] * 0.1, Measured(6));
  uint8_t coil = 9;
  ASSERT_EQ(modbus_read_bits(client.get(), 0, 1, &coil), 1);
  EXPECT_EQ(coil, 1);
}

TEST_F(ModbusServerTest, AnswersWhatItDoesNotKnowWithExceptions) {
  const Client client = Connect(server_->port());
  uint16_t words[200];
  EXPECT_EQ(modbus_read_registers(client.get(), 47, 1, words), -1);
  EXPECT_EQ(errno, EMBXILADD);
  EXPECT_EQ(modbus_read_registers(client.get(), 46, 2, words), -1);
  EXPECT_EQ(errno, EMBXILADD);
  uint8_t bits[4];
  EXPECT_EQ(modbus_read_bits(client.get(), 1, 1, bits), -1);
  EXPECT_EQ(errno, EMBXILADD);
  EXPECT_EQ(modbus_write_register(client.get(), 40, 1), -1);
  EXPECT_EQ(errno, EMBXILFUN);
  ASSERT_EQ(modbus_read_registers(client.get(), 40, 7, words), 7);  // It goes on.
}

TEST_F(ModbusServerTest, KnowsItsOwnUnitAlone) {
  const Client client = Connect(server_->port(), 2);
  uint16_t word;
  EXPECT_EQ(modbus_read_registers(client.get(), 40, 1, &word), -1);
  EXPECT_EQ(errno, EMBXGTAR);
}

TEST_F(ModbusServerTest, ServesSeveralMasters) {
  std::vector<Client> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(Connect(server_->port()));
  uint16_t word;
  for (const Client& client : clients)
    EXPECT_EQ(modbus_read_registers(client.get(), 46, 1, &word), 1);
}

TEST_F(ModbusServerTest, SaysWhenThePortIsTaken) {
  const auto second = ModbusServer::Start(server_->port());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kAlreadyExists);
}

TEST(AnswerModbusTest, LimitsAndTornRequests) {
  RegisterMap map;
  for (uint16_t i = 0; i < 300; ++i) map.holding[i] = i;
  const auto ask = [&](uint8_t function, uint16_t address, uint16_t count) {
    const Bytes request = {0,
                           7,
                           0,
                           0,
                           0,
                           6,
                           1,
                           function,
                           static_cast<uint8_t>(address >> 8),
                           static_cast<uint8_t>(address),
                           static_cast<uint8_t>(count >> 8),
                           static_cast<uint8_t>(count)};
    return AnswerModbus(map, request);
  };
  EXPECT_EQ(ask(3, 0, 125).size(), 7u + 2 + 250);
  EXPECT_EQ(ask(3, 0, 126), (Bytes{0, 7, 0, 0, 0, 3, 1, 0x83, 3}));
  EXPECT_EQ(ask(3, 0, 0), (Bytes{0, 7, 0, 0, 0, 3, 1, 0x83, 3}));
  EXPECT_EQ(ask(3, 65535, 2), (Bytes{0, 7, 0, 0, 0, 3, 1, 0x83, 2}));
  EXPECT_EQ(ask(43, 0, 1), (Bytes{0, 7, 0, 0, 0, 3, 1, 0xAB, 1}));
  EXPECT_TRUE(AnswerModbus(map, Bytes{0, 7, 0, 0, 0, 6, 1}).empty());
  EXPECT_TRUE(AnswerModbus(map, Bytes{0, 7, 0, 1, 0, 2, 1, 3}).empty());
  EXPECT_EQ(AnswerModbus(map, Bytes{0, 7, 0, 0, 0, 2, 1, 3}),
            (Bytes{0, 7, 0, 0, 0, 3, 1, 0x83, 3}));
}

}  // namespace
}  // namespace penstock::plant
