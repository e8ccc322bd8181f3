// Written out instead of taken from libmodbus: its server answers any unit, knows one contiguous
// block per table and one connection, while a PLC has holes between its registers, which is what
// exception 02 is for. A request for another unit gets exception 11 (gateway target device failed
// to respond), as from a gateway with nothing behind it.
//
// One thread runs all connections. A request is at most 260 bytes; a header that is not Modbus
// (protocol not 0, length out of 2..254) closes the connection, since the stream cannot be in step
// any more.
#include "plant/modbus_server.h"

#include <array>
#include <bit>
#include <boost/asio.hpp>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "plant/line.h"

namespace penstock::plant {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr uint8_t kIllegalFunction = 1, kIllegalAddress = 2, kIllegalValue = 3, kNoTarget = 11;
constexpr size_t kHeader = 7, kConnectionsMax = 16;
constexpr uint16_t kRegistersMax = 125, kCoilsMax = 2000;

uint16_t Word(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// Header of `request` with the length of `pdu`, then `pdu`.
Bytes Frame(ByteView request, const Bytes& pdu) {
  const size_t length = pdu.size() + 1;
  Bytes answer(kHeader + pdu.size());
  std::copy_n(request.data(), kHeader, answer.data());
  std::copy_n(pdu.data(), pdu.size(), answer.data() + kHeader);
  answer[4] = static_cast<uint8_t>(length >> 8);
  answer[5] = static_cast<uint8_t>(length);
  return answer;
}

Bytes Exception(uint8_t function, uint8_t code) {
  return {static_cast<uint8_t>(function | 0x80), code};
}

Bytes ReadCoils(const std::map<uint16_t, bool>& coils, uint16_t address, uint16_t count) {
  if (count == 0 || count > kCoilsMax) return Exception(1, kIllegalValue);
  Bytes pdu = {1, static_cast<uint8_t>((count + 7) / 8)};
  pdu.resize(2 + pdu[1]);
  for (uint32_t i = 0; i < count; ++i) {
    const auto found =
        address + i > 0xFFFF ? coils.end() : coils.find(static_cast<uint16_t>(address + i));
    if (found == coils.end()) return Exception(1, kIllegalAddress);
    if (found->second) pdu[2 + i / 8] = static_cast<uint8_t>(pdu[2 + i / 8] | 1 << i % 8);
  }
  return pdu;
}

Bytes ReadRegisters(const std::map<uint16_t, uint16_t>& registers, uint8_t function,
                    uint16_t address, uint16_t count) {
  if (count == 0 || count > kRegistersMax) return Exception(function, kIllegalValue);
  Bytes pdu = {function, static_cast<uint8_t>(2 * count)};
  for (uint32_t i = 0; i < count; ++i) {
    const auto found =
        address + i > 0xFFFF ? registers.end() : registers.find(static_cast<uint16_t>(address + i));
    if (found == registers.end()) return Exception(function, kIllegalAddress);
    pdu.push_back(static_cast<uint8_t>(found->second >> 8));
    pdu.push_back(static_cast<uint8_t>(found->second));
  }
  return pdu;
}

class Server;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Server& server) : socket_(std::move(socket)), server_(server) {}
  ~Connection();
  void ReadHeader();

 private:
  void ReadBody(size_t length);
  void Answer(size_t length);

  tcp::socket socket_;
  Server& server_;
  std::array<uint8_t, 260> request_{};
  Bytes answer_;
};

