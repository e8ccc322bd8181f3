#include "value/saving.h"

#include <gtest/gtest.h>

namespace penstock::value {
namespace {

UseCase Use(const std::string& method) {
  UseCase use;
  use.name = "bearing";
  use.method = method;
  use.value["unplanned_downtime"] = *ParsePrice("1000 EUR/h");
  return use;
}

TEST(SavingTest, WithoutABaselineThereIsNoClaim) {
  const Saving saving = ClaimSaving(Use("before-after"), {}, {1, 100, 1}, {}, {});
  EXPECT_FALSE(saving.amount);
  EXPECT_EQ(saving.reason, "no baseline");
  EXPECT_TRUE(saving.ToJson()["amount"].is_null());
  EXPECT_FALSE(ClaimSaving(Use("before-after"), {10, 1000, 2}, {1, 100, 1}, {}, {}).amount);
  EXPECT_FALSE(ClaimSaving(Use(""), {10, 1000, 5}, {1, 100, 1}, {}, {}).amount);
}

TEST(SavingTest, BeforeAndAfterAtTheSamePace) {
  const Saving saving = ClaimSaving(Use("before-after"), {20, 1000, 10}, {5, 500, 3}, {}, {});
  ASSERT_TRUE(saving.amount) << saving.reason;
  EXPECT_NEAR(*saving.hours, 5, 1e-12);  // 10 expected, 5 seen.
  EXPECT_NEAR(*saving.amount, 5000, 1e-9);
  EXPECT_LT(*saving.low, 0);  // Few failures: it may be chance, and the interval says so.
  EXPECT_GT(*saving.high, 10'000);
}

TEST(SavingTest, WhatTheControlsGainedTooIsNotOurDoing) {
  const Downtime control_before{20, 1000, 10}, control_after{5, 500, 3};
  const Saving saving = ClaimSaving(Use("difference-in-differences"), {20, 1000, 10}, {5, 500, 3},
                                    control_before, control_after);
  ASSERT_TRUE(saving.hours);
  EXPECT_NEAR(*saving.hours, 0, 1e-12);
  EXPECT_FALSE(
      ClaimSaving(Use("difference-in-differences"), {20, 1000, 10}, {5, 500, 3}, {}, {}).amount);
}

}  // namespace
}  // namespace penstock::value
