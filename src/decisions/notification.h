// Who is told of an alarm, and who next when nobody answers.
//
// Routes are the site's, in order: the first is told at once; each following one when the one
// before it has had its `escalate_after` (the node's time) and the alarm is still unacknowledged.
//
// Thread rule: any thread; `send` is called without the lock and must not block.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/site.h"
#include "decisions/alarm.h"
#include "decisions/alarm_state.h"

namespace penstock::decisions {

struct Notification {
  NotifyRoute route;
  Alarm alarm;
  size_t step = 0;  // 0: the first route; more: an escalation.
};

class Notifier {
 public:
  using Send = std::function<void(const Notification&)>;
  Notifier(std::vector<NotifyRoute> routes, const Clock& clock, Send send)
      : routes_(std::move(routes)), clock_(clock), send_(std::move(send)) {}

  void OnAlarm(const Alarm& alarm, AlarmEvent event);  // An Alarms::Listener.
  void Sweep();  // Escalates what is due; call about once a second.

 private:
  struct Waiting {
    Alarm alarm;
    size_t next = 0;  // Route that is told next.
    Time due;
  };
  void Tell(Waiting& waiting, std::vector<Notification>& out) const;

  const std::vector<NotifyRoute> routes_;
  const Clock& clock_;
  const Send send_;
  std::mutex mutex_;
  std::map<std::string, Waiting> waiting_;  // By alarm id; gone once answered or all are told.
};

}  // namespace penstock::decisions
