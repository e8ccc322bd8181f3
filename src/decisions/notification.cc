#include "decisions/notification.h"

namespace penstock::decisions {

void Notifier::Tell(Waiting& waiting, std::vector<Notification>& out) const {
  const NotifyRoute& route = routes_[waiting.next];
  out.push_back({route, waiting.alarm, waiting.next});
  waiting.due = clock_.Now() + route.escalate_after;
  ++waiting.next;
}

void Notifier::OnAlarm(const Alarm& alarm, AlarmEvent event) {
  std::vector<Notification> out;
  {
    const std::lock_guard lock(mutex_);
    if (event == AlarmEvent::kRaise && !routes_.empty()) {
      Waiting& waiting = waiting_[alarm.id];
      waiting = {alarm, 0, {}};
      Tell(waiting, out);
    } else if (alarm.state != AlarmState::kUnacknowledged) {
      waiting_.erase(alarm.id);
    }
  }
  for (const Notification& notification : out) send_(notification);
}

void Notifier::Sweep() {
  std::vector<Notification> out;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      Waiting& waiting = it->second;
      const bool last = waiting.next >= routes_.size();
      if (!last && routes_[waiting.next - 1].escalate_after > Duration(0) &&
          clock_.Now() >= waiting.due)
        Tell(waiting, out);
      it = waiting.next >= routes_.size() ? waiting_.erase(it) : std::next(it);
    }
  }
  for (const Notification& notification : out) send_(notification);
}

}  // namespace penstock::decisions
