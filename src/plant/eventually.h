// For tests that talk over real sockets: waits until `condition` holds, ten seconds at most, so
// that only a hang fails.
#pragma once

#include <chrono>
#include <thread>

namespace penstock::plant {

template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
    if (condition()) return true;
  return false;
}

}  // namespace penstock::plant