class Server final : public ModbusServer {
 public:
  Server() : acceptor_(io_) {}
  ~Server() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status Listen(uint16_t port) {
    boost::system::error_code error;
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return FromErrno(error.value(), fmt::format("modbus server 127.0.0.1:{}", port));
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::jthread([this] { io_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }

  void Set(RegisterMap map) override {
    const std::lock_guard lock(mutex_);
    map_ = std::move(map);
  }

  Bytes Answer(ByteView request) {
    const std::lock_guard lock(mutex_);
    return AnswerModbus(map_, request);
  }

  size_t connections = 0;  // Of the io thread.

 private:
  void Accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && connections < kConnectionsMax) {
        ++connections;
        std::make_shared<Connection>(std::move(socket), *this)->ReadHeader();
      } else if (!error) {
        LogSometimes(LogLevel::kWarn, "plant modbus full",
                     "plant: modbus connection refused, 16 are open");
      }
      Accept();
    });
  }

  std::mutex mutex_;
  RegisterMap map_;
  uint16_t port_ = 0;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::jthread thread_;
};

Connection::~Connection() { --server_.connections; }

void Connection::ReadHeader() {
  asio::async_read(socket_, asio::buffer(request_.data(), kHeader),
                   [self = shared_from_this()](boost::system::error_code error, size_t) {
                     if (error) return;
                     const ByteView header(self->request_.data(), kHeader);
                     const uint16_t protocol = Word(header, 2), length = Word(header, 4);
                     if (protocol != 0 || length < 2 || length > 254) return;
                     self->ReadBody(length - 1u);
                   });
}

void Connection::ReadBody(size_t length) {
  asio::async_read(socket_, asio::buffer(request_.data() + kHeader, length),
                   [self = shared_from_this(), length](boost::system::error_code error, size_t) {
                     if (!error) self->Answer(length);
                   });
}

void Connection::Answer(size_t length) {
  answer_ = server_.Answer(ByteView(request_.data(), kHeader + length));
  asio::async_write(socket_, asio::buffer(answer_),
                    [self = shared_from_this()](boost::system::error_code error, size_t) {
                      if (!error) self->ReadHeader();
                    });
}

}  // namespace

Bytes AnswerModbus(const RegisterMap& map, ByteView request) {
  if (request.size() < kHeader + 1 || Word(request, 2) != 0 ||
      Word(request, 4) + 6u != request.size())
    return {};
  const uint8_t function = request[kHeader];
  if (request[6] != map.unit) return Frame(request, Exception(function, kNoTarget));
  if (function != 1 && function != 3 && function != 4)
    return Frame(request, Exception(function, kIllegalFunction));
  if (request.size() != kHeader + 5) return Frame(request, Exception(function, kIllegalValue));
  const uint16_t address = Word(request, kHeader + 1), count = Word(request, kHeader + 3);
  if (function == 1) return Frame(request, ReadCoils(map.coils, address, count));
  return Frame(request,
               ReadRegisters(function == 3 ? map.holding : map.input, function, address, count));
}

RegisterMap PumpRegisters(const Station& pump) {
  RegisterMap map;
  const auto points = pump.machine().points();
  const auto counts = [&](size_t row) -> uint16_t {
    const Measured& measured = pump.measured()[row];
    if (measured.lost) return 0x8000;
    return static_cast<uint16_t>(std::lround(measured.value / points[row].step));
  };
  const auto bits = [&](size_t row) {
    const Measured& measured = pump.measured()[row];
    return measured.lost ? 0x7FC00000u
                         : std::bit_cast<uint32_t>(static_cast<float>(measured.value));
  };
  const uint32_t discharge = bits(0), suction = bits(1);
  map.holding[40] = static_cast<uint16_t>(discharge >> 16);
  map.holding[41] = static_cast<uint16_t>(discharge);
  map.holding[42] = static_cast<uint16_t>(suction);  // Little word order: low word first.
  map.holding[43] = static_cast<uint16_t>(suction >> 16);
  map.holding[44] = counts(2);
  map.holding[45] = counts(3);
  map.holding[46] = counts(4);
  map.input[10] = counts(5);
  map.input[11] = counts(6);
  map.coils[0] = pump.measured()[7].value != 0;
  return map;
}

Result<std::unique_ptr<ModbusServer>> ModbusServer::Start(uint16_t port) {
  auto server = std::make_unique<Server>();
  TRY(server->Listen(port));
  return server;
}

}  // namespace penstock::plant
