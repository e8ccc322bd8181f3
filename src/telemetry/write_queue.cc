#include "telemetry/write_queue.h"

#include <algorithm>

namespace penstock::telemetry {

namespace {

// What was not let out of the quarantine is in it still.
void BookAtDoor(PointLedger* ledger, const Batch& batch) {
  if (ledger == nullptr || batch.released) return;
  ledger->Produce(batch.point, batch.ingest_time.empty() ? Time() : batch.ingest_time.back());
  ledger->Refuse(batch.point);
}

}  // namespace

bool WriteQueue::HasRoom(size_t rows) const {
  // A batch larger than the whole queue is taken when it is alone.
  return items_.empty() ||
         (items_.size() < options_.batches_max && rows_ + rows <= options_.rows_max);
}

void WriteQueue::Put(Batch batch, Callback on_durable, std::chrono::milliseconds wait) {
  const size_t rows = batch.size();
  std::unique_lock lock(mutex_);
  not_full_.wait_for(lock, wait, [&] { return closed_ || barred_ || HasRoom(rows); });
  if (closed_) {
    BookRefusedAtDoor(batch);
    lock.unlock();
    BookAtDoor(options_.ledger, batch);
    if (on_durable) on_durable(Unavailable("the node is stopping, {} samples not taken", rows));
    return;
  }
  if (barred_ || !HasRoom(rows)) {
    BookRefusedAtDoor(batch);
    auto full = ResourceExhausted(
        "queue to the log is full: {} rows in {} batches wait, {} rows refused after {} ms", rows_,
        items_.size(), rows, wait.count());
    if (on_durable) refusals_.push_back({std::move(on_durable), barred_.value_or(full.error())});
    BookAtDoor(options_.ledger, batch);
  } else {
    // Of what the books have in the quarantine; a crash may have taken that count.
    const uint64_t released = batch.released ? std::min<uint64_t>(rows, books_.quarantined) : 0;
    books_.quarantined -= released;
    books_.produced += rows - released;
    rows_ += rows;
    ++accepted_;
    items_.push_back({std::move(batch), std::move(on_durable)});
  }
  lock.unlock();
  not_empty_.notify_one();
}

// The caller holds the lock.
void WriteQueue::BookRefusedAtDoor(const Batch& batch) {
  if (batch.released) return;
  books_.produced += batch.size();
  books_.refused += batch.size();
}

WriteQueue::Taken WriteQueue::Take(size_t rows_max, std::chrono::milliseconds wait) {
  Taken taken;
  {
    std::unique_lock lock(mutex_);
    not_empty_.wait_for(lock, wait,
                        [&] { return closed_ || woken_ || !items_.empty() || !refusals_.empty(); });
    WaitForGroup(lock);
    woken_ = false;
    taken.refusals.swap(refusals_);
    for (size_t rows = 0;
         !items_.empty() && (rows == 0 || rows + items_.front().batch.size() <= rows_max);) {
      rows += items_.front().batch.size();
      rows_ -= items_.front().batch.size();
      in_hand_ += items_.front().batch.size();
      taken.items.push_back(std::move(items_.front()));
      items_.pop_front();
    }
  }
  if (taken.items.empty()) return taken;
  not_full_.notify_all();
  // Who waits for each answer before the next write would only be slowed down.
  if (taken.items.size() > 1) next_round_ = std::chrono::steady_clock::now() + options_.gap;
  return taken;
}

// What comes within `gap` of the round before shares the next one: under load a sync serves many
// writes, and alone a write waits for nobody.
void WriteQueue::WaitForGroup(std::unique_lock<std::mutex>& lock) {
  if (items_.empty()) return;
  not_empty_.wait_until(lock, next_round_, [&] {
    return closed_ || woken_ || !refusals_.empty() || rows_ >= options_.hurry_rows ||
           items_.size() >= options_.batches_max;
  });
}

void WriteQueue::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  not_empty_.notify_one();
}

bool WriteQueue::SleepUnlessClosed(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return not_empty_.wait_for(lock, wait, [&] { return closed_; });
}

void WriteQueue::Bar(Error why) {
  {
    const std::lock_guard lock(mutex_);
    barred_ = std::move(why);
  }
  not_full_.notify_all();
}

void WriteQueue::Admit() {
  const std::lock_guard lock(mutex_);
  barred_.reset();
}

void WriteQueue::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  not_empty_.notify_all();
  not_full_.notify_all();
}

bool WriteQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

bool WriteQueue::closed_and_empty() const {
  const std::lock_guard lock(mutex_);
  return closed_ && items_.empty() && refusals_.empty();
}

void WriteQueue::BookEarlier(const LedgerCounts& counts) {
  const std::lock_guard lock(mutex_);
  books_.produced += counts.produced;
  books_.stored += static_cast<uint64_t>(std::max<int64_t>(0, counts.stored()));
  books_.forwarded += counts.forwarded;
  books_.evicted += counts.evicted;
  books_.quarantined += static_cast<uint64_t>(std::max<int64_t>(0, counts.kept_apart()));
  books_.duplicates += counts.duplicates;
  books_.refused += counts.refused;
}

void WriteQueue::BookProduced(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.produced += rows;
  in_hand_ += rows;
}

void WriteQueue::BookDropped(size_t duplicates, size_t quarantined) {
  const std::lock_guard lock(mutex_);
  books_.duplicates += duplicates;
  books_.quarantined += quarantined;
  in_hand_ -= duplicates + quarantined;
}

void WriteQueue::BookStored(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.stored += rows;
  in_hand_ -= rows;
}

void WriteQueue::BookRefused(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.refused += rows;
  in_hand_ -= rows;
}

void WriteQueue::BookBackInQuarantine(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.quarantined += rows;
  in_hand_ -= rows;
}

void WriteQueue::BookEvicted(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.evicted += rows;
  books_.stored -= rows;
}

void WriteQueue::BookForwarded(size_t rows) {
  const std::lock_guard lock(mutex_);
  books_.forwarded += rows;
  books_.stored -= rows;
}

void WriteQueue::BookInHand(size_t rows) {
  const std::lock_guard lock(mutex_);
  in_hand_ = rows;
}

void WriteQueue::BookHandled(size_t items) {
  {
    const std::lock_guard lock(mutex_);
    handled_ += items;
  }
  handled_changed_.notify_all();
}

Ledger WriteQueue::ledger() const {
  const std::lock_guard lock(mutex_);
  Ledger ledger = books_;
  ledger.pending = rows_ + in_hand_;
  const uint64_t known = ledger.stored + ledger.forwarded + ledger.evicted + ledger.quarantined +
                         ledger.duplicates + ledger.refused + ledger.pending;
  ledger.gap = static_cast<int64_t>(ledger.produced) - static_cast<int64_t>(known);
  return ledger;
}

void WriteQueue::WaitUntilHandled() {
  std::unique_lock lock(mutex_);
  const uint64_t target = accepted_;
  handled_changed_.wait(lock, [&] { return handled_ >= target; });
}

}  // namespace penstock::telemetry
