// The samples of data products as they become durable, for those who listen: server-sent events,
// bounded per listener. Who reads too slowly loses events and is told how many.
//
// Thread rule: Observe on the pipeline's thread, the rest from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/event_hub.h"
#include "telemetry/sample.h"
#include "telemetry/texts.h"
#include "things/directory.h"

namespace penstock::api {

inline constexpr size_t kFeedListenersMax = 100;
inline constexpr size_t kFeedRowsMax = 2000;  // Of one event.

class ProductFeed {
 public:
  explicit ProductFeed(const things::Directory& directory) : directory_(directory) {}

  // For a Pipeline::Subscriber, with the pipeline's texts; costs one load while nobody listens.
  void Observe(const telemetry::Batch& batch, const telemetry::Texts* texts = nullptr);
  // Points in `without` are left out. kResourceExhausted past kFeedListenersMax.
  Result<std::shared_ptr<EventClient>> Listen(const std::string& product,
                                              std::set<std::string> without);
  void Close();

 private:
  struct Listener {
    std::string product;
    std::set<std::string> without;
    std::weak_ptr<EventClient> client;
  };
  const things::Directory& directory_;
  std::atomic<size_t> listening_{0};
  std::mutex mutex_;
  std::vector<Listener> listeners_;
};

}  // namespace penstock::api
