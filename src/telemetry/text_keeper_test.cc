#include "telemetry/text_keeper.h"

#include <gtest/gtest.h>

#include "storage/temporary_folder.h"
#include "telemetry/batch_codec.h"

namespace penstock::telemetry {
namespace {

using std::chrono::days;
using std::chrono::hours;

// A point with room for eight texts; samples are kept for 90 days.
class TextKeeperTest : public testing::Test {
 protected:
  std::unique_ptr<TextKeeper> Keeper() {
    return std::make_unique<TextKeeper>(TextKeeper::Parts{*texts_, clock_, *log_,
                                                          [](Time now) { return now - days(90); },
                                                          [this] { return present_; }});
  }
  void Say(std::initializer_list<const char*> names) {
    for (const char* name : names) EXPECT_TRUE(texts_->Intern(PointId{1}, name)) << name;
  }
  bool Knows(const char* name) const { return texts_->Find(TextCode(name)).has_value(); }
  // As days pass on a node that runs.
  void Pass(TextKeeper& keeper, int count) {
    for (int day = 0; day < count; ++day) {
      clock_.Advance(days(1));
      keeper.Sweep();
    }
  }

  storage::TemporaryFolder folder_;
  ManualClock clock_{ParseTime("2026-06-01T08:00:00Z").value()};
  std::unique_ptr<Texts> texts_ = Texts::Open(folder_ / "texts", {.texts_of_point = 8}).value();
  std::unique_ptr<storage::DurableLog> log_ =
      storage::DurableLog::Open(folder_ / "log", {}).value();
  std::vector<double> present_;
};

TEST_F(TextKeeperTest, OrdersOfLastQuarterMakeRoomForThoseOfThisOne) {
  const auto keeper = Keeper();
  keeper->Sweep();
  Say({"order-1", "order-2", "running", "order-3", "order-4", "order-5", "order-6", "order-7"});
  present_ = {TextCode("order-7")};
  Pass(*keeper, 50);
  Say({"running"});
  Pass(*keeper, 41);
  EXPECT_EQ(texts_->size(), 8u) << "91 days old, and two more to be sure";
  Pass(*keeper, 2);
  EXPECT_EQ(texts_->size(), 2u);
  EXPECT_TRUE(Knows("running"));
  EXPECT_TRUE(Knows("order-7")) << "the present value";
  Say({"order-8", "order-9"});
}

TEST_F(TextKeeperTest, WhatWaitsInTheLogIsKept) {
  const auto keeper = Keeper();
  keeper->Sweep();
  Say({"a", "b", "c", "d", "e", "f", "g", "h"});
  Batch waiting;
  waiting.Add(PointId{1}, clock_.Now(), clock_.Now(), TextCode("a"), kGood);
  Bytes record;
  EncodeBatch(waiting, record);
  ASSERT_TRUE(log_->Append(record));
  ASSERT_TRUE(log_->Sync());
  Pass(*keeper, 200);
  EXPECT_EQ(texts_->size(), 8u);
}

TEST_F(TextKeeperTest, AClockThatJumpsAheadMakesNothingOld) {
  auto keeper = Keeper();
  keeper->Sweep();
  Say({"a", "b", "c", "d", "e", "f", "g", "h"});
  clock_.Advance(days(4000));
  keeper->Sweep();
  EXPECT_EQ(texts_->size(), 8u);
  keeper = Keeper();  // Nor in the next life.
  keeper->Sweep();
  EXPECT_EQ(texts_->size(), 8u);
  clock_.Advance(-days(4000));
  Pass(*keeper, 95);
  EXPECT_EQ(texts_->size(), 0u);
}

}  // namespace
}  // namespace penstock::telemetry
