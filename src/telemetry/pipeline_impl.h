// The inside of the pipeline, for its two .cc files: pipeline.cc (the way of a row to its
// acknowledgement) and pipeline_history.cc (replay, flushing, deleting).
#pragma once

#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "telemetry/pipeline.h"
#include "telemetry/pipeline_metrics.h"
#include "telemetry/quality.h"
#include "telemetry/retention_clock.h"
#include "telemetry/write_queue.h"

namespace penstock::telemetry {

inline constexpr size_t kBytesPerRow = 10;  // Of a record of the log, about.

// Fires at once the first time it is asked, then every `period`.
class Every {
 public:
  explicit Every(std::chrono::milliseconds period) : period_(period) {}
  bool Due(std::chrono::steady_clock::time_point now) {
    if (now < next_) return false;
    next_ = now + period_;
    return true;
  }
  void Restart() { next_ = std::chrono::steady_clock::now() + period_; }

 private:
  std::chrono::milliseconds period_;
  std::chrono::steady_clock::time_point next_{};
};

struct Pipeline::Impl {
  Impl(storage::DurableLog& log_, storage::History& history_, QuarantineSink& quarantine,
       const Clock& clock_, PipelineOptions options_)
      : log(log_),
        history(history_),
        clock(clock_),
        options(options_),
        marker(quarantine),
        queue({.batches_max = options_.queue_batches,
               .rows_max = options_.queue_rows,
               .gap = options_.commit_gap,
               .hurry_rows = options_.commit_bytes / kBytesPerRow,
               .ledger = options_.ledger}) {}

  // Rows that become one record of the log, and which writes of the round they are of.
  struct Record {
    Batch batch;
    size_t first_item = 0, last_item = 0;
    uint64_t index = 0;
    storage::LogPriority priority = storage::LogPriority::kNormal;
  };
  using Records = std::vector<Record>;

  void Run();
  void Handle(std::vector<WriteQueue::Item> items);
  Records Gather(std::vector<WriteQueue::Item>& items);
  void AddRecords(Record whole, Records& parts) const;
  void Judge(Batch& batch);
  size_t Commit(Records& records, Status& status);
  Status CommitGroup(std::span<Record> group, size_t& done);
  Status TryCommit(std::span<Record> group, size_t& done);
  Result<uint64_t> AppendRecord(Record& record);
  void BookStored(std::span<const Record> records);
  void Refuse(std::span<const Record> records);
  void ToTail(std::span<const Record> records);
  void TellRefused(std::vector<WriteQueue::Refusal>& refusals);
  void Publish(const Batch& batch, bool replayed);

  Status Replay();
  Status CatchUp(bool starting);
  Status ToHistory(const Batch& batch, uint64_t skip_below);
  Status MayFlush();
  Status BeginFlush();
  // What came of it; nothing while it runs, unless told to wait for it.
  std::optional<Status> Written(bool wait);
  Status EndFlush(Status written);
  Status FlushHistory();  // From the begin to the end.
  Status PassDamage(Status read);
  void Prime(const Batch& batch);
  void ReplayOne(Batch& batch, uint64_t index);
  void CutOff(Batch& batch);
  void Periodic();
  void SweepSilent();
  void CheckSilent(Batch& silent);
  void FlushWhenAskedOrDue();
  bool MustFlush();
  void TellPutOff();
  void KeepBound();
  void Retain();
  void TakeSnapshot();
  void NameUnknown(const Batch& batch);

  storage::DurableLog& log;
  storage::History& history;
  const Clock& clock;
  const PipelineOptions options;
  QualityMarker marker;
  WriteQueue queue;
  PipelineMetrics metrics;

  struct Subscription {
    Subscriber call;
    bool replay;
  };
  std::vector<Subscription> subscribers;
  RowCheck* check = nullptr;
  std::vector<std::function<Status()>> before_cursor;
  std::vector<std::function<Status()>> before_flush;
  std::function<size_t(const Batch&)> rows_to_keep;
  bool cut_off = false;  // Not all were kept.

  std::mutex control;  // Guards the six below.
  std::condition_variable flushed, written_changed;
  std::optional<Status> written;  // What came of the running flush.
  std::shared_ptr<const things::Snapshot> fresh_snapshot;
  uint64_t flush_asked = 0, flush_done = 0;
  Status flush_status;

  // The pipeline's thread only.
  std::vector<bool> named;  // By PointId: history knows its name.
  Bytes encoded;
  std::shared_ptr<const things::Snapshot> snapshot;
  std::vector<storage::LogPriority> priorities;  // By PointId.
  uint64_t history_next = 0;                     // Log index that history needs next.
  Status put_off;                                // Why the last flush did not begin.
  bool flushing = false;                         // The two below are of the running flush.
  uint64_t flushing_next = 0, flushing_asked = 0;
  Every sweep{options.sweep_every}, flush{options.flush_every}, retain{options.retain_every};
  Every catch_up{std::chrono::milliseconds(1000)}, flush_again{std::chrono::milliseconds(1000)};
  RetentionClock retention_clock;

  std::atomic<uint64_t> next_sequence{0};
  std::atomic<double> durable_ms{0};
  std::atomic<bool> failing{false};
  bool started = false;
  std::jthread thread;
};

}  // namespace penstock::telemetry
