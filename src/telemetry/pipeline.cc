// Three rules keep "acknowledged" true over every crash.
//
// 1. A row is told durable only after Sync() returned and when a query finds it; one Sync serves
//    all that was queued meanwhile (group commit), so the slower the disk, the larger the groups.
// 2. History gets records in the log's order and nothing else: `history_next` is the log index it
//    needs next. The cursor "history" moves there only after a Flush wrote everything to Parquet
//    and everybody with derived state (BeforeCursor) made that durable. After a crash the records
//    from the cursor on are given again; rows below flushed_sequence_end() were in the files
//    already and are skipped.
// 3. What of a group is not synced is not in the log, so it is tried again. When the time for that
//    is over its rows are refused, use up no sequence numbers, and are forgotten by the duplicate
//    search, because their producer will send them again. So are those of all later writes of the
//    round: one of them may be the repetition of a row that was refused.
//
// A large write is moved into its record, not copied; small ones share a record.
#include "telemetry/pipeline.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "telemetry/batch_codec.h"
#include "telemetry/quality.h"
#include "telemetry/retention_clock.h"
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
constexpr size_t kBytesPerRow = 10;   // Of a record, about.
constexpr size_t kSharedRows = 4096;  // Smaller writes are copied into a common record.

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
  part.origin = whole.origin;
  part.origin.first += begin;
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
  };
  using Records = std::vector<Record>;

  void Run();
  void Handle(std::vector<WriteQueue::Item> items);
  Records Gather(std::vector<WriteQueue::Item>& items);
  void Judge(Batch& batch);
  size_t Commit(Records& records, Status& status);
  Status CommitGroup(std::span<Record> group, size_t& done);
  Status TryCommit(std::span<Record> group, size_t& done);
  Result<uint64_t> AppendRecord(Batch& batch);
  void BookStored(std::span<const Record> records);
  void Refuse(std::span<const Record> records);
  void ToTail(std::span<const Record> records);
  void TellRefused(std::vector<WriteQueue::Refusal>& refusals);
  void Publish(const Batch& batch, bool replayed);

  Status Replay();
  Status CatchUp(bool starting);
  Status ToHistory(const Batch& batch, uint64_t skip_below);
  Status FlushHistory();
  Status PassDamage(Status read);
  void Prime(const Batch& batch);
  void Periodic();
  void SweepSilent();
  void FlushWhenAskedOrDue();
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
  Check check;
  std::vector<std::function<Status()>> before_cursor;

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
  RetentionClock retention_clock;

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
  Records records = Gather(items);
  Status status;
  const size_t done = Commit(records, status);
  const size_t told_durable = done == records.size() ? items.size() : records[done].first_item;
  const std::span<const Record> stored = std::span(records).first(done);
  ToTail(stored);
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].on_durable) items[i].on_durable(i < told_durable ? Status() : status);
  }
  for (const Record& record : stored) Publish(record.batch, false);
  queue.BookHandled(items.size());
}

// In the order of the writes; what the rules leave of them. Nothing left of a write: what a
// duplicate repeats is durable already, or in a record of this round, or before.
Pipeline::Impl::Records Pipeline::Impl::Gather(std::vector<WriteQueue::Item>& items) {
  Records records;
  for (size_t i = 0; i < items.size(); ++i) {
    Batch& batch = items[i].batch;
    const bool shares = batch.own() && !batch.released && batch.size() < kSharedRows;
    Record* last = records.empty() ? nullptr : &records.back();
    if (shares && last != nullptr && last->batch.own() && !last->batch.released &&
        last->batch.size() < kSharedRows) {
      last->batch.Append(batch);
      last->last_item = i;
    } else {
      records.push_back({std::move(batch), i, i, 0});
    }
  }
  Records parts;
  for (Record& record : records) {
    Judge(record.batch);
    const size_t rows = record.batch.size();
    for (size_t begin = 0; begin < rows && rows > kRecordRows; begin += kRecordRows)
      parts.push_back({Part(record.batch, begin, std::min(rows, begin + kRecordRows)),
                       record.first_item, record.last_item, 0});
    if (rows > 0 && rows <= kRecordRows) parts.push_back(std::move(record));
  }
  return parts;
}

