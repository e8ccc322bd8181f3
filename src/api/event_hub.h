// Live updates to many listeners: server-sent events (WHATWG HTML, section 9.2) with ids, so that a
// client that comes back gets what it missed from a bounded ring.
//
// Each client has a bounded queue (kClientQueue); when it is full the client is dropped and
// reconnects with Last-Event-ID. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"

namespace penstock::api {

inline constexpr size_t kClientQueue = 512;
inline constexpr size_t kOfferedBytesMax = 4 << 20;  // Of one client.
inline constexpr size_t kReplayRing = 256;
inline constexpr size_t kMaxClients = 500;

class EventClient {
 public:
  // All events queued by now as wire text; "" when there are none.
  std::string Take();
  bool dropped() const;
  // Called (without locks) when something was queued or the client was dropped.
  void OnWake(std::function<void()> wake);
  // Queues wire text for a client that nobody's ring can help: when its queue is full, the text is
  // left out, and the client is told later how many were ("event: lost").
  void Offer(const std::string& text);
  void Drop();

 private:
  friend class EventHub;
  void Push(const std::string& text);
  mutable std::mutex mutex_;
  std::deque<std::string> queue_;
  std::set<std::string> types_;  // Empty: all.
  std::function<void()> wake_;
  bool dropped_ = false;
  uint64_t lost_ = 0;   // Texts left out since the last Take.
  size_t offered_ = 0;  // Bytes queued by Offer.
};

class EventHub {
 public:
  // `keep`: goes into the ring; not for what the next event replaces anyway (values).
  void Publish(const std::string& type, const Json& data, bool keep = true);
  // `types` empty: every event. `after_id` > 0: events since, as far as the ring has them.
  // kResourceExhausted past kMaxClients.
  Result<std::shared_ptr<EventClient>> Subscribe(std::set<std::string> types, uint64_t after_id);
  size_t clients() const;
  void Close();  // Drops all clients, for shutdown.

 private:
  struct Event {
    uint64_t id;
    std::string type, text;
  };
  mutable std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::deque<Event> ring_;
  std::vector<std::weak_ptr<EventClient>> clients_;
};

}  // namespace penstock::api
