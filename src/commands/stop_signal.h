// Ctrl-C and SIGTERM as something to wait for. Make it before any thread: the signals are blocked
// in all of them.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <chrono>

namespace penstock::commands {

class StopSignal {
 public:
  StopSignal() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignal() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // True when a signal came (also one that came before the call).
  bool Wait(std::chrono::nanoseconds timeout) {
    if (came_) return true;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timespec time{seconds.count(), (timeout - seconds).count()};
    came_ = sigtimedwait(&set_, nullptr, &time) > 0;
    return came_;
  }

 private:
  sigset_t set_, before_;
  bool came_ = false;
};

}  // namespace penstock::commands
