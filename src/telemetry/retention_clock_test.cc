#include "telemetry/retention_clock.h"

#include <gtest/gtest.h>

namespace penstock::telemetry {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

const Time kNow = ParseTime("2026-06-01T12:00:00Z").value();
const RetentionClock::Steady::time_point kSteady{};

TEST(RetentionClockTest, BelievesAClockThatRunsAsTimePasses) {
  RetentionClock clock;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(clock.Believe(kNow + minutes(10 * i), kSteady + minutes(10 * i)),
              kNow + minutes(10 * i));
}

TEST(RetentionClockTest, DoubtsAJumpOfYearsForADay) {
  RetentionClock clock;
  clock.Believe(kNow, kSteady);
  for (int hour = 1; hour <= 24; ++hour)
    EXPECT_EQ(clock.Believe(kNow + days(3650) + hours(hour), kSteady + hours(hour)),
              kNow + hours(hour));
  EXPECT_EQ(clock.Believe(kNow + days(3650) + hours(26), kSteady + hours(26)),
            kNow + days(3650) + hours(26));
}

TEST(RetentionClockTest, AJumpThatWasCorrectedLeavesNothingBehind) {
  RetentionClock clock;
  clock.Believe(kNow, kSteady);
  clock.Believe(kNow + days(365), kSteady + hours(1));
  EXPECT_EQ(clock.Believe(kNow + hours(2), kSteady + hours(2)), kNow + hours(2));
  // The next jump is doubted anew.
  EXPECT_EQ(clock.Believe(kNow + days(365), kSteady + hours(25)), kNow + hours(25));
}

TEST(RetentionClockTest, DoubtsAStartYearsAfterTheLatestStoredSample) {
  RetentionClock clock;
  clock.Remember(kNow - hours(3));
  clock.Remember(kNow);
  EXPECT_EQ(clock.Believe(kNow + days(3650), kSteady), kNow);
  EXPECT_EQ(clock.Believe(kNow + hours(1), kSteady + minutes(10)), kNow + hours(1));
}

TEST(RetentionClockTest, AClockThatGoesBackIsFollowed) {
  RetentionClock clock;
  clock.Believe(kNow, kSteady);
  EXPECT_EQ(clock.Believe(kNow - days(3650), kSteady + hours(1)), kNow - days(3650));
}

TEST(RetentionClockTest, IsAClockForOthersToo) {
  ManualClock wall(kNow + days(3650));
  BelievedClock believed(wall);
  believed.Remember(kNow);
  EXPECT_LT(believed.Now(), kNow + minutes(1));
  wall.Set(kNow);
  EXPECT_EQ(believed.Now(), kNow);
}

}  // namespace
}  // namespace penstock::telemetry
