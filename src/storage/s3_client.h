// One S3 server over HTTP(S): signed requests on kept connections, tried again with back-off and
// jitter when the server is busy or the network fails. Path-style addresses ("/bucket/key"), which
// every S3-compatible server understands.
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/random.h"
#include "storage/s3_sign.h"

namespace penstock::storage {

struct S3Address {
  std::string bucket, prefix;  // The prefix is empty or ends in "/".
  std::string host;            // With the port, as in the Host header.
  std::string region = "us-east-1";
  std::string ca_file;  // Empty: the system's.
  bool tls = true;
};
// "s3://BUCKET[/PREFIX]@HOST[:PORT][?region=R&tls=off&ca=FILE]"; kInvalidArgument with the fix.
Result<S3Address> ParseS3Address(std::string_view text);
// From the environment; kUnauthenticated with the fix when there are none.
Result<S3Credentials> FindS3Credentials();

struct S3Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // Lower-case names; at most 64 KiB together.
  std::string body;                            // Unless a sink took it.
};

class S3Client {
 public:
  // Takes the content of a successful answer, piece by piece.
  using Sink = std::function<Status(ByteView piece)>;
  static constexpr int kTries = 6;

  S3Client(S3Address address, S3Credentials credentials);
  ~S3Client();

  // A 2xx answer, or an error that names what the server said. `path` of the request is filled
  // from `key` (empty: the bucket itself).
  Result<S3Answer> Call(const std::string& key, const S3Request& request, ByteView content = {});
  // Without trying again. `again` tells whether another try could help.
  Result<S3Answer> CallOnce(const std::string& key, S3Request request, ByteView content,
                            const Sink& sink, bool* again);
  // Waits before the next try (0, 1, ...); kCancelled when stopped.
  Status WaitBefore(int retry);
  void Stop();

  const S3Address& address() const { return address_; }

 private:
  struct Exchange;
  void* TakeHandle();
  void GiveBack(void* handle);

  const S3Address address_;
  const S3Credentials credentials_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  std::atomic<bool> stopped_{false};
  Random random_;
  std::vector<void*> idle_;  // CURL handles with their connections; at most 8.
};

}  // namespace penstock::storage