// What comes from another node was judged there; its rows keep their numbers.
void Pipeline::Impl::Judge(Batch& batch) {
  if (options.ledger != nullptr) options.ledger->Produce(batch.point, clock.Now());
  if (!batch.own() || batch.released) return;
  MarkOutcome marked = marker.Mark(batch);
  if (check && !batch.empty()) check(batch, marked.quarantined);
  if (marked.duplicates.empty() && marked.quarantined.empty()) return;
  queue.BookDropped(marked.duplicates.size(), marked.quarantined.size());
  metrics.duplicates.Add(marked.duplicates.size());
  if (options.ledger == nullptr) return;
  options.ledger->Duplicate(marked.duplicates);
  options.ledger->Quarantine(marked.quarantined);
}

// Commits records from the first on, in groups, until one fails; how many are durable.
size_t Pipeline::Impl::Commit(Records& records, Status& status) {
  size_t done = 0;
  while (done < records.size() && status) {
    size_t end = done, rows = 0;
    while (end < records.size() && (end == done || rows + records[end].batch.size() <= kRecordRows))
      rows += records[end++].batch.size();
    size_t stored = 0;
    status = CommitGroup(std::span(records).subspan(done, end - done), stored);
    done += stored;
  }
  Refuse(std::span<const Record>(records).subspan(done));
  queue.BookInHand(0);
  return done;
}

Status Pipeline::Impl::CommitGroup(std::span<Record> group, size_t& done) {
  const auto begin = Steady::now();
  for (milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    size_t stored = 0;
    Status status = TryCommit(group.subspan(done), stored);
    BookStored(group.subspan(done, stored));
    done += stored;
    if (status) {
      if (failing.exchange(false)) LogInfo("durable log: writes again");
      metrics.failing.Set(0);
      return {};
    }
    metrics.log_errors.Add();
    metrics.failing.Set(1);
    failing = true;
    LogSometimes(LogLevel::kError, "durable log", "durable log: " + status.error().ToString());
    if (queue.SleepUnlessClosed(pause) || Steady::now() - begin >= options.retry_for) return status;
  }
}

// The records that could be appended are durable (`done`), the others are not in the log; or none.
Status Pipeline::Impl::TryCommit(std::span<Record> group, size_t& done) {
  const auto begin = Steady::now();
  uint64_t sequence = next_sequence;
  size_t appended = 0;
  Status status;
  for (Record& each : group) {
    each.batch.first_sequence = sequence;
    auto index = AppendRecord(each.batch);
    if (!index) {
      status = std::unexpected(std::move(index).error());
      break;
    }
    each.index = *index;
    sequence += each.batch.size();
    ++appended;
  }
  if (appended == 0) return status;
  TRY(log.Sync());
  next_sequence = sequence;
  done = appended;
  const double took = std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
  durable_ms = durable_ms == 0 ? took : 0.95 * durable_ms + 0.05 * took;
  metrics.durable_us.Set(static_cast<int64_t>(durable_ms * 1000));
  return status;
}

Result<uint64_t> Pipeline::Impl::AppendRecord(Batch& batch) {
  if (batch.own()) batch.origin.epoch = options.epoch;
  record.clear();
  EncodeBatch(batch, record);
  auto index = log.Append(record);
  if (!index && index.error().code == Code::kResourceExhausted && FlushHistory())
    index = log.Append(record);  // The cursor moved: old segments could go.
  return index;
}

void Pipeline::Impl::BookStored(std::span<const Record> records) {
  for (const Record& stored : records) {
    queue.BookStored(stored.batch.size());
    metrics.stored.Add(stored.batch.size());
    if (options.ledger != nullptr) options.ledger->Store(stored.batch, stored.index);
  }
}

void Pipeline::Impl::Refuse(std::span<const Record> records) {
  for (const Record& refused : records) {
    if (refused.batch.own()) marker.Forget(refused.batch);
    queue.BookRefused(refused.batch.size());
    metrics.refused.Add(refused.batch.size());
    if (options.ledger != nullptr) options.ledger->Refuse(refused.batch.point);
  }
}

void Pipeline::Impl::ToTail(std::span<const Record> records) {
  for (const Record& stored : records)
    if (stored.index == history_next && ToHistory(stored.batch, 0)) history_next = stored.index + 1;
}

void Pipeline::Impl::Publish(const Batch& batch, bool replayed) {
  for (auto& subscriber : subscribers) {
    if (!replayed || subscriber.replay) subscriber.call(batch);
  }
}

// --- What it does by itself

void Pipeline::Impl::Periodic() {
  const auto now = Steady::now();
  if (sweep.Due(now)) SweepSilent();
  if (history_next < log.durable_end() && catch_up.Due(now)) {
    if (auto caught = CatchUp(false); !caught) {
      LogSometimes(LogLevel::kError, "history", "history: " + caught.error().ToString());
    }
  }
  metrics.history_behind.Set(static_cast<int64_t>(log.durable_end() - history_next));
  FlushWhenAskedOrDue();
  if (retain.Due(now)) Retain();
}

