// The hub's side of the uplink: blocks of frames become batches with an origin, are applied once,
// and answered when they are durable. Wire: docs/formats/uplink.md.
//
// A block that was cut in the middle is kept for a while, so that the edge sends only the rest.
//
// Thread rule: any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "telemetry/frame.h"
#include "telemetry/origins.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::protocols::uplink {

struct ReceiverOptions {
  size_t block_bytes_max = 4 << 20;
  size_t block_rows_max = 1 << 20;
  size_t partials_max = 64;  // Of all edges; the oldest goes first.
  std::chrono::milliseconds partial_age_max{600'000};
  size_t points_max = 1'000'000;  // That edges can make known here, all together.
  // Blocks are applied by so many threads of its own, so that a full pipeline holds up edges and
  // nobody else; 0: on the caller's (tests). Blocks that wait have a bound; beyond, kUnavailable.
  int threads = 2;
  size_t waiting_bytes_max = 64 << 20;
};

// "edge-7" and "pump-7/flow" -> "edge-7_pump-7/flow": what an edge's point is called on its hub.
// Edges' names have no underscore, so two edges never meet in one name.
std::string HubPath(const std::string& edge, std::string_view path);

class Receiver {
 public:
  // All outlive the receiver, and so do answers that are still to come from the sink.
  Receiver(telemetry::SampleSink& sink, telemetry::Origins& origins, things::PointIds& ids,
           ReceiverOptions options = {});
  ~Receiver();  // Stop().
  // Blocks that wait get kUnavailable; those on their way are answered by the sink.
  void Stop();

  // What an edge says first; answered with what of its epoch is durable here.
  // {"epoch": "17", "begin": 0, "next": 812, "reason": "..."}: rows below `begin` will never come.
  Result<Json> Hello(const std::string& edge, const Json& body, Time now);
  // {"epoch", "from", "to", "reason"}: rows that will never come.
  Result<Json> NoteGap(const std::string& edge, const Json& body, Time now);

  // Bytes of a block that were kept when it was cut; 0: none.
  size_t KeptBytes(const std::string& edge, const std::string& id) const;
  // A part of a block: `bytes` from `offset` of `total` on. `torn`: the connection was cut; what
  // came is kept. Otherwise the block must be whole now, is applied, and `answer` is called once,
  // when everything is durable: {"rows", "received", "durable", "missing": [[from, to) ...]}, an
  // empty "missing" being the second acknowledgement. kFailedPrecondition: send from the offset
  // that the error's `fix` names.
  using Answer = std::function<void(Result<Json>)>;
  void Take(const std::string& edge, const std::string& id, size_t offset, size_t total,
            std::string bytes, bool torn, Answer answer);

 private:
  struct Partial {
    std::string bytes;
    size_t total = 0;
    std::chrono::steady_clock::time_point at;
  };
  struct Decoders;
  struct Block;
  struct Waiting {
    std::string edge, bytes;
    Answer answer;
  };
  // One for each thread. What is before the last "/" of a block's name, or the name, says which:
  // the blocks of one partition of the stream are applied in their order.
  struct Lane {
    std::condition_variable_any queued;
    std::deque<Waiting> queue;
  };
  using Key = std::pair<std::string, std::string>;

  Result<std::string> Join(const Key& key, size_t offset, size_t total, std::string bytes,
                           bool torn);
  void Keep(const Key& key, Partial partial);
  void Apply(const std::string& edge, ByteView block, Answer answer);
  void Work(const std::stop_token& stop, Lane& lane);
  Status Decode(const std::string& edge, ByteView bytes, Block& block);
  void TakeTexts(const std::string& edge, telemetry::Frame& frame);
  Result<std::vector<PointId>> IdsOf(const std::string& edge,
                                     const std::vector<std::string_view>& paths);

  telemetry::SampleSink& sink_;
  telemetry::Origins& origins_;
  things::PointIds& ids_;
  const ReceiverOptions options_;
  mutable std::mutex mutex_;
  std::map<Key, Partial> partials_;
  // Known names: edge's path -> id, so that the records are asked once per point.
  std::map<std::string, std::unordered_map<std::string, PointId>> known_;
  size_t known_points_ = 0;
  std::shared_ptr<Decoders> decoders_;

  std::mutex queue_mutex_;
  std::deque<Lane> lanes_;
  size_t queue_bytes_ = 0;
  bool stopped_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace penstock::protocols::uplink
