// Three rules keep "acknowledged" true over every crash.
//
// 1. A row is told durable only after Sync() returned and when a query finds it; one Sync serves
//    all that was queued meanwhile (group commit), so the slower the disk, the larger the groups.
// 2. History gets records in the log's order and nothing else: `history_next` is the log index it
//    needs next. Where it was when a flush began, the cursor "history" moves to only after that
//    flush wrote everything to Parquet and everybody with derived state (BeforeCursor) made that
//    durable. After a crash the records from the cursor on are given again; rows below
//    flushed_sequence_end() were in the files already and are skipped.
// 3. What of a group is not synced is not in the log, so it is tried again. When the time for that
//    is over its rows are refused, use up no sequence numbers, and are forgotten by the duplicate
//    search, because their producer will send them again. So are those of all later writes of the
//    round: one of them may be the repetition of a row that was refused.
//
// A large write is moved into its record, not copied; small ones share a record.
#include "telemetry/pipeline.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/log.h"
#include "telemetry/batch_codec.h"
#include "telemetry/pipeline_impl.h"
#include "telemetry/row_classes.h"

namespace penstock::telemetry {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{50}, kLongestPause{1000};
// Rows of one record of the log: even without any runs they stay under its 16 MiB.
constexpr size_t kRecordRows = 1 << 18;
constexpr size_t kSharedRows = 4096;  // Smaller writes are copied into a common record.

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
  part.released = whole.released;
  return part;
}

}  // namespace

// --- The thread

void Pipeline::Impl::Run() {
  while (!queue.closed_and_empty()) {
    auto taken = queue.Take(options.drain_rows, options.sweep_every);
    TellRefused(taken.refusals);
    TakeSnapshot();
    if (!taken.items.empty()) Handle(std::move(taken.items));
    Periodic();
  }
  if (auto done = FlushHistory(); !done && put_off)
    LogError("history: {}", done.error().ToString());
  if (!put_off)
    LogWarn("history: not written, the log keeps what is new: {}", put_off.error().ToString());
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
      records.push_back({std::move(batch), i, i});
    }
  }
  Records parts;
  for (Record& whole : records) {
    Judge(whole.batch);
    if (whole.batch.own()) {
      for (auto& [rows, priority] : ByPriority(std::move(whole.batch), priorities))
        AddRecords({std::move(rows), whole.first_item, whole.last_item, 0, priority}, parts);
    } else if (!whole.batch.empty()) {
      AddRecords(std::move(whole), parts);
    }
  }
  return parts;
}

void Pipeline::Impl::AddRecords(Record whole, Records& parts) const {
  const size_t rows = whole.batch.size();
  const auto fit = [&](size_t begin) {
    const size_t some = std::min(rows - begin, kRecordRows);
    return options.texts == nullptr
               ? some
               : options.texts->RowsWithin(std::span(whole.batch.value).subspan(begin, some),
                                           kRecordTextBytesMax);
  };
  size_t some = rows == 0 ? 0 : fit(0);
  if (some == rows) return parts.push_back(std::move(whole));
  for (size_t begin = 0; begin < rows; begin += some) {
    some = fit(begin);
    parts.push_back({Part(whole.batch, begin, begin + some), whole.first_item, whole.last_item, 0,
                     whole.priority});
  }
}

