// The node on a stream: as an edge it publishes its own rows, as a hub it takes its share of the
// partitions. A stream that is away at the start is tried until it is there. Owned by the node.
//
// As a hub it lets no row of the stream go to the history's files before it is confirmed, and
// starts the program anew when rows turn out to be another hub's: the replay leaves them out.
#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/site.h"
#include "protocols/stream/publisher.h"
#include "protocols/stream/settle.h"
#include "protocols/stream/taker.h"
#include "storage/records.h"
#include "telemetry/pipeline.h"

namespace penstock {

class StreamFlow {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& real_clock;
    storage::Records& records;
    things::PointIds& point_ids;
    storage::DurableLog& log;
    telemetry::Pipeline& pipeline;
    uint64_t epoch;
    // What the node has for its edges already; null: made here.
    protocols::uplink::Receiver* receiver;
    telemetry::Origins* origins;
  };
  // Null when the site has no stream. Before the pipeline starts.
  static Result<std::unique_ptr<StreamFlow>> Open(Parts parts);
  ~StreamFlow();  // Stop().

  void Start();
  void Stop();  // Before the pipeline stops.
  Json ToJson() const;

 private:
  explicit StreamFlow(Parts parts);
  storage::StreamOptions StreamOptionsOf() const;
  telemetry::Origins& origins() const;
  Status OpenHub();
  Status Settle();
  Status SettleLate(storage::Stream& stream);
  Status MayFlush();
  Status Connect();
  void Run(const std::stop_token& stop);

  const Parts parts_;
  std::string name_;
  std::unique_ptr<telemetry::Origins> own_origins_;
  std::unique_ptr<protocols::uplink::Receiver> own_receiver_;
  std::unique_ptr<protocols::stream::Settlement> settlement_;  // Until the replay is over.
  mutable std::mutex mutex_;                                   // Guards what follows.
  // Replayed, and nobody could be asked whose they are.
  protocols::stream::Settlement::Ranges unsettled_;
  std::unique_ptr<storage::Stream> stream_;
  std::unique_ptr<protocols::stream::Publisher> publisher_;
  std::unique_ptr<protocols::stream::Taker> taker_;
  std::string error_;
  std::jthread thread_;
};

}  // namespace penstock
