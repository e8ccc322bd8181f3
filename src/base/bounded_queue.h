// A queue between threads with a bound. When it is full the caller decides: TryPush says no (drop
// and count, or push back to the socket), Push waits. Closed: pushes fail, pops drain what is left
// and then return nothing.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace penstock {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  bool TryPush(T&& item) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    not_empty_.notify_one();
    return true;
  }

  bool Push(T&& item) {
    {
      std::unique_lock lock(mutex_);
      not_full_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
      if (closed_) return false;
      items_.push_back(std::move(item));
    }
    not_empty_.notify_one();
    return true;
  }

  // Waits at most `timeout` for the first item, then takes all there are, up to `max`.
  std::vector<T> PopMany(size_t max, std::chrono::microseconds timeout) {
    std::vector<T> taken;
    {
      std::unique_lock lock(mutex_);
      not_empty_.wait_for(lock, timeout, [&] { return closed_ || !items_.empty(); });
      while (!items_.empty() && taken.size() < max) {
        taken.push_back(std::move(items_.front()));
        items_.pop_front();
      }
    }
    if (!taken.empty()) not_full_.notify_all();
    return taken;
  }

  std::optional<T> Pop(std::chrono::microseconds timeout) {
    auto taken = PopMany(1, timeout);
    if (taken.empty()) return std::nullopt;
    return std::move(taken.front());
  }

  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    not_empty_.notify_all();
    not_full_.notify_all();
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  size_t capacity() const { return capacity_; }

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable not_empty_, not_full_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace penstock
