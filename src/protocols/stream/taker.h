// A hub's side of the stream: holds leases on its share of the partitions, applies their messages
// once, and tells the edges what is durable. When a hub dies, its leases run out and the others
// take its partitions from where it had said that it was.
//
// Every row is at one hub: before a hub applies the first row of an edge's partition it writes
// itself into that partition's fact (applied.h), and it confirms rows only by changing the fact
// that it has read. So of two hubs that believe to have a partition one finds out. What a hub made
// durable and had not confirmed when it died, it forgets when it comes back (settle.h).
//
// Rows are applied without a hole, so that all of them can be confirmed: what comes behind rows
// that are missing is given back, and the edge, to whom nobody confirms it, sends all of it again.
//
// Thread rule: Start and Stop from the owner; ToJson and Confirm from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "protocols/stream/applied.h"
#include "protocols/uplink/receiver.h"
#include "storage/stream.h"
#include "telemetry/origins.h"

namespace penstock::protocols::stream {

struct TakerOptions {
  std::string hub;                // Its name among the hubs; letters, digits and "-".
  size_t fetch = 128;             // Messages asked for at once, and
  size_t fetch_bytes = 1 << 20;   // their bytes.
  size_t moving = 1024;           // Messages of a partition that wait for the disk, and
  size_t moving_bytes = 4 << 20;  // their bytes; of all partitions eight times as much.
};

class Taker {
 public:
  struct Parts {
    storage::Stream& stream;
    uplink::Receiver& receiver;
    telemetry::Origins& origins;
    const Clock& clock;
  };
  Taker(TakerOptions options, Parts parts);
  ~Taker();  // Stop().

  void Start();
  void Stop();  // Finishes what was fetched, says so, gives the leases back.
  // Confirms what is durable now; not while the stream is away. Before rows go where they cannot be
  // forgotten any more.
  void Confirm();
  // {"hub", "partitions": [3, 7 ...], "messages", "refused", "skipped", "doubled"}
  Json ToJson() const;

 private:
  struct Partition;
  using Source = std::pair<std::string, uint64_t>;  // Edge and stream epoch.
  void HoldLeases(const std::stop_token& stop);
  Status Balance();
  void Take(uint32_t number);
  void Drop(uint32_t number, bool give_back);
  void Read(Partition& partition, const std::stop_token& stop);
  void Apply(Partition& partition, storage::StreamMessage message);
  enum class Place { kNext, kBehindHole, kUnclaimed };
  Place PlaceOf(const Source& source, uint64_t first, uint64_t rows);
  void Rewind(uint32_t partition);
  struct Claim {
    Applied applied;
    uint64_t number = 0;  // Of the fact.
    uint64_t next = 0;    // The row that shall come; those before are applied.
  };
  using Answers = std::vector<std::function<void()>>;
  Status Meet(const Source& source);
  Status Claimed(const Source& source, Claim claim);
  void Say(const std::stop_token& stop);
  void SayOnce();
  Result<bool> SayOf(const Source& source);
  void LoseClaim(const Source& source, const Applied& now);

  const TakerOptions options_;
  const Parts parts_;
  uint64_t member_ = 0;       // Number of the lease that makes this hub known.
  mutable std::mutex mutex_;  // Guards held_ (its map), changed_ and claims_.
  std::map<uint32_t, std::unique_ptr<Partition>> held_;
  std::map<Source, Claim> claims_;
  // Messages that are durable here, to be said so and then given back to the stream, in this
  // order: what the stream has forgotten is in the facts.
  std::map<Source, Answers> changed_;
  std::mutex saying_;                                            // One thread says at a time.
  std::atomic<std::chrono::steady_clock::rep> silent_until_{0};  // The stream was away.
  std::atomic<uint64_t> messages_{0}, refused_{0}, doubled_{0}, skipped_{0};
  std::jthread leases_thread_, say_thread_;
};

}  // namespace penstock::protocols::stream
