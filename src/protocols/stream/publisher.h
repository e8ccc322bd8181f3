// The edge's side of the stream: reads the node's durable log by its own cursor "stream", splits
// the rows by partition, and publishes them as frames. The cursor moves only when the hubs have
// said that the rows are durable there; the stream's own acknowledgement opens the window for more
// and means nothing else.
//
// Thread rule: Start and Stop from the owner; Wake and ToJson from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "storage/durable_log.h"
#include "storage/stream.h"
#include "telemetry/frame.h"

namespace penstock::protocols::stream {

struct PublisherOptions {
  std::string edge;  // Its name at the hubs: letters, digits and "-", at most 24.
  uint64_t epoch = 0;
  std::string folder;                    // DATA/stream: how far each partition is.
  size_t message_bytes = 64 << 10;       // What a message grows to while there is a backlog, or
  size_t buffer_rows = 1 << 20;          // the share of these rows that a partition has.
  std::chrono::milliseconds linger{50};  // What a row waits for others at most, and
  std::chrono::milliseconds backlog_linger{500};  // the same while there is a backlog.
  std::chrono::milliseconds resend_after{
      20'000};  // Without progress while something is on its way.
};

class Publisher {
 public:
  struct Parts {
    storage::DurableLog& log;
    storage::Stream& stream;
    std::function<Result<std::vector<std::string>>()> paths;  // By point id.
    const telemetry::Texts* texts = nullptr;
  };
  static Result<std::unique_ptr<Publisher>> Open(PublisherOptions options, Parts parts);
  ~Publisher();  // Stop().

  void Start();
  void Stop();
  void Wake();  // Rows became durable here.
  // {"edge", "partitions", "rows", "messages", "bytes", "confirmed_records", "resent", "error"}
  Json ToJson() const;
  uint64_t confirmed_records() const { return confirmed_index_; }

 private:
  // Everything below `index` of the log was routed when the partitions had these many rows.
  struct Position {
    uint64_t index = 0;
    std::vector<uint64_t> counts;
  };
  Publisher(PublisherOptions options, Parts parts);
  Status Load();
  Status Save();
  void Run(const std::stop_token& stop);
  Status Round(bool* more);
  Status TakeNames(size_t wanted);
  Status Route(const telemetry::Batch& batch);
  // Sends what a message holds, as often as there is so much; all: what is left, too.
  Status Send(uint32_t partition, bool all);
  Status SendRows(uint32_t partition, size_t begin, size_t end);
  void Confirm(uint64_t stream_epoch, uint64_t durable);
  Status Advance(bool idle);
  Status AskFacts();
  void GoBack();

  const PublisherOptions options_;
  const Parts parts_;
  const uint32_t partitions_;
  uint32_t generation_ = 0;
  std::vector<std::string> paths_;
  std::vector<uint8_t> partition_of_;  // By point id.
  struct Buffer {
    telemetry::Batch rows;
    uint64_t first = 0;      // Of the rows, in the partition's numbering.
    size_t rows_max = 4096;  // Follows what message_bytes hold.
  };
  std::vector<Buffer> buffers_;
  std::vector<uint32_t> order_;  // Of a batch's rows by partition: Route's own.
  Position next_, confirmed_;    // `next_.counts` are rows routed, sent or not.
  std::deque<Position> checkpoints_;
  telemetry::FrameEncoder encoder_;
  Bytes message_;
  std::chrono::steady_clock::time_point moved_at_{}, saved_at_{}, asked_at_{}, flushed_at_{};
  std::vector<std::atomic<uint64_t>> durable_;  // By partition: what the hubs said.
  std::atomic<uint64_t> rows_{0}, messages_{0}, bytes_{0}, resent_{0}, confirmed_index_{0};
  mutable std::mutex mutex_;  // Guards error_ and woken_.
  std::condition_variable_any wake_;
  std::string error_;
  bool woken_ = false;
  std::jthread thread_;
};

}  // namespace penstock::protocols::stream
