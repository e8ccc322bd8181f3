#include "value/states.h"

#include <gtest/gtest.h>

#include "value/testing_line.h"

namespace penstock::value {
namespace {

using decisions::VerdictKind;

// "running 60, down 30 bearing_wear": states with their minutes.
std::string Told(const Result<std::vector<StateSpan>>& spans) {
  if (!spans) return spans.error().ToString();
  std::string text;
  for (const auto& span : *spans) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {:.0f}", MachineStateName(span.state), ToSeconds(span.length()) / 60);
    if (!span.reason.empty()) text += " " + span.reason;
  }
  return text;
}

class StatesTest : public testing::Test {
 protected:
  std::string Pump(int from = 0, int to = 100'000) {
    return Told(line_.states->List("pump-7", At(from * 60), At(to * 60)));
  }
  std::string Line(int from = 0, int to = 100'000) {
    return Told(line_.states->List("acme/cologne/line-1", At(from * 60), At(to * 60)));
  }
  TestLine line_;
};

TEST_F(StatesTest, AShortStopIsIdleALongOneWithoutAnAlarmIsAFailure) {
  line_.Run(0, 60, true, true);
  line_.Run(60, 62, false, true);
  line_.Run(62, 90, true, true);
  line_.Run(90, 110, false, true);  // A break.
  line_.Run(110, 120, true, true);
  line_.Run(120, 150, false, true);
  line_.Run(150, 160, true, true);
  EXPECT_EQ(
      Pump(),
      "running 60, idle 2 minor stop, running 28, idle 20 stopped, no fault known, running 10, "
      "down 30 stopped for long, no alarm tells why, running 10");
}

TEST_F(StatesTest, AVerdictMakesTheNextLongStopItsRepair) {
  line_.Run(0, 60, true, true);
  auto alarm = line_.Alarm("A-1", "pump-7", 40);
  ASSERT_TRUE(line_.facts->Put(TestLine::Answered(alarm, VerdictKind::kTrueFault, 45)));
  line_.Run(60, 62, false, true);
  line_.Run(62, 70, true, true);
  line_.Run(70, 90, false, true);
  line_.Run(90, 100, true, true);
  line_.Run(100, 120, false, true);  // The verdict is used up: another stop is another story.
  line_.Run(120, 121, true, true);
  EXPECT_EQ(Pump(),
            "running 60, idle 2 minor stop, running 8, down 20 bearing_wear, running 10, "
            "idle 20 stopped, no fault known, running 1");
}

TEST_F(StatesTest, ALateVerdictCorrectsThePast) {
  line_.Run(0, 60, true, true);
  auto alarm = line_.Alarm("A-1", "pump-7", 50);
  ASSERT_TRUE(line_.facts->Put(alarm));
  line_.Run(60, 80, false, true);
  EXPECT_EQ(Pump(), "running 60, down 20 bearing_wear (not yet answered)");
  EXPECT_EQ(line_.states->Now("pump-7"), "down");
  ASSERT_TRUE(line_.facts->Put(TestLine::Answered(alarm, VerdictKind::kFalseAlarm, 70)));
  EXPECT_EQ(Pump(), "running 60, idle 20 stopped, no fault known");
  ASSERT_TRUE(line_.facts->Put(TestLine::Answered(alarm, VerdictKind::kKnownOrPlanned, 70)));
  EXPECT_EQ(Pump(), "running 60, planned 20 known or planned");
}

TEST_F(StatesTest, TheFillerWaitsForTheFailedPumpAndTheLineIsDown) {
  line_.Run(0, 60, true, true);
  ASSERT_TRUE(line_.facts->Put(
      TestLine::Answered(line_.Alarm("A-1", "pump-7", 40), VerdictKind::kTrueFault, 45)));
  line_.Run(60, 62, false, true);
  line_.Run(62, 90, false, false);
  line_.Run(90, 100, true, true);
  EXPECT_EQ(Told(line_.states->List("filler-1", At(0), At(6000))),
            "running 62, idle 28 waiting for pump-7, running 10");
  EXPECT_EQ(Line(), "running 62, down 28 pump-7: bearing_wear, running 10");
}

TEST_F(StatesTest, OfTwoUnexplainedStopsTheFirstIsTheFailure) {
  line_.Run(0, 60, true, true);
  line_.Run(60, 65, false, true);
  line_.Run(65, 120, false, false);
  line_.Run(120, 121, true, true);
  EXPECT_EQ(Line(), "running 65, down 55 pump-7: stopped for long, no alarm tells why, running 1");
}

TEST_F(StatesTest, SilenceIsUnknownNotIdle) {
  line_.Run(0, 60, true, true);
  line_.Run(100, 110, true, true);
  EXPECT_EQ(Pump(), "running 69, unknown 31 no data, running 10");
  line_.clock.Set(At(200 * 60));
  EXPECT_EQ(line_.states->Now("pump-7"), "unknown");
}

TEST_F(StatesTest, TheCalendarCutsAStop) {
  // At(0) is 20:30 UTC on a Thursday.
  PlannedWindow window{.days = 1U << 3,
                       .from = std::chrono::hours(21),
                       .to = std::chrono::hours(22),
                       .reason = "cleaning"};
  line_.file.planned.push_back(window);
  line_.Open();
  line_.Run(0, 20, true, true);
  line_.Run(20, 110, false, true);
  line_.Run(110, 120, true, true);
  EXPECT_EQ(Pump(),
            "running 20, idle 10 stopped, no fault known, planned 60 cleaning, idle 20 stopped, no "
            "fault known, running 10");
}

TEST_F(StatesTest, EverythingIsThereAgainAfterARestart) {
  line_.Run(0, 60, true, true);
  ASSERT_TRUE(line_.facts->Put(
      TestLine::Answered(line_.Alarm("A-1", "pump-7", 40), VerdictKind::kTrueFault, 45)));
  line_.Run(60, 90, false, true);
  const std::string before = Pump();
  line_.Open();
  EXPECT_EQ(Pump(), before);
  line_.Run(80, 100, true, true);  // Replayed rows are passed over.
  EXPECT_EQ(Pump(), "running 60, down 30 bearing_wear, running 10");
}

TEST_F(StatesTest, APartOfTheTimeIsJudgedAsTheWhole) {
  line_.Run(0, 60, true, true);
  line_.Run(60, 100, false, true);
  line_.Run(100, 110, true, true);
  EXPECT_EQ(Pump(90, 105), "down 10 stopped for long, no alarm tells why, running 5");
}

TEST_F(StatesTest, AnAssetThatNoFileNamesIsAnErrorWithAFix) {
  const auto spans = line_.states->List("acme/cologne/line-9", At(0), At(60));
  EXPECT_EQ(spans.error().code, Code::kNotFound);
  EXPECT_FALSE(spans.error().fix.empty());
  EXPECT_EQ(line_.states->Now("acme/cologne/line-9"), "unknown");
  EXPECT_EQ(line_.states->ThingsOf("acme/cologne/pump-7"), std::vector<std::string>{"pump-7"});
}

}  // namespace
}  // namespace penstock::value
