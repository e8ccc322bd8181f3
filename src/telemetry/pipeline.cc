// Three rules keep "acknowledged" true over every crash.
//
// 1. A row is told durable only after Sync() returned; one Sync serves all that was queued
// meanwhile (group commit),
//    so the slower the disk, the larger the groups.
// 2. History gets records in the log's order and nothing else: `history_next_` is the log index it
// needs next. The
//    cursor "history" moves there only after a Flush wrote everything to Parquet. After a crash the
//    records from the cursor on are given again; rows below flushed_sequence_end() were in the
//    files already and are skipped.
// 3. A commit that fails left nothing in the log, so it is tried again from the start. When the
// time for that is over
//    its rows are refused, use up no sequence numbers, and are forgotten by the duplicate search,
//    because their producer will send them again.
#include "telemetry/pipeline.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"
#include "telemetry/quality.h"
#include "telemetry/write_queue.h"

namespace penstock::telemetry {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kCursor = "history";
constexpr milliseconds kFirstPause{50}, kLongestPause{1000};
// Records before the cursor that Start reads to know the latest sequence and what would be a
// duplicate.
constexpr uint64_t kPrimeRecords = 256;
// Rows of one record of the log: even without any runs they stay under its 16 MiB.
constexpr size_t kRecordRows = 1 << 18;

struct PipelineMetrics {
  Metric& stored = Counter("penstock_samples_stored_total", "Samples durable in the log.");
  Metric& duplicates =
      Counter("penstock_samples_duplicate_total", "Samples dropped because they came twice.");
  Metric& refused =
      Counter("penstock_samples_refused_total", "Samples whose producer was told an error.");
  Metric& durable_us =
      Gauge("penstock_log_durable_us", "Append and sync of the log, moving average.");
  Metric& failing =
      Gauge("penstock_log_failing", "1 while the log takes nothing (full or broken disk).");
  Metric& log_errors =
      Counter("penstock_log_errors_total", "Failed attempts to write or sync the log.");
  Metric& history_errors = Counter("penstock_history_errors_total", "Failed writes to history.");
  Metric& history_behind =
      Gauge("penstock_history_behind_records", "Log records that history still lacks.");
  Metric& damaged =
      Counter("penstock_log_records_damaged_total", "Log records that could not be read back.");
};

storage::HistoryColumns ColumnsFrom(const Batch& batch, size_t skip) {
  return {.point = std::span(batch.point).subspan(skip),
          .source_time = std::span(batch.source_time).subspan(skip),
          .ingest_time = std::span(batch.ingest_time).subspan(skip),
          .value = std::span(batch.value).subspan(skip),
          .quality = std::span(batch.quality).subspan(skip),
          .first_sequence = batch.first_sequence + skip};
}

Batch Part(const Batch& whole, size_t begin, size_t end) {
  const auto cut = [&](const auto& column) {
    return std::decay_t<decltype(column)>(column.begin() + static_cast<ptrdiff_t>(begin),
                                          column.begin() + static_cast<ptrdiff_t>(end));
  };
  Batch part;
  part.point = cut(whole.point);
  part.source_time = cut(whole.source_time);
  part.ingest_time = cut(whole.ingest_time);
  part.value = cut(whole.value);
  part.quality = cut(whole.quality);
  return part;
}

// Fires at once the first time it is asked, then every `period`.
class Every {
 public:
  explicit Every(milliseconds period) : period_(period) {}
  bool Due(Steady::time_point now) {
    if (now < next_) return false;
    next_ = now + period_;
    return true;
  }
  void Restart() { next_ = Steady::now() + period_; }

 private:
  milliseconds period_;
  Steady::time_point next_{};
};

}  // namespace

struct Pipeline::Impl {
  Impl(storage::DurableLog& log_, storage::History& history_, QuarantineSink& quarantine,
       const Clock& clock_, PipelineOptions options_)
      : log(log_),
        history(history_),
        clock(clock_),
        options(options_),
        marker(quarantine),
        queue(options_.queue_batches, options_.queue_rows) {}

  void Run();
  void Handle(std::vector<WriteQueue::Item> items);
  // Rows that are durable, as one record of the log.
  struct Stored {
    Batch batch;
    uint64_t index;
  };
  Status Commit(Batch batch, std::vector<Stored>& stored);
  Status CommitPart(Batch part, std::vector<Stored>& stored);
  void Settle(std::vector<Stored> stored);
  Result<uint64_t> TryCommit(Batch& batch);
  Status Refuse(const Batch& batch, Error error);
  void TellRefused(std::vector<WriteQueue::Refusal>& refusals);
  void Publish(const Batch& batch, bool replayed);

