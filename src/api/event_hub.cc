#include "api/event_hub.h"

#include <algorithm>

#include "base/metrics.h"

namespace penstock::api {

std::string EventClient::Take() {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const std::string& event : queue_) text += event;
  queue_.clear();
  if (lost_ > 0) text += fmt::format("event: lost\ndata: {{\"events\": {}}}\n\n", lost_);
  lost_ = 0;
  offered_ = 0;
  return text;
}

bool EventClient::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void EventClient::OnWake(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void EventClient::Offer(const std::string& text) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    if (dropped_) return;
    if (queue_.size() >= kClientQueue || offered_ + text.size() > kOfferedBytesMax) {
      ++lost_;
      Counter("penstock_events_lost_total", "Live events that a slow listener lost").Add();
      return;
    }
    queue_.push_back(text);
    offered_ += text.size();
    wake = wake_;
  }
  if (wake) wake();
}

void EventClient::Push(const std::string& text) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    if (dropped_) return;
    if (queue_.size() >= kClientQueue) {
      dropped_ = true;
      queue_.clear();
    } else {
      queue_.push_back(text);
    }
    wake = wake_;
  }
  if (wake) wake();
}

void EventClient::Drop() {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    dropped_ = true;
    wake = wake_;
  }
  if (wake) wake();
}

void EventHub::Publish(const std::string& type, const Json& data, bool keep) {
  std::vector<std::shared_ptr<EventClient>> clients;
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    const uint64_t id = next_id_++;
    text = fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, type,
                       data.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (keep) ring_.push_back({id, type, text});
    if (ring_.size() > kReplayRing) ring_.pop_front();
    std::erase_if(clients_, [](const auto& client) { return client.expired(); });
    for (const auto& weak : clients_)
      if (auto client = weak.lock();
          client && (client->types_.empty() || client->types_.contains(type)))
        clients.push_back(std::move(client));
  }
  for (const auto& client : clients) client->Push(text);
}

Result<std::shared_ptr<EventClient>> EventHub::Subscribe(std::set<std::string> types,
                                                         uint64_t after_id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(clients_, [](const auto& client) { return client.expired(); });
  if (clients_.size() >= kMaxClients)
    return ResourceExhausted("{} live listeners, no more", clients_.size());
  auto client = std::make_shared<EventClient>();
  client->types_ = std::move(types);
  client->queue_.push_back("retry: 2000\n\n");
  if (after_id > 0)
    for (const Event& event : ring_)
      if (event.id > after_id && (client->types_.empty() || client->types_.contains(event.type)))
        client->Push(event.text);
  clients_.push_back(client);
  return client;
}

size_t EventHub::clients() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(clients_.begin(), clients_.end(), [](const auto& c) { return !c.expired(); }));
}

void EventHub::Close() {
  std::vector<std::weak_ptr<EventClient>> clients;
  {
    const std::lock_guard lock(mutex_);
    clients.swap(clients_);
  }
  for (const auto& weak : clients)
    if (const auto client = weak.lock()) client->Drop();
}

}  // namespace penstock::api