// What comes from another node was judged there; its rows keep their numbers.
void Pipeline::Impl::Judge(Batch& batch) {
  if (batch.released) return;  // Produced when it came.
  if (options.ledger != nullptr) options.ledger->Produce(batch.point, clock.Now());
  if (!batch.own()) return;
  if (check != nullptr) marker.SetLimits(check->Begin(next_sequence));
  MarkOutcome marked = marker.Mark(batch);
  if (check != nullptr && !marked.suspects.empty()) {
    // What the quarantine keeps has its texts, too; a failing disk is told of by the commit.
    if (options.texts != nullptr) (void)options.texts->Sync();
    check->Judge(batch, marked.suspects, marked.quarantined);
  }
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
  if (options.texts != nullptr) TRY(options.texts->Sync());  // Before the rows that have them.
  uint64_t sequence = next_sequence;
  size_t appended = 0;
  Status status;
  for (Record& each : group) {
    each.batch.first_sequence = sequence;
    auto index = AppendRecord(each);
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

Result<uint64_t> Pipeline::Impl::AppendRecord(Record& record) {
  if (record.batch.own()) record.batch.origin.epoch = options.epoch;
  encoded.clear();
  EncodeBatch(record.batch, encoded);
  auto index = log.Append(encoded, record.priority);
  if (index || index.error().code != Code::kResourceExhausted) return index;
  if (FlushHistory()) return log.Append(encoded, record.priority);  // Old segments could go.
  if (!put_off) return std::unexpected(put_off.error());
  return index;
}

void Pipeline::Impl::BookStored(std::span<const Record> records) {
  for (const Record& stored : records) {
    queue.BookStored(stored.batch.size());
    metrics.stored.Add(stored.batch.size());
    if (options.ledger == nullptr) continue;
    if (stored.batch.released) options.ledger->Release(stored.batch.point);
    options.ledger->Store(stored.batch, stored.index);
  }
}

void Pipeline::Impl::Refuse(std::span<const Record> records) {
  for (const Record& refused : records) {
    metrics.refused.Add(refused.batch.size());
    if (refused.batch.released) {
      queue.BookBackInQuarantine(refused.batch.size());
      continue;
    }
    if (refused.batch.own()) marker.Forget(refused.batch);
    queue.BookRefused(refused.batch.size());
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
  if (check != nullptr) CheckSilent(silent);
  if (silent.empty()) return;
  Status status;
  const size_t done = Commit(records, status);
  if (!status) LogDebug("samples of silent points were not stored");
  const auto stored = std::span<const Record>(records).first(done);
  ToTail(stored);
  for (const Record& each : stored) Publish(each.batch, false);
}

// The last value may have been taken out, too.
void Pipeline::Impl::CheckSilent(Batch& silent) {
  marker.SetLimits(check->Begin(next_sequence));
  std::vector<uint32_t> all(silent.size());
  std::iota(all.begin(), all.end(), 0U);
  std::vector<PointId> quarantined;
  check->Judge(silent, all, quarantined);
  queue.BookDropped(0, quarantined.size());
  if (options.ledger != nullptr) options.ledger->Quarantine(quarantined);
}

// Files are written beside the rounds of the pipeline. When rows come faster than that, the round
// waits, and with it whoever writes, so that memory stays bounded.
void Pipeline::Impl::FlushWhenAskedOrDue() {
  const auto tail_rows = [&] { return history.size().tail_rows; };  // With those being written.
  if (flushing) {
    auto status = Written(tail_rows() > options.tail_rows_max + options.tail_rows_max / 2);
    if (!status) return;
    (void)EndFlush(std::move(*status));
  }
  if (!MustFlush()) return KeepBound();
  flush.Restart();
  if (!BeginFlush()) {
    TellPutOff();
    return KeepBound();
  }
  if (auto status = Written(false)) (void)EndFlush(std::move(*status));
}

bool Pipeline::Impl::MustFlush() {
  bool asked = false, failed = false;
  {
    const std::lock_guard lock(control);
    asked = flush_asked > flush_done;
    failed = !flush_status;
  }
  const auto now = Steady::now();
  const bool long_tail = history.size().tail_rows > options.tail_rows_max;
  return asked || (long_tail && (!failed || flush_again.Due(now))) || flush.Due(now);
}

void Pipeline::Impl::TellPutOff() {
  LogSometimes(LogLevel::kWarn, "history-put-off",
               "history: put off: " + put_off.error().ToString());
  const std::lock_guard lock(control);
  flush_done = std::max(flush_done, flush_asked);
  flush_status = put_off;
  flushed.notify_all();
}

// What a tail whose flush is put off has no more room for, its writers keep. The queue, too, fits
// in what history takes, so that a replay brings it all back.
void Pipeline::Impl::KeepBound() {
  const size_t rows = history.size().tail_rows;
  if (put_off || rows <= options.tail_rows_max) return;
  Error full = put_off.error();
  full.message =
      fmt::format("{} rows wait for their files, no more are taken: {}", rows, full.message);
  queue.Bar(std::move(full));
}

// --- The face

Pipeline::Pipeline(storage::DurableLog& log, storage::History& history, QuarantineSink& quarantine,
                   const Clock& clock, PipelineOptions options)
    : impl_(std::make_unique<Impl>(log, history, quarantine, clock, options)) {
  if (options.texts != nullptr)
    history.SetTexts([texts = options.texts](double code) { return texts->Find(code); });
  // In a long replay. Later the pipeline flushes between its rounds, for within one nobody has been
  // told yet of the rows that the tail has.
  history.FlushOnlyIf(
      [impl = impl_.get()] { return !impl->started && impl->put_off && impl->MayFlush(); });
}

Pipeline::~Pipeline() {
  Stop();
  impl_->history.FlushOnlyIf(nullptr);
}

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

void Pipeline::CheckWith(RowCheck& check) {
  CHECK(!impl_->started);
  impl_->check = &check;
}

void Pipeline::BeforeFlush(std::function<Status()> hook) {
  CHECK(!impl_->started);
  impl_->before_flush.push_back(std::move(hook));
}

void Pipeline::CutReplay(std::function<size_t(const Batch&)> rows_to_keep) {
  CHECK(!impl_->started);
  impl_->rows_to_keep = std::move(rows_to_keep);
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
  if (impl_->check != nullptr) impl_->marker.SetLimits(impl_->check->Begin(impl_->next_sequence));
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

Result<double> Pipeline::Intern(PointId point, std::string_view text) {
  if (impl_->options.texts == nullptr) return SampleSink::Intern(point, text);
  return impl_->options.texts->Intern(point, text);
}

std::optional<std::string_view> Pipeline::TextOf(double value) const {
  return impl_->options.texts == nullptr ? std::nullopt : impl_->options.texts->Find(value);
}

const Texts* Pipeline::texts() const { return impl_->options.texts; }

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

void Pipeline::Forwarded(std::span<const std::pair<PointId, uint64_t>> rows, uint64_t next_record) {
  uint64_t all = 0;
  for (const auto& [point, count] : rows) all += count;
  impl_->queue.BookForwarded(all);
  if (impl_->options.ledger != nullptr) impl_->options.ledger->Forward(rows, next_record);
}

void Pipeline::Evicted(std::span<const std::pair<PointId, uint64_t>> rows) {
  uint64_t all = 0;
  for (const auto& [point, count] : rows) all += count;
  impl_->queue.BookEvicted(all);
  if (impl_->options.ledger != nullptr) impl_->options.ledger->Evict(rows);
}

Ledger Pipeline::ledger() const { return impl_->queue.ledger(); }
const PointLedger* Pipeline::point_ledger() const { return impl_->options.ledger; }
uint64_t Pipeline::epoch() const { return impl_->options.epoch; }
double Pipeline::log_durable_ms() const { return impl_->durable_ms; }
bool Pipeline::log_failing() const { return impl_->failing; }
uint64_t Pipeline::next_sequence() const { return impl_->next_sequence; }

}  // namespace penstock::telemetry
