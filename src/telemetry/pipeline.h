// The pipeline: from a driver's Write to durable log, history and subscribers, in one order for
// all.
//
//   Write -> bounded queue -> [ marks quality, numbers rows, log Append ... Sync, history's tail,
//   on_durable, subscribers ]
//
// Full-policy: Write waits up to `write_wait` for room, then its callback gets kResourceExhausted
// and the rows count as refused. A log that fails (full disk) is tried again with back-off; nobody
// is told "durable" meanwhile.
//
// Thread rule: Write and the readings from any thread; Subscribe and its like before Start; Start
// and Stop from the owner.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "storage/durable_log.h"
#include "storage/history.h"
#include "telemetry/ledger.h"
#include "telemetry/sample.h"
#include "telemetry/texts.h"
#include "telemetry/value_limits.h"
#include "things/directory.h"

namespace penstock::telemetry {

struct PipelineOptions {
  size_t queue_batches = 4096;
  size_t queue_rows = 1'000'000;
  size_t drain_rows = 262'144;  // About so many rows are in one group commit (a larger single
                                // Write is one group or several).
  std::chrono::milliseconds write_wait{5000};
  std::chrono::milliseconds retry_for{
      2000};  // A failing log is tried this long before callbacks get the error.
  // A group commit begins this long after the one before, or when so much waits; the first of a
  // quiet time begins at once.
  std::chrono::milliseconds commit_gap{5};
  size_t commit_bytes = 1 << 20;
  std::chrono::milliseconds flush_every{60'000};  // Real time between Parquet files.
  std::chrono::milliseconds sweep_every{500};     // Real time between searches for silent points.
  std::chrono::milliseconds retain_every{600'000};
  size_t tail_rows_max = 2'000'000;  // Earlier flush when the history's tail grows beyond.
  Duration retain = std::chrono::days(90);
  uint64_t history_bytes_max = 20ULL << 30;
  // What goes at this time, where products are kept for different times; unset: days before
  // `retain`. Then what went. Both on the pipeline's thread.
  std::function<storage::HistoryRetention(Time now)> retention;
  std::function<void(const std::vector<storage::HistoryDeletion>&)> on_deleted;
  // The id of a point that is no longer described; unset: its deleted rows are booked as a number.
  std::function<std::optional<PointId>(const std::string& path)> id_of;
  uint64_t epoch = 0;             // Of this data folder (storage/epoch.h): identity of own rows.
  PointLedger* ledger = nullptr;  // Outlives the pipeline. Without: counts since Start only.
  Texts* texts = nullptr;         // Outlives pipeline and history. Without: no texts are taken.
};

// Where every row that was ever handed to Write is. gap = produced - all the others; not 0 is a bug
// of ours, or rows that a damaged disk lost.
struct Ledger {
  uint64_t produced = 0;
  uint64_t stored = 0;     // This node's own to keep: in the durable log or already in history.
  uint64_t forwarded = 0;  // Durable at a hub.
  uint64_t evicted = 0;    // Given up by policy before a hub had it, or without one.
  uint64_t quarantined = 0;
  uint64_t duplicates = 0;  // Dropped: the same point, time and value came twice.
  uint64_t refused = 0;     // The callback got an error: the producer still has them.
  uint64_t pending = 0;     // In the queue or between queue and commit.
  int64_t gap = 0;
};

class Pipeline final : public SampleSink {
 public:
  // Called in the order of subscription, on the pipeline's thread, with rows that are durable and
  // that a query of the history finds.
  using Subscriber = std::function<void(const Batch&)>;
  // Whether a subscriber also sees the rows replayed by Start (marked, durable, not yet in
  // history). After a crash these may be rows that it has seen before: their sequences tell.
  enum class Replay { kNo, kYes };

  // All four must outlive the pipeline.
  Pipeline(storage::DurableLog& log, storage::History& history, QuarantineSink& quarantine,
           const Clock& clock, PipelineOptions options = {});
  ~Pipeline() override;  // Stop().

  // Before Start at least once, then on every change of the directory; any thread.
  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);
  // What was known of the points at the end of an earlier life: no sample is stored for it.
  void Prime(const Batch& last_known);
  void Subscribe(Subscriber subscriber, Replay replay = Replay::kNo);
  // Own rows are held against it before they are stored; must outlive the pipeline.
  void CheckWith(RowCheck& check);
  // Called on the pipeline's thread when history has flushed and before the log's cursor moves: who
  // keeps something derived from the rows makes it durable here. An error keeps the cursor.
  void BeforeCursor(std::function<Status()> hook);

  // Called on the pipeline's thread before the history is flushed: what came so far can be left out
  // of a replay until then, and not afterwards. An error puts the flush off: whoever asked for it
  // gets the error, it is tried again while the tail is long, and beyond tail_rows_max writers
  // get it, too.
  void BeforeFlush(std::function<Status()> hook);
  // How many rows of a replayed record, from the first one on, are still this node's. The others
  // are left out and booked as given up.
  void CutReplay(std::function<size_t(const Batch&)> rows_to_keep);

  // Replays what the log has and history has not, then takes writes. The error is the log's or the
  // history's.
  Status Start();
  // Takes what is queued, flushes history unless that is put off, stops. Later writes get
  // kUnavailable.
  void Stop();

  // A batch with the origin of another node becomes one record (of up to 262,144 rows) of its own;
  // it was judged there and is stored as it is.
  void Write(Batch batch, std::function<void(const Status&)> on_durable = nullptr) override;

  Result<double> Intern(PointId point, std::string_view text) override;
  // What a value of a point of text says; nothing for any other value.
  std::optional<std::string_view> TextOf(double value) const;
  const Texts* texts() const;  // As given in the options.

  // Waits until all rows written before this call are durable or refused, and the subscribers have
  // seen them. For tests and for replay's end.
  void WaitUntilHandled();
  // Makes the pipeline's thread flush history now; waits for it, or gets why it is put off.
  Status Flush();

  // Stored before: a hub has these rows of the log's records below `next_record`; policy gave these
  // up. Any thread.
  void Forwarded(std::span<const std::pair<PointId, uint64_t>> rows, uint64_t next_record);
  void Evicted(std::span<const std::pair<PointId, uint64_t>> rows);

  Ledger ledger() const;
  const PointLedger* point_ledger() const;  // As given in the options.
  uint64_t epoch() const;
  double log_durable_ms() const;  // Moving average of append + sync.
  bool log_failing() const;
  uint64_t next_sequence() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::telemetry