  Status Replay();
  Status CatchUp(bool starting);
  Status ToHistory(const Batch& batch, uint64_t skip_below);
  Status FlushHistory();
  Status PassDamage(Status read);
  void Periodic();
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

  std::mutex control;  // Guards the four below.
  std::condition_variable flushed;
  std::shared_ptr<const things::Snapshot> fresh_snapshot;
  uint64_t flush_asked = 0, flush_done = 0;
  Status flush_status;

  // The pipeline's thread only.
  std::vector<bool> named;  // By PointId: history knows its name.
  Bytes record;
  uint64_t history_next = 0;  // Log index that history needs next.
  Every sweep{options.sweep_every}, flush{options.flush_every}, retain{options.retain_every};
  Every catch_up{milliseconds(1000)};

  std::atomic<uint64_t> next_sequence{0};
  std::atomic<double> durable_ms{0};
  std::atomic<bool> failing{false};
  bool started = false;
  std::jthread thread;
};

// --- The thread

void Pipeline::Impl::Run() {
  while (!queue.closed_and_empty()) {
    auto taken = queue.Take(options.drain_rows, options.sweep_every);
    TellRefused(taken.refusals);
    TakeSnapshot();
    if (!taken.items.empty()) Handle(std::move(taken.items));
    Periodic();
  }
  if (auto done = FlushHistory(); !done) LogError("history: {}", done.error().ToString());
}

void Pipeline::Impl::TellRefused(std::vector<WriteQueue::Refusal>& refusals) {
  for (auto& refusal : refusals) refusal.callback(std::unexpected(std::move(refusal.error)));
}

void Pipeline::Impl::Handle(std::vector<WriteQueue::Item> items) {
  Batch batch;
  for (auto& item : items) {
    if (batch.empty()) {
      batch = std::move(item.batch);
    } else {
      batch.Append(item.batch);
    }
  }
  const MarkOutcome marked = marker.Mark(batch);
  queue.BookDropped(marked.duplicates, marked.quarantined);
  metrics.duplicates.Add(marked.duplicates);
  std::vector<Stored> stored;
  // Nothing left after the rules: what a duplicate repeats is durable already, or in this batch.
  const Status committed = Commit(std::move(batch), stored);
  for (auto& item : items) {
    if (item.on_durable) item.on_durable(committed);
  }
  Settle(std::move(stored));
  queue.BookHandled(items.size());
}

// The error when some of it is not durable.
Status Pipeline::Impl::Commit(Batch batch, std::vector<Stored>& stored) {
  if (batch.empty()) return {};
  if (batch.size() <= kRecordRows) return CommitPart(std::move(batch), stored);
  Status status;
  for (size_t begin = 0; begin < batch.size(); begin += kRecordRows) {
    const size_t end = std::min(batch.size(), begin + kRecordRows);
    if (auto part = CommitPart(Part(batch, begin, end), stored); !part) status = std::move(part);
  }
  return status;
}

Status Pipeline::Impl::CommitPart(Batch part, std::vector<Stored>& stored) {
  const auto begin = Steady::now();
  for (milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    auto index = TryCommit(part);
    if (index) {
      if (failing.exchange(false)) LogInfo("durable log: writes again");
      metrics.failing.Set(0);
      metrics.stored.Add(part.size());
      queue.BookStored(part.size());
      stored.push_back({std::move(part), *index});
      return {};
    }
    metrics.log_errors.Add();
    metrics.failing.Set(1);
    failing = true;
    LogSometimes(LogLevel::kError, "durable log", "durable log: " + index.error().ToString());
    if (queue.SleepUnlessClosed(pause) || Steady::now() - begin >= options.retry_for) {
      return Refuse(part, std::move(index).error());
    }
  }
}

// All or nothing: after an error the record is not in the log and will not come to be.
Result<uint64_t> Pipeline::Impl::TryCommit(Batch& batch) {
  const auto begin = Steady::now();
  batch.first_sequence = next_sequence;
  record.clear();
  EncodeBatch(batch, record);
  auto index = log.Append(record);
  if (!index && index.error().code == Code::kResourceExhausted && FlushHistory()) {
    index = log.Append(record);  // The cursor moved: old segments could go.
  }
  if (!index) return index;
  TRY(log.Sync());
  next_sequence = next_sequence + batch.size();
  const double took = std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
  durable_ms = durable_ms == 0 ? took : 0.95 * durable_ms + 0.05 * took;
  metrics.durable_us.Set(static_cast<int64_t>(durable_ms * 1000));
  return index;
}

