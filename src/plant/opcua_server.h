// The gearbox inverter's OPC UA server: one object with analog variables (engineering unit, range),
// a coil, and the vibration as an array of Double, in a namespace of its own. Security policy None,
// anonymous.
//
// Thread rule: Write() from any thread; it runs its own.
#pragma once

#include <memory>
#include <span>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::plant {

struct Report;

inline constexpr const char* kGearboxNamespace = "urn:acme:gearbox";

class OpcUaServer {
 public:
  virtual ~OpcUaServer() = default;
  virtual uint16_t port() const = 0;
  // Scalars with the report's time, the waveform with that of its first sample, as source
  // timestamps. A lost sensor has no value and status BadSensorFailure.
  virtual void Write(const Report& gearbox) = 0;

  // Listens on 127.0.0.1; port 0: the system chooses.
  static Result<std::unique_ptr<OpcUaServer>> Start(uint16_t port);
};

}  // namespace penstock::plant
