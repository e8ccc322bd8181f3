// The crew's way to the node: REST over HTTP with a bearer token, one request at a time.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace penstock::plant {

class NodeClient {
 public:
  virtual ~NodeClient() = default;
  // `path` begins with "/api/v1/". An answer that is not 2xx is an error with the problem's detail.
  virtual Result<Json> Get(const std::string& path) = 0;
  // `key` makes a repetition harmless (Idempotency-Key).
  virtual Result<Json> Post(const std::string& path, const Json& body, const std::string& key) = 0;

  // `url`: http://HOST[:PORT], a loopback or trusted address. Each request takes at most 3 s, an
  // answer 4 MiB.
  static Result<std::unique_ptr<NodeClient>> Make(const std::string& url, const std::string& token);
};

}  // namespace penstock::plant