Status Pipeline::Impl::Refuse(const Batch& batch, Error error) {
  marker.Forget(batch);
  queue.BookRefused(batch.size());
  metrics.refused.Add(batch.size());
  return std::unexpected(std::move(error));
}

void Pipeline::Impl::Settle(std::vector<Stored> stored) {
  queue.BookInHand(0);
  for (const auto& [batch, index] : stored) {
    if (index == history_next && ToHistory(batch, 0)) history_next = index + 1;
    Publish(batch, false);
  }
}

void Pipeline::Impl::Publish(const Batch& batch, bool replayed) {
  for (auto& subscriber : subscribers) {
    if (!replayed || subscriber.replay) subscriber.call(batch);
  }
}

void Pipeline::Impl::Periodic() {
  const auto now = Steady::now();
  if (sweep.Due(now)) {
    Batch silent;
    marker.Sweep(clock.Now(), silent);
    queue.BookProduced(silent.size());
    std::vector<Stored> stored;
    if (!Commit(std::move(silent), stored)) LogDebug("samples of silent points were not stored");
    Settle(std::move(stored));
  }
  if (history_next < log.durable_end() && catch_up.Due(now)) {
    if (auto caught = CatchUp(false); !caught) {
      LogSometimes(LogLevel::kError, "history", "history: " + caught.error().ToString());
    }
  }
  metrics.history_behind.Set(static_cast<int64_t>(log.durable_end() - history_next));
  uint64_t asked = 0;
  {
    const std::lock_guard lock(control);
    if (flush_asked > flush_done) asked = flush_asked;
  }
  if (asked > 0 || flush.Due(now) || history.size().tail_rows > options.tail_rows_max) {
    auto done = FlushHistory();
    flush.Restart();
    if (!done) LogSometimes(LogLevel::kError, "history", "history: " + done.error().ToString());
    const std::lock_guard lock(control);
    if (asked > 0) flush_done = asked;
    flush_status = std::move(done);
    flushed.notify_all();
  }
  if (retain.Due(now)) {
    auto gone = history.Retain(clock.Now() - options.retain, options.history_bytes_max);
    if (!gone) LogSometimes(LogLevel::kError, "retain", "history: " + gone.error().ToString());
    if (gone && *gone > 0) LogInfo("history: {} samples older than kept were deleted", *gone);
  }
}

void Pipeline::Impl::TakeSnapshot() {
  std::shared_ptr<const things::Snapshot> snapshot;
  {
    const std::lock_guard lock(control);
    snapshot.swap(fresh_snapshot);
  }
  if (!snapshot) return;
  if (named.size() < snapshot->by_id.size()) named.resize(snapshot->by_id.size());
  for (const auto* property : snapshot->by_id) {
    if (property == nullptr) continue;
    const things::Point& point = property->point;
    history.NamePoint(point.id, point.path(), point.product);
    named[point.id.value] = true;
  }
  marker.SetSnapshot(std::move(snapshot));
}

// --- History

// Replayed rows may be of points whose file is gone; their values are kept under a name that says
// so.
void Pipeline::Impl::NameUnknown(const Batch& batch) {
  for (const PointId id : batch.point) {
    if (id.value < named.size() && named[id.value]) continue;
    if (named.size() <= id.value) named.resize(id.value + 1);
    history.NamePoint(id, fmt::format("unknown/point-{}", id.value), "unknown");
    named[id.value] = true;
  }
}

Status Pipeline::Impl::ToHistory(const Batch& batch, uint64_t skip_below) {
  const uint64_t end = batch.first_sequence + batch.size();
  if (end <= skip_below) return {};
  NameUnknown(batch);
  const size_t skip = batch.first_sequence < skip_below ? skip_below - batch.first_sequence : 0;
  auto kept = history.Append(ColumnsFrom(batch, skip));
  if (!kept) {
    metrics.history_errors.Add();
    LogSometimes(LogLevel::kError, "history", "history: " + kept.error().ToString());
  }
  return kept;
}

