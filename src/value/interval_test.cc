#include "value/interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace penstock::value {
namespace {

TEST(IntervalTest, QuantilesAgreeWithTheTables) {
  EXPECT_NEAR(ChiSquareQuantile(0.95, 2), 5.991464547, 1e-8);
  EXPECT_NEAR(ChiSquareQuantile(0.05, 2), 0.102586589, 1e-8);
  EXPECT_NEAR(ChiSquareQuantile(0.95, 10), 18.30703805, 1e-7);
  EXPECT_NEAR(ChiSquareQuantile(0.05, 100), 77.92946517, 1e-6);
  EXPECT_NEAR(BetaQuantile(0.05, 2, 3), 0.09761146, 1e-7);
  EXPECT_NEAR(BetaI(0.5, 4, 4), 0.5, 1e-12);
  EXPECT_NEAR(GammaP(1, 1), 1 - std::exp(-1), 1e-14);
}

TEST(IntervalTest, MeanTimeWithOneFailureIsWide) {
  const auto [low, high] = MeanTimeInterval(100, 1);
  EXPECT_NEAR(low, 200 / 9.487729, 1e-4);
  EXPECT_NEAR(high, 200 / 0.102586589, 1e-3);
}

TEST(IntervalTest, ProportionOfFewCasesIsExact) {
  // 9 of 10: 90 % interval after Clopper and Pearson.
  const auto [low, high] = ClopperPearson(9, 10);
  EXPECT_NEAR(low, 0.6058, 1e-4);
  EXPECT_NEAR(high, 0.9949, 1e-4);
  EXPECT_EQ(ClopperPearson(0, 5).first, 0);
  EXPECT_EQ(ClopperPearson(5, 5).second, 1);
  EXPECT_NEAR(ClopperPearson(5, 5).first, std::pow(0.05, 0.2), 1e-9);
}

TEST(IntervalTest, WilsonIsInsideAndNarrowForManyCases) {
  const auto [low, high] = Wilson(9900, 10000);
  EXPECT_GT(low, 0.988);
  EXPECT_LT(high, 0.992);
  EXPECT_GE(Wilson(0, 100).first, 0);
}

TEST(IntervalTest, NoEventsStillBoundARate) {
  const auto [low, high] = PoissonRateInterval(0, 10);
  EXPECT_EQ(low, 0);
  EXPECT_NEAR(high, 0.2995732, 1e-6);
}

}  // namespace
}  // namespace penstock::value
