// The edge's side: reads the node's durable log by its own cursor "hub" and brings every row to the
// hub once. Two lanes, two connections: new rows go at once, an outage's backlog beside them under
// its share of the bandwidth. The cursor moves only on the hub's word "durable", so the log keeps
// what the hub has not, across restarts of both. Wire: docs/formats/uplink.md.
//
// Full-policy: a full log gives records up that only the hub still wants (`evict`; counted, told to
// the hub, which writes the gap down) or takes no more (`refuse`).
//
// Thread rule: Start and Stop from the owner; Wake and the readings from any thread.
#pragma once

#include <array>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "protocols/uplink/backlog.h"
#include "protocols/uplink/block_maker.h"
#include "protocols/uplink/credentials.h"
#include "protocols/uplink/hub_client.h"
#include "storage/durable_log.h"
#include "storage/records.h"
#include "things/directory.h"

namespace penstock::protocols::uplink {

struct UplinkOptions {
  std::string hub;     // "https://hub.acme.example:8443"; "" = the invitation's.
  std::string folder;  // Credentials: DATA/uplink.
  std::string site;
  uint64_t epoch = 0;
  uint64_t bits_per_second = 0;  // Both lanes together; 0: no bound.
  double backfill_share = 0.7;   // Of the bandwidth, while there is a backlog.
  bool evict = true;
  std::chrono::milliseconds linger{50};  // New rows are collected so long.
  BlockLimits backfill{1 << 20, 1 << 18};
  BlockLimits live{256 << 10, 1 << 16};
};

class Uplink {
 public:
  struct Parts {
    storage::DurableLog& log;
    const things::Directory& directory;
    storage::Records& records;  // Names of points that are no longer described.
    const Clock& real_clock;
    std::function<uint64_t()> next_sequence;  // Of the node's own rows.
    const telemetry::Texts* texts = nullptr;
  };
  // kNotFound when the edge has not enrolled.
  static Result<std::unique_ptr<Uplink>> Open(UplinkOptions options, Parts parts);
  ~Uplink();  // Stop().

  void Start();
  void Stop();
  void Wake();  // Rows became durable.

  const std::string& edge() const { return credentials_.edge; }
  // {"edge", "hub", "connected", "waiting_records", "rows", "bytes", "holes", "lost_rows", ...}
  Json ToJson() const;

 private:
  enum class Lane { kLive, kBackfill };
  Uplink(UplinkOptions options, Parts parts, Credentials credentials);

  void RunLive(const std::stop_token& stop);
  // One connection of the backfill: two of them, so that the hub works while the edge does.
  struct Backfill {
    std::optional<OutBlock> block;  // Not yet durable; kept over a lost connection.
    size_t offset = 0;
    std::jthread thread;
  };
  void RunBackfill(const std::stop_token& stop, Backfill& lane);
  Status Connect();
  Status SendThings();
  Status Tell(const Json& body);
  Status SendLive();
  // True when there was something to send.
  Result<bool> SendBackfill(Backfill& lane);
  Result<std::optional<OutBlock>> TakeBackfill();
  // Until the block is durable at the hub, or the error that ends this connection.
  Status Send(HubClient& client, const OutBlock& block, size_t& offset);
  void Booked(const OutBlock& block, Lane lane);
  bool HelloDue();
  uint64_t SequenceAtCursor(bool& holes);
  void TakeNames();
  void Pause(const std::stop_token& stop, std::chrono::milliseconds time);
  std::chrono::milliseconds NextPause(std::chrono::milliseconds& step);
  void Limit(bool backlog);
  void Failed(const Error& error);
  void Use(Credentials credentials);

  const UplinkOptions options_;
  const Parts parts_;
  Credentials credentials_;

  mutable std::mutex mutex_;  // Guards what follows up to the lanes.
  std::condition_variable_any wake_;
  Backlog backlog_;
  bool connected_ = false, woken_ = false;
  std::string last_error_;
  Time last_durable_{};
  std::chrono::steady_clock::time_point hello_at_{};
  uint64_t rows_[2] = {0, 0}, blocks_[2] = {0, 0}, holes_ = 0, lost_rows_ = 0;
  uint64_t bytes_ = 0;
  std::shared_ptr<const std::vector<std::string>> names_;  // By point id.
  // Of the live lane, then of the backfill; shared with Stop, which aborts what they do.
  std::array<std::shared_ptr<HubClient>, 3> clients_;
  Random random_;

  // The live lane's own.
  BlockMaker live_blocks_;
  uint64_t named_revision_ = UINT64_MAX;
  std::string told_things_;  // Digest of what the hub has.
  std::chrono::steady_clock::time_point behind_since_{}, renew_at_{};

  std::mutex making_;  // Guards backfill_blocks_.
  BlockMaker backfill_blocks_;
  std::array<Backfill, 2> backfill_;
  std::jthread live_thread_;
};

}  // namespace penstock::protocols::uplink
