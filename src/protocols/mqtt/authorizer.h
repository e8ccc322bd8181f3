// Who may connect, publish and subscribe. Owned by the listener's room; the node gives one that
// knows its devices.
//
// Thread rule: called on the listener's thread, which serves every client: answer from memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "trust/tls.h"

namespace penstock::protocols::mqtt {

class MqttAuthorizer {
 public:
  struct Login {
    std::string_view client_id;
    std::optional<std::string_view> user_name, password;
    std::string_view remote;  // "127.0.0.1:40312"
    trust::TlsPeer peer;      // Its certificate, if it showed one that our authority signed.
  };
  virtual ~MqttAuthorizer() = default;

  // The principal's name, handed back to the other two. kUnauthenticated: bad user name or
  // password; kUnavailable: cannot tell now; any other error: not authorized. The error's message
  // is logged, never sent.
  virtual Result<std::string> Connect(const Login& login) = 0;
  virtual bool MayPublish(std::string_view principal, std::string_view topic) = 0;
  virtual bool MaySubscribe(std::string_view principal, std::string_view filter) = 0;
};

// Everything for clients of this machine, nothing for others: the default of a listener on
// loopback.
MqttAuthorizer& LoopbackOnly();

}  // namespace penstock::protocols::mqtt
