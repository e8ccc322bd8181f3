#include "learning/labels.h"

#include <gtest/gtest.h>

namespace penstock::learning {
namespace {

decisions::Alarm Answered(const char* id, decisions::VerdictKind kind, const char* code) {
  decisions::Alarm alarm;
  alarm.id = id;
  alarm.thing = "pump-7";
  alarm.trace = TraceId::Random();
  alarm.raised = ParseTime("2026-03-02T14:02:40Z").value();
  alarm.verdict =
      decisions::Verdict{kind, code, "", "kim", ParseTime("2026-03-02T14:09:31Z").value()};
  return alarm;
}

class LabelsTest : public testing::Test {
 protected:
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<Labels> labels_ = std::move(Labels::Open(*records_).value());
};

using enum decisions::VerdictKind;

TEST_F(LabelsTest, ATrueFaultLabelsTheEvidenceUntilTheVerdict) {
  const auto label = labels_->FromVerdict(Answered("A-1", kTrueFault, "bearing_wear")).value();
  ASSERT_TRUE(label);
  EXPECT_EQ(label->Text(), "L-1 v1: pump-7 is bearing_wear from 13:52 to 14:09");
  EXPECT_EQ(labels_->CountOf({"pump-7"}).value(), 1U);
  EXPECT_EQ(labels_->CountOf({"gearbox-2"}).value(), 0U);
}

TEST_F(LabelsTest, ASecondVerdictMakesANewVersion) {
  ASSERT_TRUE(labels_->FromVerdict(Answered("A-1", kTrueFault, "bearing_wear")));
  ASSERT_TRUE(labels_->FromVerdict(Answered("A-1", kFalseAlarm, "")));
  const auto all =
      labels_->Between({}, FromMicros(0), ParseTime("2027-01-01T00:00:00Z").value()).value();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].version, 2);
  EXPECT_EQ(all[0].class_name, "normal");
}

TEST_F(LabelsTest, DoubtAndBrokenSensorsTeachNothing) {
  EXPECT_FALSE(labels_->FromVerdict(Answered("A-1", kUnsure, "")).value());
  EXPECT_FALSE(labels_->FromVerdict(Answered("A-2", kSensorFault, "")).value());
}

TEST_F(LabelsTest, NamesTheTracesThatAreStillNeeded) {
  const auto alarm = Answered("A-1", kTrueFault, "bearing_wear");
  ASSERT_TRUE(labels_->FromVerdict(alarm));
  EXPECT_EQ(labels_->TracesSince(alarm.verdict->at).value(),
            std::vector<std::string>{alarm.trace.ToString()});
  EXPECT_TRUE(labels_->TracesSince(alarm.verdict->at + std::chrono::seconds(1))->empty());
}

TEST_F(LabelsTest, PagesFromTheNewest) {
  for (const char* id : {"A-1", "A-2", "A-3"})
    ASSERT_TRUE(labels_->FromVerdict(Answered(id, kTrueFault, "x")));
  std::string next;
  EXPECT_EQ(labels_->ListJson(0, 2, &next).value()[0]["id"], "L-3");
  EXPECT_EQ(labels_->ListJson(std::stoll(next), 2, &next).value()[0]["id"], "L-1");
  EXPECT_EQ(next, "");
}

}  // namespace
}  // namespace penstock::learning
