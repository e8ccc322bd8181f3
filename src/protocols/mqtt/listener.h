// The MQTT listener of the node: accepts devices on a socket and lets a Broker talk with them.
//
// Thread rule: Open, Apply and Stop from any one thread; everything else happens on the listener's
// own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/site.h"
#include "protocols/driver/driver.h"
#include "protocols/mqtt/broker.h"

namespace penstock::protocols::mqtt {

struct ListenerOptions {
  Endpoint endpoint{"127.0.0.1", 1883};  // Port 0: the system chooses.
  BrokerOptions broker;
  // Asked for each new connection; unset: without TLS. A handshake counts into
  // broker.connect_within.
  std::function<trust::Tls::Context()> tls;
};

class Listener {
 public:
  // Listens when it returns. kAlreadyExists: the port is in use.
  static Result<std::unique_ptr<Listener>> Open(ListenerOptions options,
                                                const DriverContext& context,
                                                MqttAuthorizer& authorizer = LoopbackOnly());
  ~Listener();  // Stop().

  uint16_t port() const;
  // From now on publishes are mapped by this snapshot's forms. Messages before it are not mapped to
  // points.
  void Apply(const things::Snapshot& snapshot);
  // Closes every connection; persistent sessions and retained messages are gone. No sample and no
  // event after it.
  void Stop();

 private:
  class Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::protocols::mqtt
