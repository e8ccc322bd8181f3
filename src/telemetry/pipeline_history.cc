// What ties the log and the history together: history is given the log's records in their order, at
// start those that it lacks; the log's cursor follows when everybody has kept what it derived from
// them; retention deletes, and the ledger is told of which points.
#include <algorithm>
#include <map>

#include "base/log.h"
#include "telemetry/batch_codec.h"
#include "telemetry/batch_rows.h"
#include "telemetry/pipeline_impl.h"
#include "telemetry/row_classes.h"

namespace penstock::telemetry {
namespace {

constexpr const char* kCursor = "history";
// Records before the cursor that Start reads to know the latest sequence and what would be a
// duplicate.
constexpr uint64_t kPrimeRecords = 256;

storage::HistoryColumns ColumnsFrom(const Batch& batch, size_t skip) {
  return {.point = std::span(batch.point).subspan(skip),
          .source_time = std::span(batch.source_time).subspan(skip),
          .ingest_time = std::span(batch.ingest_time).subspan(skip),
          .value = std::span(batch.value).subspan(skip),
          .quality = std::span(batch.quality).subspan(skip),
          .first_sequence = batch.first_sequence + skip};
}

}  // namespace

// What a hub gets is its account: of that, the ledger hears from the log (ledger_forward.h).
void Pipeline::Impl::Retain() {
  const Time now = retention_clock.Believe(clock.Now(), std::chrono::steady_clock::now());
  storage::HistoryRetention rules{.raw = now - options.retain, .minutes = now - options.retain};
  if (options.retention) rules = options.retention(now);
  rules.max_bytes = options.history_bytes_max;
  if (options.ledger != nullptr) {
    const LedgerForward forward = options.ledger->forward();
    rules.not_counted_from = forward.from;
    rules.not_counted_to = forward.to;
  }
  const auto deleted = history.RetainBy(rules);
  if (!deleted)
    return LogSometimes(LogLevel::kError, "retain", "history: " + deleted.error().ToString());
  uint64_t gone = 0;
  for (const auto& deletion : *deleted) gone += deletion.level == "raw" ? deletion.rows : 0;
  if (!deleted->empty() && options.on_deleted) options.on_deleted(*deleted);
  if (gone == 0) return;
  LogInfo("history: {} samples older than kept were deleted", gone);
  const GoneRows rows = RowsGone(*deleted, snapshot.get(), options.id_of);
  uint64_t booked = rows.unnamed;
  for (const auto& [point, count] : rows.of_point) booked += count;
  queue.BookEvicted(booked);
  if (options.ledger == nullptr) return;
  options.ledger->Evict(rows.of_point);
  options.ledger->EvictUnnamed(rows.unnamed);
}

void Pipeline::Impl::TakeSnapshot() {
  std::shared_ptr<const things::Snapshot> fresh;
  {
    const std::lock_guard lock(control);
    fresh.swap(fresh_snapshot);
  }
  if (!fresh) return;
  snapshot = std::move(fresh);
  if (named.size() < snapshot->by_id.size()) named.resize(snapshot->by_id.size());
  for (const auto* property : snapshot->by_id) {
    if (property == nullptr) continue;
    const things::Point& point = property->point;
    history.NamePoint(point.id, point.path(), point.product);
    if (point.type == things::ValueType::kString) history.NameText(point.id);
    named[point.id.value] = true;
  }
  priorities = PrioritiesOf(*snapshot);
  marker.SetSnapshot(snapshot);
}

// --- History

// Replayed rows may be of points whose file is gone; their values are kept under a name that says
// so.
void Pipeline::Impl::NameUnknown(const Batch& batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    const PointId id = batch.point[i];
    if (id.value < named.size() && named[id.value]) continue;
    if (named.size() <= id.value) named.resize(id.value + 1);
    history.NamePoint(id, fmt::format("unknown/point-{}", id.value), "unknown");
    if (options.texts != nullptr && options.texts->Find(batch.value[i])) history.NameText(id);
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
      if (starting) ReplayOne(*batch, index);
      failure = ToHistory(*batch, in_files);
      if (!failure) return false;
      if (starting) Publish(*batch, true);
    }
    history_next = index + 1;
    return true;
  });
  // All whole records were visited: what is behind the last of them is damaged too.
  if (!read && read.error().code == Code::kDataLoss && failure) history_next = log.durable_end();
  TRY(PassDamage(std::move(read)));
  return failure;
}

void Pipeline::Impl::ReplayOne(Batch& batch, uint64_t index) {
  next_sequence = std::max<uint64_t>(next_sequence, batch.first_sequence + batch.size());
  if (options.ledger != nullptr) options.ledger->Replay(batch, index);
  Prime(batch);
  CutOff(batch);
}

void Pipeline::Impl::CutOff(Batch& batch) {
  const size_t keep = rows_to_keep && !batch.own() ? rows_to_keep(batch) : batch.size();
  if (keep >= batch.size()) return;
  cut_off = true;
  if (options.ledger != nullptr) {
    std::map<PointId, uint64_t> rows;
    for (size_t i = keep; i < batch.size(); ++i) ++rows[batch.point[i]];
    options.ledger->Evict(std::vector<std::pair<PointId, uint64_t>>(rows.begin(), rows.end()));
  }
  KeepRows(batch, [&](size_t row) { return row < keep; });
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
  // Given up once: the next replay begins behind them.
  return cut_off ? FlushHistory() : Status();
}

Status Pipeline::Impl::MayFlush() {
  put_off = {};
  for (const auto& hook : before_flush)
    if (put_off) put_off = hook();
  metrics.put_off.Set(put_off ? 0 : 1);
  return put_off;
}

// What history has by now is frozen there and written on a thread of its own; rows that come
// meanwhile are of the next flush.
Status Pipeline::Impl::BeginFlush() {
  TRY(MayFlush());
  queue.Admit();
  flushing = true;
  flushing_next = history_next;
  {
    const std::lock_guard lock(control);
    flushing_asked = flush_asked;
    written.reset();
  }
  history.FlushSoon([this](Status status) {
    const std::lock_guard lock(control);
    written = std::move(status);
    written_changed.notify_all();
    queue.Wake();
  });
  return {};
}

std::optional<Status> Pipeline::Impl::Written(bool wait) {
  std::unique_lock lock(control);
  if (wait) written_changed.wait(lock, [&] { return written.has_value(); });
  return std::exchange(written, std::nullopt);
}

Status Pipeline::Impl::EndFlush(Status status) {
  flushing = false;
  const auto keep = [&]() -> Status {
    TRY(status);
    if (options.ledger != nullptr) TRY(options.ledger->Persist());
    for (const auto& hook : before_cursor) TRY(hook());
    TRY(log.SetCursor(kCursor, flushing_next));
    return log.Trim();
  };
  Status kept = keep();
  if (!kept) LogSometimes(LogLevel::kError, "history", "history: " + kept.error().ToString());
  const std::lock_guard lock(control);
  flush_done = std::max(flush_done, flushing_asked);
  flush_status = kept;
  flushed.notify_all();
  return kept;
}

Status Pipeline::Impl::FlushHistory() {
  if (flushing) (void)EndFlush(*Written(true));
  TRY(BeginFlush());
  return EndFlush(*Written(true));
}

}  // namespace penstock::telemetry
