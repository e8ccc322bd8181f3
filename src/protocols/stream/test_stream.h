// The stream as the room's tests hold it: facts, leases and messages in memory, and a network that
// can be cut.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/stream.h"

namespace penstock::protocols::stream {

class TestStream final : public storage::Stream {
 public:
  explicit TestStream(uint32_t partitions = 1) {
    options_.partitions = partitions;
    options_.lease = std::chrono::milliseconds(50);
  }

  // What another hub does between a reading of a fact and the next writing.
  std::function<void()> meanwhile;

  void Cut(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
  }
  void Put(const std::string& key, const std::string& value) {
    const std::lock_guard lock(mutex_);
    ++facts_[key].number;
    facts_[key].value = value;
  }
  void Lose(const std::string& key) {
    const std::lock_guard lock(mutex_);
    facts_.erase(key);
  }
  std::string Value(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return facts_[key].value;
  }
  void Send(storage::StreamMessage message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  // As if it had not been renewed in time.
  void LoseLease(const std::string& name) {
    const std::lock_guard lock(mutex_);
    leases_[name] += 100;
  }

  Result<storage::StreamFact> Fact(const std::string& key) override {
    Result<storage::StreamFact> fact = NotFound("no fact {}", key);
    {
      const std::lock_guard lock(mutex_);
      TRY(Reach());
      if (const auto found = facts_.find(key); found != facts_.end()) fact = found->second;
    }
    if (fact && meanwhile) std::exchange(meanwhile, nullptr)();
    return fact;
  }
  Result<uint64_t> SetFact(const std::string& key, const std::string& value,
                           uint64_t number) override {
    const std::lock_guard lock(mutex_);
    TRY(Reach());
    const auto found = facts_.find(key);
    if ((found == facts_.end() ? 0 : found->second.number) != number)
      return Aborted("{} was written by somebody else", key);
    facts_[key] = {value, number + 1};
    return number + 1;
  }
  Result<std::unique_ptr<storage::StreamReader>> Read(uint32_t) override {
    const std::lock_guard lock(mutex_);
    TRY(Reach());
    return std::make_unique<Reader>(*this);
  }
  Result<uint64_t> TakeLease(const std::string& name, const std::string&) override {
    const std::lock_guard lock(mutex_);
    TRY(Reach());
    return ++leases_[name];
  }
  Result<uint64_t> RenewLease(const std::string& name, const std::string&,
                              uint64_t number) override {
    const std::lock_guard lock(mutex_);
    TRY(Reach());
    if (leases_[name] != number) return Aborted("the lease {} was lost", name);
    return ++leases_[name];
  }
  void GiveLease(const std::string&) override {}
  Result<std::vector<std::string>> Leases() override { return std::vector<std::string>(); }
  Status Tell(const std::string&, const std::string&) override { return {}; }
  Status Listen(const std::string&, std::function<void(std::string)>) override { return {}; }
  Status Publish(uint32_t, const std::string&, ByteView) override { return {}; }
  Status WaitPublished(std::chrono::milliseconds) override { return {}; }
  void Restart() override {}
  const storage::StreamOptions& options() const override { return options_; }

 private:
  class Reader final : public storage::StreamReader {
   public:
    explicit Reader(TestStream& stream) : stream_(stream) {}
    Result<std::vector<storage::StreamMessage>> Fetch(size_t, size_t,
                                                      std::chrono::milliseconds) override {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::lock_guard lock(stream_.mutex_);
      TRY(stream_.Reach());
      return std::exchange(stream_.messages_, {});
    }

   private:
    TestStream& stream_;
  };

  Status Reach() const {
    if (away_) return Unavailable("the stream does not answer");
    return {};
  }

  storage::StreamOptions options_;
  std::mutex mutex_;
  bool away_ = false;
  std::map<std::string, storage::StreamFact> facts_;
  std::map<std::string, uint64_t> leases_;
  std::vector<storage::StreamMessage> messages_;
};

}  // namespace penstock::protocols::stream
