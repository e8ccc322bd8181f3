// The queue in front of the pipeline: bounded by batches and by rows, with the books of the ledger
// in the same lock, so that a reading of the ledger is always of one moment.
//
// Thread rule: Put and ledger() from any thread; the rest from the pipeline's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "telemetry/pipeline.h"

namespace penstock::telemetry {

class WriteQueue {
 public:
  using Callback = std::function<void(const Status&)>;
  struct Item {
    Batch batch;
    Callback on_durable;
  };
  struct Refusal {
    Callback callback;
    Error error;
  };
  struct Taken {
    std::vector<Item> items;
    std::vector<Refusal> refusals;  // To be told on the pipeline's thread.
  };

  struct Options {
    size_t batches_max = 4096, rows_max = 1'000'000;
    // A round begins this long after the one before, or when hurry_rows wait.
    std::chrono::milliseconds gap{0};
    size_t hurry_rows = 1;
    PointLedger* ledger = nullptr;
  };
  explicit WriteQueue(const Options& options) : options_(options) {}

  // Waits for room at most `wait`.
  void Put(Batch batch, Callback on_durable, std::chrono::milliseconds wait);
  // Waits at most `wait` for something to do; takes items up to about `rows_max` rows.
  Taken Take(size_t rows_max, std::chrono::milliseconds wait);
  // Makes a waiting Take return, for a flush or a stop.
  void Wake();
  // Waits until Close, at most `wait`: the pause between attempts at a failing log. True when
  // closed.
  bool SleepUnlessClosed(std::chrono::milliseconds wait);
  // From now on nothing is taken; who writes gets this error. Until Admit.
  void Bar(Error why);
  void Admit();
  void Close();
  bool closed_and_empty() const;
  bool closed() const;

  // The books. `in_hand`: rows taken and neither stored nor given up.
  void BookEarlier(const LedgerCounts& counts);  // Of earlier lives.
  void BookProduced(size_t rows);
  void BookDropped(size_t duplicates, size_t quarantined);
  void BookStored(size_t rows);
  void BookRefused(size_t rows);
  void BookBackInQuarantine(size_t rows);  // Released, and not stored after all.
  void BookEvicted(size_t rows);           // Stored before.
  void BookForwarded(size_t rows);         // Stored before.
  // What is really left in hand after a round: rows that a bug lost show up as the ledger's gap.
  void BookInHand(size_t rows);
  void BookHandled(size_t items);
  Ledger ledger() const;
  void WaitUntilHandled();

 private:
  bool HasRoom(size_t rows) const;
  void BookRefusedAtDoor(const Batch& batch);
  void WaitForGroup(std::unique_lock<std::mutex>& lock);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable not_empty_, not_full_, handled_changed_;
  std::deque<Item> items_;
  std::vector<Refusal> refusals_;
  size_t rows_ = 0, in_hand_ = 0;
  uint64_t accepted_ = 0, handled_ = 0;
  bool closed_ = false, woken_ = false;
  std::optional<Error> barred_;
  std::chrono::steady_clock::time_point next_round_{};
  Ledger books_;
};

}  // namespace penstock::telemetry
