// The stream between machines: messages on 1 to 64 partitions, replicated by NATS JetStream, taken
// by one reader of a partition at a time, kept until the reader says that it is done with them.
// Wire: docs/formats/stream.md.
//
// The stream carries; it does not keep. Its acknowledgement means that a majority of its servers
// has the message in memory, not that a disk has it, so whoever publishes keeps the original until
// the reader's own word (a fact, see below) says that it is durable there.
//
// Thread rule: any thread; a StreamReader belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace penstock::storage {

struct StreamOptions {
  // "nats://HOST:PORT[,nats://HOST:PORT...][?domain=NAME]"; tls:// with a verified certificate. The
  // domain is that of the servers' JetStream, for who reaches them through a leaf node.
  std::string url;
  std::string name = "penstock";  // Of the stream; letters, digits, "-".
  uint32_t partitions = 16;
  uint32_t replicas = 3;
  uint64_t max_bytes = 1ULL << 30;  // A full stream refuses new messages; nothing is dropped.
  size_t window = 1024;             // Messages on their way to the stream at most, and
  size_t window_bytes = 16 << 20;   // their bytes.
  std::chrono::milliseconds lease{10'000};      // What a reader that died holds its partition.
  std::chrono::milliseconds redeliver{30'000};  // A message not done with comes again.
};

struct StreamMessage {
  std::string id;
  std::string bytes;
  std::function<void()> done;  // Once it is durable; any thread, while the stream lives.
};

struct StreamFact {
  std::string value;
  uint64_t number = 0;  // Of its last writing.
};

class StreamReader {
 public:
  virtual ~StreamReader() = default;
  // Up to `max` messages of about `max_bytes` in their order; none when none came in time.
  virtual Result<std::vector<StreamMessage>> Fetch(size_t max, size_t max_bytes,
                                                   std::chrono::milliseconds wait) = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;
  // Connects, makes the stream where it is not; kFailedPrecondition when it has other partitions.
  static Result<std::unique_ptr<Stream>> Open(StreamOptions options);

  // Hands a message to the stream; waits while the window is full. A message whose id came in the
  // last two minutes is not stored again. Fails once a message before this one failed; then begin
  // again from what is known to have arrived (Restart).
  virtual Status Publish(uint32_t partition, const std::string& id, ByteView bytes) = 0;
  // Until everything published is acknowledged by the stream, or failed.
  virtual Status WaitPublished(std::chrono::milliseconds wait) = 0;
  virtual void Restart() = 0;  // Forgets the failure.

  // From the first message on that nobody is done with; an earlier reader gets no more.
  virtual Result<std::unique_ptr<StreamReader>> Read(uint32_t partition) = 0;

  // Facts: small values that all sides see, kept by the stream's servers on all replicas. Keys are
  // letters, digits, "-", "_" and ".". What is read may be a moment old.
  virtual Result<StreamFact> Fact(const std::string& key) = 0;  // kNotFound.
  // Writes a fact that nobody has written since `number` (0: that is not there) and returns its new
  // number; kAborted when somebody has.
  virtual Result<uint64_t> SetFact(const std::string& key, const std::string& value,
                                   uint64_t number) = 0;
  // News: not kept, to who listens now.
  virtual Status Tell(const std::string& topic, const std::string& text) = 0;
  // `heard` is called on another thread until the stream closes.
  virtual Status Listen(const std::string& topic, std::function<void(std::string)> heard) = 0;

  // Leases: one holder of a name until it gives it back or does not renew it in time. Returns the
  // number to renew with. kAlreadyExists while somebody else holds it; kAborted when it was lost.
  virtual Result<uint64_t> TakeLease(const std::string& name, const std::string& holder) = 0;
  virtual Result<uint64_t> RenewLease(const std::string& name, const std::string& holder,
                                      uint64_t number) = 0;
  virtual void GiveLease(const std::string& name) = 0;
  // Names of all leases that somebody holds.
  virtual Result<std::vector<std::string>> Leases() = 0;

  virtual const StreamOptions& options() const = 0;
};

}  // namespace penstock::storage