Status Pipeline::Impl::CatchUp(bool starting) {
  const uint64_t in_files = starting ? history.flushed_sequence_end() : 0;
  Status failure;
  auto read = log.Read(history_next, [&](uint64_t index, ByteView bytes) {
    auto batch = DecodeBatch(bytes);
    if (!batch) {
      metrics.damaged.Add();
      LogError("durable log: record {} skipped: {}", index, batch.error().ToString());
    } else {
      failure = ToHistory(*batch, in_files);
      if (!failure) return false;
      if (starting) {
        next_sequence = std::max<uint64_t>(next_sequence, batch->first_sequence + batch->size());
        marker.Prime(*batch);
        Publish(*batch, true);
      }
    }
    history_next = index + 1;
    return true;
  });
  // All whole records were visited: what is behind the last of them is damaged too.
  if (!read && read.error().code == Code::kDataLoss && failure) history_next = log.durable_end();
  TRY(PassDamage(std::move(read)));
  return failure;
}

// A damaged record was counted and skipped by the log; the whole ones beside it must not be lost
// for it.
Status Pipeline::Impl::PassDamage(Status read) {
  if (read || read.error().code != Code::kDataLoss) return read;
  LogSometimes(LogLevel::kError, "log-damage", "durable log: " + read.error().ToString());
  Counter("penstock_log_damaged_total", "Reads of the durable log that met damaged records").Add();
  return {};
}

Status Pipeline::Impl::Replay() {
  next_sequence = history.flushed_sequence_end();
  ASSIGN_OR_RETURN(const uint64_t cursor, log.Cursor(kCursor));
  history_next = std::clamp(cursor, log.begin(), log.durable_end());
  const uint64_t known =
      std::max(log.begin(), history_next - std::min(history_next, kPrimeRecords));
  auto read = log.Read(known, [&](uint64_t index, ByteView bytes) {
    if (index >= history_next) return false;
    if (auto batch = DecodeBatch(bytes)) {
      next_sequence = std::max<uint64_t>(next_sequence, batch->first_sequence + batch->size());
      marker.Prime(*batch);
    }
    return true;
  });
  TRY(PassDamage(std::move(read)));
  TRY(CatchUp(true));
  return {};
}

Status Pipeline::Impl::FlushHistory() {
  TRY(history.Flush());
  TRY(log.SetCursor(kCursor, history_next));
  return log.Trim();
}

// --- The face

Pipeline::Pipeline(storage::DurableLog& log, storage::History& history, QuarantineSink& quarantine,
                   const Clock& clock, PipelineOptions options)
    : impl_(std::make_unique<Impl>(log, history, quarantine, clock, options)) {}

Pipeline::~Pipeline() { Stop(); }

void Pipeline::SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot) {
  {
    const std::lock_guard lock(impl_->control);
    impl_->fresh_snapshot = std::move(snapshot);
  }
  impl_->queue.Wake();
}

void Pipeline::Subscribe(Subscriber subscriber, Replay replay) {
  CHECK(!impl_->started);
  impl_->subscribers.push_back({std::move(subscriber), replay == Replay::kYes});
}

Status Pipeline::Start() {
  CHECK(!impl_->started);
  impl_->TakeSnapshot();
  TRY(impl_->Replay());
  impl_->flush.Restart();
  impl_->started = true;
  impl_->thread = std::jthread([impl = impl_.get()] { impl->Run(); });
  return {};
}

void Pipeline::Stop() {
  impl_->queue.Close();
  if (impl_->thread.joinable()) impl_->thread.join();
  const std::lock_guard lock(impl_->control);
  impl_->flush_done = UINT64_MAX;
  impl_->flushed.notify_all();
}

void Pipeline::Write(Batch batch, std::function<void(const Status&)> on_durable) {
  const size_t rows = batch.size();
  CHECK(batch.point.size() == rows && batch.source_time.size() == rows &&
        batch.ingest_time.size() == rows && batch.quality.size() == rows);
  impl_->queue.Put(std::move(batch), std::move(on_durable), impl_->options.write_wait);
}

void Pipeline::WaitUntilHandled() { impl_->queue.WaitUntilHandled(); }

Status Pipeline::Flush() {
  WaitUntilHandled();
  std::unique_lock lock(impl_->control);
  if (impl_->flush_done == UINT64_MAX) return Unavailable("the pipeline has stopped");
  const uint64_t mine = ++impl_->flush_asked;
  impl_->queue.Wake();
  impl_->flushed.wait(lock, [&] { return impl_->flush_done >= mine; });
  return impl_->flush_status;
}

Ledger Pipeline::ledger() const { return impl_->queue.ledger(); }
double Pipeline::log_durable_ms() const { return impl_->durable_ms; }
bool Pipeline::log_failing() const { return impl_->failing; }
uint64_t Pipeline::next_sequence() const { return impl_->next_sequence; }

}  // namespace penstock::telemetry
