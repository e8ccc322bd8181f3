#include "fleet/twin.h"

#include <gtest/gtest.h>

namespace penstock::fleet {
namespace {

class TwinTest : public testing::Test {
 protected:
  static Json J(const char* text) { return Json::parse(text); }

  ManualClock clock_{FromMicros(1'700'000'000'000'000)};
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<Twins> twins_ = std::move(Twins::Open(*records_, clock_).value());
};

TEST_F(TwinTest, AnUnknownThingHasAnEmptyTwin) {
  const Twin twin = twins_->Get("pump-7").value();
  EXPECT_EQ(twin.desired_version, 0);
  EXPECT_EQ(twin.ToJson()["reported_at"], nullptr);
  EXPECT_EQ(twin.Difference(), Json::object());
  EXPECT_TRUE(twins_->List("", 10)->empty());
}

TEST_F(TwinTest, AThingFollowsWhatIsDesired) {
  const Twin wanted =
      twins_->PatchDesired("pump-7", J(R"({"firmware": "2.1", "rate": {"ms": 500, "burst": 8}})"))
          .value();
  EXPECT_EQ(wanted.desired_version, 1);
  EXPECT_EQ(wanted.Difference(), wanted.desired);
  clock_.Advance(std::chrono::seconds(5));
  const Twin half =
      twins_
          ->PatchReported(
              "pump-7", J(R"({"firmware": "2.1", "rate": {"ms": 1000, "burst": 8}, "uptime": 7})"))
          .value();
  EXPECT_EQ(half.Difference(), J(R"({"rate": {"ms": 500}})"));
  EXPECT_EQ(*half.reported_at - *half.desired_at, std::chrono::seconds(5));
  ASSERT_TRUE(twins_->PatchReported("pump-7", J(R"({"rate": {"ms": 500}})")));
  EXPECT_EQ(twins_->Get("pump-7")->Difference(), Json::object());
  EXPECT_EQ(twins_->Get("pump-7")->reported_version, 2);
}

TEST_F(TwinTest, NullRemoves) {
  ASSERT_TRUE(twins_->PatchDesired("a", J(R"({"x": 1, "y": 2})")));
  EXPECT_EQ(twins_->PatchDesired("a", J(R"({"x": null})"))->desired, J(R"({"y": 2})"));
}

TEST_F(TwinTest, TheSameAgainIsNoChange) {
  ASSERT_TRUE(twins_->PatchReported("a", J(R"({"x": 1})")));
  EXPECT_EQ(twins_->PatchReported("a", J(R"({"x": 1})"))->reported_version, 1);
}

TEST_F(TwinTest, OfTwoWritersTheSecondIsTold) {
  ASSERT_TRUE(twins_->PatchDesired("a", J(R"({"x": 1})"), 0));
  const auto late = twins_->PatchDesired("a", J(R"({"x": 2})"), 0);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::kAborted);
  EXPECT_EQ(late.error().message, "desired is at version 1, not 0");
  EXPECT_EQ(twins_->Get("a")->desired, J(R"({"x": 1})"));
}

TEST_F(TwinTest, DocumentsAreBounded) {
  EXPECT_FALSE(twins_->PatchDesired("a", J("[]")).has_value());
  EXPECT_FALSE(twins_->PatchDesired("", J("{}")).has_value());
  EXPECT_FALSE(twins_->PatchDesired("a", {{"x", std::string(kTwinBytesMax, 'x')}}).has_value());
  Json deep = 1;
  for (int i = 0; i < 20; ++i) deep = Json{{"x", deep}};
  EXPECT_FALSE(twins_->PatchDesired("a", deep).has_value());
  EXPECT_EQ(twins_->Get("a")->desired_version, 0);
}

TEST_F(TwinTest, TwinsAreListedAndRemoved) {
  for (const char* thing : {"c", "a", "b"})
    ASSERT_TRUE(twins_->PatchReported(thing, J(R"({"x": 1})")));
  EXPECT_EQ(twins_->List("a", 10)->size(), 2U);
  EXPECT_EQ(twins_->List("", 1)->at(0).thing, "a");
  ASSERT_TRUE(twins_->Remove("b"));
  EXPECT_EQ(twins_->Remove("b").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::fleet
