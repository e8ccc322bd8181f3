// The pump's legacy PLC: a Modbus TCP slave that answers reads of what it knows and exceptions for
// the rest.
//
// Thread rule: Set() from any thread; it runs its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::plant {

class Station;

// By zero-based address; an address that is not here is answered with exception 02.
struct RegisterMap {
  uint8_t unit = 1;
  std::map<uint16_t, bool> coils;
  std::map<uint16_t, uint16_t> holding, input;
};

// The PLC's wiring of pump-7: docs in examples/bottling/things/pump-7.td.json.
RegisterMap PumpRegisters(const Station& pump);

// One request (header and protocol data unit, complete) -> one answer; empty when the header is not
// Modbus. Functions 1 (coils), 3 (holding), 4 (input) are read; others get exception 01. Limits of
// the standard: 2000 coils, 125 registers.
Bytes AnswerModbus(const RegisterMap& map, ByteView request);

class ModbusServer {
 public:
  virtual ~ModbusServer() = default;
  virtual uint16_t port() const = 0;
  virtual void Set(RegisterMap map) = 0;

  // Listens on 127.0.0.1; port 0: the system chooses. At most 16 connections.
  static Result<std::unique_ptr<ModbusServer>> Start(uint16_t port);
};

}  // namespace penstock::plant
