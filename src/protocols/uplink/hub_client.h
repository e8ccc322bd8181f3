// One keep-alive connection of an edge to its hub: HTTPS with the edge's certificate, by libcurl.
// Verifies the hub against the authority of its invitation and nothing else.
//
// Thread rule: one thread at a time; Abort from any.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "protocols/uplink/credentials.h"

namespace penstock::protocols::uplink {

struct HubAnswer {
  int status = 0;
  Json body;
  bool ok() const { return status >= 200 && status < 300; }
  // The problem document of the answer as an error.
  Error error() const;
};

class HubClient {
 public:
  HubClient(std::string url, Credentials credentials);
  ~HubClient();

  // kUnavailable when no answer came (refused, cut, too late); then sent() tells how much of the
  // body had left. An answer of any status is a result.
  Result<HubAnswer> Ask(const std::string& method, const std::string& path, std::string_view body,
                        const std::vector<std::string>& headers = {});
  // Bytes a second of the body; 0: as fast as it goes.
  void LimitTo(uint64_t bytes_per_second) { bytes_per_second_ = bytes_per_second; }
  void Abort() { aborted_ = true; }  // A running Ask ends soon, and all later ones.
  uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  struct Handle;
  const std::string url_;
  const Credentials credentials_;
  std::unique_ptr<Handle> handle_;
  std::atomic<uint64_t> bytes_per_second_{0};
  std::atomic<uint64_t> bytes_sent_{0};
  std::atomic<bool> aborted_{false};
};

}  // namespace penstock::protocols::uplink
