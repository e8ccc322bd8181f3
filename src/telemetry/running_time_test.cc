#include "telemetry/running_time.h"

#include <gtest/gtest.h>

namespace penstock::telemetry {
namespace {

using std::chrono::minutes;
Time AtMinute(int minute) { return FromMicros(0) + minutes(1000 + minute); }

TEST(RunningTimeTest, AThingWithoutThePointAlwaysRuns) {
  EXPECT_TRUE(RunningTime().RanThrough("weather-1", AtMinute(0), minutes(20)));
}

TEST(RunningTimeTest, AMinorStopIsForgiven) {
  RunningTime running;
  running.See("filler-1", AtMinute(0), true);
  running.See("filler-1", AtMinute(5), false);
  EXPECT_FALSE(running.RanThrough("filler-1", AtMinute(6), minutes(20))) << "it stands now";
  running.See("filler-1", AtMinute(9), true);
  EXPECT_TRUE(running.RanThrough("filler-1", AtMinute(20), minutes(20)));
}

TEST(RunningTimeTest, ALongStopIsNotUntilItHasLeftTheWindow) {
  RunningTime running;
  running.See("pump-7", AtMinute(0), false);
  running.See("pump-7", AtMinute(15), true);
  EXPECT_FALSE(running.RanThrough("pump-7", AtMinute(20), minutes(20)));
  EXPECT_TRUE(running.RanThrough("pump-7", AtMinute(30), minutes(20)));
}

}  // namespace
}  // namespace penstock::telemetry
