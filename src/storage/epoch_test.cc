#include "storage/epoch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "storage/temporary_folder.h"

namespace penstock::storage {
namespace {

const Time kNow = FromMicros(1'780'000'200'000'000);

TEST(EpochTest, StaysWithItsFolder) {
  const TemporaryFolder folder;
  const auto first = OpenEpoch(folder / "", kNow);
  ASSERT_TRUE(first) << first.error().ToString();
  EXPECT_TRUE(first->fresh);
  const auto again = OpenEpoch(folder / "", kNow + std::chrono::hours(1));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->fresh);
  EXPECT_EQ(again->value, first->value);
}

TEST(EpochTest, ACopyOfTheFolderHasALargerOne) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  const auto first = OpenEpoch(folder / "a", kNow);
  std::filesystem::copy(folder / "a", folder / "b");
  // Also when the clock was set back.
  const auto copy = OpenEpoch(folder / "b", kNow - std::chrono::hours(1));
  ASSERT_TRUE(first && copy);
  EXPECT_TRUE(copy->fresh);
  EXPECT_GT(copy->value, first->value);
  EXPECT_LT(copy->value, 1ULL << 53);
}

TEST(EpochTest, TwoFoldersDifferAndDamageMakesANewOne) {
  const TemporaryFolder a, b;
  const auto first = OpenEpoch(a / "", kNow), second = OpenEpoch(b / "", kNow);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->value, second->value);
  ASSERT_TRUE(WriteFileAtomically(a / "epoch", "epoch"));
  const auto damaged = OpenEpoch(a / "", kNow + std::chrono::seconds(1));
  ASSERT_TRUE(damaged);
  EXPECT_TRUE(damaged->fresh);
  EXPECT_NE(damaged->value, first->value);
}

}  // namespace
}  // namespace penstock::storage
