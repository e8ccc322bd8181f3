// What open consoles hear without asking: changed values twice a second, the overview once, devices
// when they change.
#pragma once

#include <thread>

#include "api/services.h"

namespace penstock {

class LiveUpdates {
 public:
  explicit LiveUpdates(const api::Services& services);
  ~LiveUpdates();

 private:
  void Run(const std::stop_token& stop);
  void SendValues(uint64_t& revision);
  const api::Services& services_;
  std::jthread thread_;
};

}  // namespace penstock
