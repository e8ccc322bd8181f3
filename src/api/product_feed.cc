#include "api/product_feed.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/metrics.h"

namespace penstock::api {
namespace {

// Row: [point, time in ms since 1970, value, quality].
Json RowOf(const things::Point& point, const telemetry::Batch& batch, size_t i,
           const telemetry::Texts* texts) {
  const double value = batch.value[i];
  Json shown = std::isfinite(value) ? Json(value) : Json(nullptr);
  if (point.type == things::ValueType::kString) {
    const auto text = texts == nullptr ? std::nullopt : texts->Find(value);
    shown = text ? Json(*text) : Json(nullptr);
  }
  return {point.path(), static_cast<double>(ToMicros(batch.source_time[i])) / 1000,
          std::move(shown), telemetry::QualityName(batch.quality[i])};
}

}  // namespace

void ProductFeed::Observe(const telemetry::Batch& batch, const telemetry::Texts* texts) {
  if (listening_.load(std::memory_order_relaxed) == 0) return;
  std::vector<Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(listeners_, [](const Listener& listener) { return listener.client.expired(); });
    listening_.store(listeners_.size(), std::memory_order_relaxed);
    listeners = listeners_;
  }
  if (listeners.empty()) return;
  const auto snapshot = directory_.snapshot();
  for (const Listener& listener : listeners) {
    const auto client = listener.client.lock();
    if (!client) continue;
    Json rows = Json::array();
    size_t beyond = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      const things::Point* point = snapshot->FindPoint(batch.point[i]);
      if (point == nullptr || point->product != listener.product ||
          (!listener.without.empty() && listener.without.contains(point->path())))
        continue;
      if (rows.size() < kFeedRowsMax)
        rows.push_back(RowOf(*point, batch, i, texts));
      else
        ++beyond;
    }
    if (rows.empty()) continue;
    const Json data = {
        {"product", listener.product}, {"rows", std::move(rows)}, {"left_out", beyond}};
    if (beyond > 0)
      Counter("penstock_feed_rows_left_out_total", "Rows beyond the bound of a live event")
          .Add(beyond);
    client->Offer(fmt::format("event: samples\ndata: {}\n\n",
                              data.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
}

Result<std::shared_ptr<EventClient>> ProductFeed::Listen(const std::string& product,
                                                         std::set<std::string> without) {
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const Listener& listener) { return listener.client.expired(); });
  if (listeners_.size() >= kFeedListenersMax)
    return ResourceExhausted("{} live listeners of products, no more", listeners_.size());
  auto client = std::make_shared<EventClient>();
  client->Offer("retry: 2000\n\n");
  listeners_.push_back({product, std::move(without), client});
  listening_.store(listeners_.size(), std::memory_order_relaxed);
  return client;
}

void ProductFeed::Close() {
  std::vector<Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners.swap(listeners_);
    listening_.store(0, std::memory_order_relaxed);
  }
  for (const Listener& listener : listeners)
    if (const auto client = listener.client.lock()) client->Drop();
}

}  // namespace penstock::api
