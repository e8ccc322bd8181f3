// A hub's side of the stream: holds leases on its share of the partitions, applies their messages
// once, and tells the edges what is durable. When a hub dies, its leases run out and the others
// take its partitions from where it had said that it was.
//
// What was durable in a hub that died before it could say so, the next hub applies again: those
// rows are then in the data folders of both. Within one hub every row is there once.
//
// Thread rule: Start and Stop from the owner; ToJson from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "protocols/uplink/receiver.h"
#include "storage/stream.h"
#include "telemetry/origins.h"

namespace penstock::protocols::stream {

struct TakerOptions {
  std::string hub;       // Its name among the hubs; letters, digits and "-".
  size_t fetch = 128;    // Messages asked for at once.
  size_t moving = 1024;  // Messages of a partition that wait for the disk.
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
  // {"hub", "partitions": [3, 7 ...], "messages", "refused"}
  Json ToJson() const;

 private:
  struct Partition;
  void HoldLeases(const std::stop_token& stop);
  Status Balance();
  void Take(uint32_t number);
  void Drop(uint32_t number, bool give_back);
  void Read(Partition& partition, const std::stop_token& stop);
  void Apply(Partition& partition, storage::StreamMessage message);
  void Meet(const std::string& edge, uint64_t epoch);
  void Say(const std::stop_token& stop);
  void SayOnce();

  const TakerOptions options_;
  const Parts parts_;
  uint64_t member_ = 0;       // Number of the lease that makes this hub known.
  mutable std::mutex mutex_;  // Guards held_ (its map) and changed_ and met_.
  std::map<uint32_t, std::unique_ptr<Partition>> held_;
  using Source = std::pair<std::string, uint64_t>;  // Edge and stream epoch.
  std::set<Source> met_;
  // Messages that are durable here, to be said so and then given back to the stream, in this
  // order: what the stream has forgotten is in the facts.
  std::map<Source, std::vector<std::function<void()>>> changed_;
  std::atomic<uint64_t> messages_{0}, refused_{0};
  std::jthread leases_thread_, say_thread_;
};

}  // namespace penstock::protocols::stream
