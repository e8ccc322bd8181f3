#include "value/production.h"

#include <gtest/gtest.h>

#include "value/testing_line.h"

namespace penstock::value {
namespace {

TEST(ProductionTest, CountsWhatTheCountersRose) {
  TestLine line;
  line.Run(0, 60, true, true, 500, 5);
  const Produced sum = line.production->Sum("line-1", At(0), At(3600));
  EXPECT_EQ(sum.good, 59 * 500);  // The first reading is where counting begins.
  EXPECT_EQ(sum.reject, 59 * 5);
  EXPECT_EQ(sum.energy, 59 * 2);
  EXPECT_NEAR(sum.ideal_s, 59 * 505 / 10.0, 1e-6);
}

TEST(ProductionTest, AResetLosesNothingThatWasSeen) {
  TestLine line;
  line.Run(0, 10, true, true, 100);
  line.good = 0;
  line.Run(10, 20, true, true, 100);
  EXPECT_EQ(line.production->Sum("line-1", At(0), At(1200)).good, 9 * 100 + 10 * 100);
}

TEST(ProductionTest, ACounterThatFallsALittleWasOvertakenNotReset) {
  TestLine line;
  line.Run(0, 10, true, true, 100);
  line.good -= 50;
  line.Run(10, 11, true, true, 0);
  EXPECT_EQ(line.production->Sum("line-1", At(0), At(1200)).good, 900);
}

TEST(ProductionTest, EachProductHasItsIdealRate) {
  TestLine line;
  line.Run(0, 10, true, true, 100);
  line.product = 2;
  line.Run(10, 20, true, true, 100);
  // 9 minutes at 600 a minute, 10 at 300 a minute.
  EXPECT_NEAR(line.production->Sum("line-1", At(0), At(1200)).ideal_s, 900 / 10.0 + 1000 / 5.0,
              1e-6);
}

TEST(ProductionTest, GoesOnWhereItStoppedAfterARestart) {
  TestLine line;
  line.Run(0, 30, true, true, 100);
  line.Open();
  line.Run(20, 30, true, true, 0);  // Replayed.
  line.Run(30, 40, true, true, 100);
  EXPECT_EQ(line.production->Sum("line-1", At(0), At(2400)).good, 39 * 100);
}

TEST(ProductionTest, NoReadingIsNotNothing) {
  TestLine line;
  EXPECT_EQ(line.production->Sum("line-1", At(0), At(600)).samples, 0U);
}

}  // namespace
}  // namespace penstock::value
