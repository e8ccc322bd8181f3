#include "decisions/notification.h"

#include <gtest/gtest.h>

namespace penstock::decisions {
namespace {

class NotifierTest : public testing::Test {
 protected:
  Alarm Make(AlarmState state) {
    Alarm alarm;
    alarm.id = "A-1001";
    alarm.state = state;
    return alarm;
  }
  ManualClock clock_{FromMicros(0)};
  std::vector<std::string> told_;
  Notifier notifier_{{{"technician", "push", "", std::chrono::seconds(60)},
                      {"shift-lead", "webhook", "http://127.0.0.1/", {}}},
                     clock_,
                     [this](const Notification& n) { told_.push_back(n.route.role); }};
};

TEST_F(NotifierTest, TellsTheNextWhenNobodyAnswers) {
  notifier_.OnAlarm(Make(AlarmState::kUnacknowledged), AlarmEvent::kRaise);
  clock_.Advance(std::chrono::seconds(59));
  notifier_.Sweep();
  EXPECT_EQ(told_, std::vector<std::string>{"technician"});
  clock_.Advance(std::chrono::seconds(1));
  notifier_.Sweep();
  notifier_.Sweep();
  EXPECT_EQ(told_, (std::vector<std::string>{"technician", "shift-lead"}));
}

TEST_F(NotifierTest, AnAnswerEndsTheEscalation) {
  notifier_.OnAlarm(Make(AlarmState::kUnacknowledged), AlarmEvent::kRaise);
  notifier_.OnAlarm(Make(AlarmState::kAcknowledged), AlarmEvent::kAcknowledge);
  clock_.Advance(std::chrono::hours(1));
  notifier_.Sweep();
  EXPECT_EQ(told_.size(), 1U);
}

}  // namespace
}  // namespace penstock::decisions
