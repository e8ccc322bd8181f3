// The pipeline: from a driver's Write to durable log, history and subscribers, in one order for
// all.
//
//   Write -> bounded queue -> [ marks quality, numbers rows, log Append ... Sync, on_durable,
//   history, subscribers ]
//
// Full-policy: Write waits up to `write_wait` for room, then its callback gets kResourceExhausted
// and the rows count as refused. A log that fails (full disk) is tried again with back-off; nobody
// is told "durable" meanwhile.
//
// Thread rule: Write and the readings from any thread; Subscribe before Start; Start and Stop from
// the owner.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "storage/durable_log.h"
#include "storage/history.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

struct PipelineOptions {
  size_t queue_batches = 4096;
  size_t queue_rows = 1'000'000;
  size_t drain_rows = 65'536;  // At most this many rows in one record of the log (a larger single
                               // Write is one record).
  std::chrono::milliseconds write_wait{5000};
  std::chrono::milliseconds retry_for{
      2000};  // A failing log is tried this long before callbacks get the error.
  std::chrono::milliseconds flush_every{60'000};  // Real time between Parquet files.
  std::chrono::milliseconds sweep_every{500};     // Real time between searches for silent points.
  std::chrono::milliseconds retain_every{600'000};
  size_t tail_rows_max = 2'000'000;  // Earlier flush when the history's tail grows beyond.
  Duration retain = std::chrono::days(90);
  uint64_t history_bytes_max = 20ULL << 30;
};

// Where every row that was ever handed to Write is. gap = produced - all the others; not 0 is a bug
// of ours.
struct Ledger {
  uint64_t produced = 0;
  uint64_t stored = 0;  // In the durable log or already in history.
  uint64_t quarantined = 0;
  uint64_t duplicates = 0;  // Dropped: the same point, time and value came twice.
  uint64_t refused = 0;     // The callback got an error: the producer still has them.
  uint64_t pending = 0;     // In the queue or between queue and commit.
  int64_t gap = 0;
};

class Pipeline final : public SampleSink {
 public:
  // Called in the order of subscription, on the pipeline's thread, with rows that are durable.
  using Subscriber = std::function<void(const Batch&)>;
  // Whether a subscriber also sees the rows replayed by Start (marked, durable, not yet in
  // history).
  enum class Replay { kNo, kYes };

  // All four must outlive the pipeline.
  Pipeline(storage::DurableLog& log, storage::History& history, QuarantineSink& quarantine,
           const Clock& clock, PipelineOptions options = {});
  ~Pipeline() override;  // Stop().

  // Before Start at least once, then on every change of the directory; any thread.
  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);
  void Subscribe(Subscriber subscriber, Replay replay = Replay::kNo);

  // Replays what the log has and history has not, then takes writes. The error is the log's or the
  // history's.
  Status Start();
  // Takes what is queued, flushes history, stops. Later writes get kUnavailable.
  void Stop();

  void Write(Batch batch, std::function<void(const Status&)> on_durable = nullptr) override;

  // Waits until all rows written before this call are durable or refused. For tests and for
  // replay's end.
  void WaitUntilHandled();
  // Makes the pipeline's thread flush history now; waits for it.
  Status Flush();

  Ledger ledger() const;
  double log_durable_ms() const;  // Moving average of append + sync.
  bool log_failing() const;
  uint64_t next_sequence() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::telemetry
