#include "telemetry/write_queue.h"

#include <algorithm>

namespace penstock::telemetry {

bool WriteQueue::HasRoom(size_t rows) const {
  // A batch larger than the whole queue is taken when it is alone.
  return items_.empty() || (items_.size() < batches_max_ && rows_ + rows <= rows_max_);
}

void WriteQueue::Put(Batch batch, Callback on_durable, std::chrono::milliseconds wait) {
  const size_t rows = batch.size();
  std::unique_lock lock(mutex_);
  not_full_.wait_for(lock, wait, [&] { return closed_ || HasRoom(rows); });
  if (closed_) {
    books_.produced += rows;
    books_.refused += rows;
    lock.unlock();
    if (on_durable) on_durable(Unavailable("the node is stopping, {} samples not taken", rows));
    return;
  }
  books_.produced += rows;
  if (!HasRoom(rows)) {
    books_.refused += rows;
    auto error = ResourceExhausted(
        "queue to the log is full: {} rows in {} batches wait, {} rows refused after {} ms", rows_,
        items_.size(), rows, wait.count());
    if (on_durable) refusals_.push_back({std::move(on_durable), std::move(error).error()});
  } else {
    rows_ += rows;
    ++accepted_;
    items_.push_back({std::move(batch), std::move(on_durable)});
  }
  lock.unlock();
  not_empty_.notify_one();
}

WriteQueue::Taken WriteQueue::Take(size_t rows_max, std::chrono::milliseconds wait) {
  Taken taken;
  {
    std::unique_lock lock(mutex_);
    not_empty_.wait_for(lock, wait,
                        [&] { return closed_ || woken_ || !items_.empty() || !refusals_.empty(); });
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
  if (!taken.items.empty()) not_full_.notify_all();
  return taken;
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
  const uint64_t known =
      ledger.stored + ledger.quarantined + ledger.duplicates + ledger.refused + ledger.pending;
  ledger.gap = static_cast<int64_t>(ledger.produced) - static_cast<int64_t>(known);
  return ledger;
}

void WriteQueue::WaitUntilHandled() {
  std::unique_lock lock(mutex_);
  const uint64_t target = accepted_;
  handled_changed_.wait(lock, [&] { return handled_ >= target; });
}

}  // namespace penstock::telemetry