void Pipeline::Impl::SweepSilent() {
  Records records(1);
  Batch& silent = records[0].batch;
  marker.Sweep(clock.Now(), silent);
  if (silent.empty()) return;
  queue.BookProduced(silent.size());
  if (options.ledger != nullptr) options.ledger->Produce(silent.point, clock.Now());
  if (std::vector<PointId> quarantined; check) {  // The last value may have been taken out, too.
    check(silent, quarantined);
    queue.BookDropped(0, quarantined.size());
    if (options.ledger != nullptr) options.ledger->Quarantine(quarantined);
  }
  if (silent.empty()) return;
  Status status;
  const size_t done = Commit(records, status);
  if (!status) LogDebug("samples of silent points were not stored");
  const auto stored = std::span<const Record>(records).first(done);
  ToTail(stored);
  for (const Record& each : stored) Publish(each.batch, false);
}

void Pipeline::Impl::FlushWhenAskedOrDue() {
  uint64_t asked = 0;
  {
    const std::lock_guard lock(control);
    if (flush_asked > flush_done) asked = flush_asked;
  }
  const bool long_tail = history.size().tail_rows > options.tail_rows_max;
  if (asked == 0 && !long_tail && !flush.Due(Steady::now())) return;
  auto done = FlushHistory();
  flush.Restart();
  if (!done) LogSometimes(LogLevel::kError, "history", "history: " + done.error().ToString());
  const std::lock_guard lock(control);
  if (asked > 0) flush_done = asked;
  flush_status = std::move(done);
  flushed.notify_all();
}

void Pipeline::Impl::Retain() {
  const Time now = retention_clock.Believe(clock.Now(), Steady::now());
  auto gone = history.Retain(now - options.retain, options.history_bytes_max);
  if (!gone) return LogSometimes(LogLevel::kError, "retain", "history: " + gone.error().ToString());
  if (*gone == 0) return;
  LogInfo("history: {} samples older than kept were deleted", *gone);
  queue.BookEvicted(*gone);
  if (options.ledger != nullptr) options.ledger->EvictUnnamed(*gone);
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
        if (options.ledger != nullptr) options.ledger->Replay(*batch, index);
        Prime(*batch);
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

// Rows of an earlier life: what would be a duplicate of them, and what time it was.
void Pipeline::Impl::Prime(const Batch& batch) {
  if (!batch.own()) return;
  marker.Prime(batch);
  if (!batch.empty()) retention_clock.Remember(batch.ingest_time.back());
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
      Prime(*batch);
    }
    return true;
  });
  TRY(PassDamage(std::move(read)));
  TRY(CatchUp(true));
  if (options.ledger == nullptr) return {};
  options.ledger->EndReplay(next_sequence);
  next_sequence = std::max<uint64_t>(next_sequence, options.ledger->sequence_end());
  queue.BookEarlier(options.ledger->total());
  return {};
}

Status Pipeline::Impl::FlushHistory() {
  TRY(history.Flush());
  if (options.ledger != nullptr) TRY(options.ledger->Persist());
  for (const auto& hook : before_cursor) TRY(hook());
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

void Pipeline::CheckWith(Check check) {
  CHECK(!impl_->started);
  impl_->check = std::move(check);
}

void Pipeline::BeforeCursor(std::function<Status()> hook) {
  CHECK(!impl_->started);
  impl_->before_cursor.push_back(std::move(hook));
}

void Pipeline::Prime(const Batch& last_known) {
  CHECK(!impl_->started);
  impl_->TakeSnapshot();
  // Whether a point has fallen silent counts from now: its source may be about to speak again.
  Batch known = last_known;
  std::ranges::fill(known.ingest_time, impl_->clock.Now());
  impl_->marker.Prime(known);
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
  CHECK(batch.origin.edge.size() <= kEdgeNameBytesMax);
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
const PointLedger* Pipeline::point_ledger() const { return impl_->options.ledger; }
uint64_t Pipeline::epoch() const { return impl_->options.epoch; }
double Pipeline::log_durable_ms() const { return impl_->durable_ms; }
bool Pipeline::log_failing() const { return impl_->failing; }
uint64_t Pipeline::next_sequence() const { return impl_->next_sequence; }

}  // namespace penstock::telemetry
