#include "protocols/mqtt/authorizer.h"

namespace penstock::protocols::mqtt {
namespace {

class LoopbackAuthorizer final : public MqttAuthorizer {
 public:
  Result<std::string> Connect(const Login& login) override {
    if (login.remote.starts_with("127.") || login.remote.starts_with("[::1]")) return "loopback";
    return PermissionDenied("{} is not on this machine", login.remote);
  }
  bool MayPublish(std::string_view, std::string_view) override { return true; }
  bool MaySubscribe(std::string_view, std::string_view) override { return true; }
};

}  // namespace

MqttAuthorizer& LoopbackOnly() {
  static LoopbackAuthorizer authorizer;  // It has no state.
  return authorizer;
}

}  // namespace penstock::protocols::mqtt
