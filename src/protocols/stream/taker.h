// A hub's side of the stream: holds leases on its share of the partitions, applies their messages
// once, and tells the edges what is durable. When a hub dies, its leases run out and the others
// take its partitions from where it had said that it was.
//
// Every row is at one hub: before a hub applies the first row of an edge's partition it writes
// itself into that partition's fact (applied.h), and it confirms rows only by changing the fact
// that it has read. So of two hubs that believe to have a partition one finds out. What a hub made
// durable and cannot confirm any more, because it died or was cut off for too long, it forgets:
// such rows are kept out of the history's files (Confirm), and a replay of the log leaves them out
// (settle.h). A hub that lives starts anew for that.
//
// Rows are applied without a hole, so that all of them can be confirmed: what comes behind rows
// that are missing is given back, and the edge, to whom nobody confirms it, sends all of it again.
//
// Thread rule: Start and Stop from the owner; ToJson and Confirm from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
  // What rows wait for missing ones before them: these come again within a second or two, or when
  // their edge has waited for 20 s.
  std::chrono::seconds hole_patience{45};
};

class Taker {
 public:
  struct Parts {
    storage::Stream& stream;
    uplink::Receiver& receiver;
    telemetry::Origins& origins;
    const Clock& clock;
    // Ends this life of the program, to begin the next one with a replay. When it returns it has
    // failed, and is called again.
    std::function<void(const std::string& why)> start_anew;
  };
  Taker(TakerOptions options, Parts parts);
  ~Taker();  // Stop().

  void Start();
  void Stop();  // Finishes what was fetched, says so, gives the leases back.
  // Confirms what is durable now, and waits 3 s for it at most. kUnavailable while there are rows
  // that are not confirmed: before these go where they cannot be forgotten any more.
  Status Confirm();
  // {"hub", "partitions": [3, 7 ...], "messages", "refused", "skipped", "unconfirmed", "error"}:
  // rows that wait to be confirmed; what the stream answered last, when that was no success.
  Json ToJson() const;

 private:
  struct Partition;
  using Source = std::pair<std::string, uint64_t>;  // Edge and stream epoch.
  void HoldLeases(const std::stop_token& stop);
  Status Balance();
  void Take(uint32_t number);
  void Drop(uint32_t number);
  void Read(Partition& partition, const std::stop_token& stop);
  void Apply(Partition& partition, storage::StreamMessage message);
  enum class Place { kNext, kBehindHole, kUnclaimed };
  Place PlaceOf(const Source& source, uint64_t first, uint64_t rows);
  void Rewind(uint32_t partition);
  struct Claim {
    Applied applied;
    uint64_t number = 0;  // Of the fact.
    uint64_t next = 0;    // The row that shall come; those before are applied.
    bool fresh = true;    // Read since this hub took the partition.
  };
  using Answers = std::vector<std::function<void()>>;
  Status Meet(const Source& source);
  Status Claimed(const Source& source, Claim claim);
  void Say(const std::stop_token& stop);
  Status SayOnce();
  Result<bool> SayOf(const Source& source);
  void Answered(const Status& status);
  uint64_t UnconfirmedOf(const Source& source, const Claim& claim) const;
  uint64_t Unconfirmed() const;
  bool StillOurs(const Source& source, const Claim& claim, const Applied& now);
  void LookForHoles(bool confirmed);

  const TakerOptions options_;
  const Parts parts_;
  uint64_t member_ = 0;       // Number of the lease that makes this hub known.
  mutable std::mutex mutex_;  // Guards held_ (its map) and what follows, to saying_.
  std::map<uint32_t, std::unique_ptr<Partition>> held_;
  std::map<Source, Claim> claims_;
  // Messages that are durable here, to be said so and then given back to the stream, in this
  // order: what the stream has forgotten is in the facts.
  std::map<Source, Answers> changed_;
  Status answered_;  // What the stream answered last, and since when it was no success.
  Time failing_since_{};
  std::chrono::steady_clock::time_point silent_until_{};  // It is not asked for a while then.
  // The first rows that wait for missing ones before them, and since when.
  std::optional<std::pair<Source, uint64_t>> hole_;
  std::chrono::steady_clock::time_point hole_since_{};
  // Confirm asks the thread that says, so that nobody else waits for the network.
  bool says_ = false;
  uint64_t asked_ = 0, said_ = 0;
  std::condition_variable_any asked_changed_, said_changed_;
  std::mutex saying_;  // One thread says at a time.
  std::atomic<uint64_t> messages_{0}, refused_{0}, skipped_{0};
  std::jthread leases_thread_, say_thread_;
};

}  // namespace penstock::protocols::stream
