#include "value/kpis.h"

#include <gtest/gtest.h>

#include <set>

#include "value/testing_line.h"

namespace penstock::value {
namespace {

using decisions::VerdictKind;

constexpr const char* kLine = "acme/cologne/line-1";

class KpisTest : public testing::Test {
 protected:
  KpiValue Of(const std::string& name, const std::string& asset = kLine) {
    auto value = line_.kpis->ComputeOne(name, asset);
    EXPECT_TRUE(value) << value.error().ToString();
    return value ? *value : KpiValue{};
  }
  void Answer(const std::string& id, VerdictKind kind, int minute = 1) {
    line_.kpis->Observe(TestLine::Answered(line_.Alarm(id, "pump-7", minute), kind, minute + 1));
  }
  // 100 minutes: 60 running, 20 idle, 20 failed.
  void ADay() {
    line_.Run(0, 40, true, true, 480, 20);
    line_.Run(40, 60, true, false);
    line_.Run(60, 80, true, true, 480, 20);
    line_.kpis->Observe(
        TestLine::Answered(line_.Alarm("A-1", "filler-1", 75), VerdictKind::kTrueFault, 78));
    line_.Run(80, 100, true, false);
    line_.Run(100, 101, true, true);
  }
  TestLine line_;
};

TEST_F(KpisTest, WithoutDataEveryFigureIsNullWithAReason) {
  line_.clock.Set(At(3600));
  const auto values = line_.kpis->Compute(kLine);
  ASSERT_TRUE(values);
  EXPECT_EQ(values->size(), KpiKinds().size());
  for (const auto& value : *values) {
    EXPECT_FALSE(value.value) << value.name;
    EXPECT_FALSE(value.reason.empty()) << value.name;
    EXPECT_TRUE(value.ToJson()["value"].is_null());
  }
}

TEST_F(KpisTest, EveryKindIsDescribed) {
  std::set<std::string_view> names;
  for (const KpiKind* kind : KpiKinds()) {
    EXPECT_TRUE(names.insert(kind->name).second);
    EXPECT_FALSE(kind->title.empty() || kind->unit.empty() || kind->summary.empty() ||
                 kind->formula.empty() || kind->reference.empty())
        << kind->name;
    EXPECT_EQ(FindKpiKind(kind->name), kind);
  }
}

TEST_F(KpisTest, TheFactorsOfOee) {
  ADay();
  EXPECT_NEAR(*Of("availability").value, 100.0 * 61 / 101, 1e-9);
  // 500 a minute were made of 600 possible; the first minute is where counting begins.
  EXPECT_NEAR(*Of("performance").value, 100 * (59 * 500 / 10.0) / (61 * 60), 1e-9);
  EXPECT_NEAR(*Of("quality").value, 96, 1e-9);
  EXPECT_NEAR(*Of("oee").value, *Of("availability").value * *Of("performance").value * 0.96 / 100,
              1e-9);
  EXPECT_NEAR(*Of("utilisation").value, 100.0 * 61 / 81, 1e-9);
  EXPECT_NEAR(Of("oee").numerator->value / Of("oee").denominator->value * 100, *Of("oee").value,
              1e-9);
}

TEST_F(KpisTest, QualityHasAWilsonInterval) {
  ADay();
  const KpiValue quality = Of("quality");
  EXPECT_EQ(quality.numerator->value, 59 * 480);
  EXPECT_EQ(quality.denominator->value, 59 * 500);
  EXPECT_LT(*quality.low, 96);
  EXPECT_GT(*quality.low, 95.7);
  EXPECT_EQ(*Of("first_pass_yield").value, *quality.value);
}

TEST_F(KpisTest, FailuresGiveMtbfAndMttrWithWideIntervals) {
  ADay();
  const KpiValue mtbf = Of("mtbf");
  EXPECT_EQ(mtbf.n, 1U);
  EXPECT_NEAR(*mtbf.value, 61 / 60.0, 1e-9);
  EXPECT_NEAR(*mtbf.low, 2 * 61 / 60.0 / 9.487729, 1e-5);
  EXPECT_NEAR(*mtbf.high, 2 * 61 / 60.0 / 0.102586589, 1e-4);
  const KpiValue mttr = Of("mttr");
  EXPECT_NEAR(*mttr.value, 20 / 60.0, 1e-9);
  EXPECT_NEAR(*mttr.low, 2 * 20 / 60.0 / 5.991464547, 1e-6);
  EXPECT_NEAR(*Of("unplanned_downtime").value, 720.0 * 20 / 101, 1e-9);
}

TEST_F(KpisTest, WithoutAFailureMtbfIsOnlyBoundedFromBelow) {
  line_.Run(0, 600, true, true);
  const KpiValue mtbf = Of("mtbf");
  EXPECT_FALSE(mtbf.value);
  EXPECT_FALSE(mtbf.high);
  EXPECT_NEAR(*mtbf.low, 2 * 10 / 5.991464547, 1e-6);
  EXPECT_EQ(Of("mttr").reason, "no failure in this time");
}

TEST_F(KpisTest, ARepairThatGoesOnHasNoLengthYet) {
  line_.Run(0, 60, true, true);
  line_.kpis->Observe(
      TestLine::Answered(line_.Alarm("A-1", "filler-1", 50), VerdictKind::kTrueFault, 55));
  line_.Run(60, 80, true, false);
  EXPECT_FALSE(Of("mttr").value);
  EXPECT_EQ(Of("mtbf").n, 1U);
}

TEST_F(KpisTest, EnergyPerGoodPiece) {
  ADay();
  EXPECT_NEAR(*Of("energy_per_unit").value, 1000.0 * 100 * 2 / (59 * 480), 1e-9);
  EXPECT_EQ(Of("energy_per_unit").unit, "W.h");
}

TEST_F(KpisTest, PrecisionCountsWhatTheVerdictsSay) {
  line_.Run(0, 100, true, true);
  Answer("A-1", VerdictKind::kTrueFault);
  Answer("A-2", VerdictKind::kTrueFault);
  Answer("A-3", VerdictKind::kFalseAlarm);
  Answer("A-4", VerdictKind::kUnsure);
  line_.kpis->Observe(line_.Alarm("A-5", "pump-7", 3));
  const KpiValue precision = Of("alarm_precision");
  EXPECT_NEAR(*precision.value, 2.0 / 3, 1e-12);
  EXPECT_EQ(precision.n, 3U);
  EXPECT_NEAR(*precision.low, 0.1354, 1e-3);
  const KpiValue wrong = Of("false_alarms_per_day");
  EXPECT_NEAR(*wrong.value, 1 / (100.0 / 1440), 1e-9);
}

TEST_F(KpisTest, ASensorFaultIsRightOnlyWhenTheAlarmSaidSo) {
  auto alarm = line_.Alarm("A-1", "pump-7", 1);
  alarm.cause = "sensor_flat_line";
  line_.Run(0, 10, true, true);
  line_.kpis->Observe(TestLine::Answered(alarm, VerdictKind::kSensorFault, 2));
  Answer("A-2", VerdictKind::kSensorFault);
  EXPECT_EQ(*Of("alarm_precision").value, 0.5);
}

TEST_F(KpisTest, AVerdictTellsWhatItMovedAndFromWhere) {
  line_.Run(0, 100, true, true);
  std::vector<std::string> heard;
  line_.kpis->OnChange([&](const std::vector<KpiValue>& changed) {
    for (const auto& value : changed) heard.push_back(value.name);
  });
  (void)line_.kpis->Changed(
      TestLine::Answered(line_.Alarm("A-1", "pump-7", 1), VerdictKind::kTrueFault, 2));
  heard.clear();
  const auto changed = line_.kpis->Changed(
      TestLine::Answered(line_.Alarm("A-2", "pump-7", 5), VerdictKind::kFalseAlarm, 6));
  const auto precision = std::ranges::find(changed, "alarm_precision", &KpiValue::name);
  ASSERT_NE(precision, changed.end());
  EXPECT_EQ(precision->previous, 1.0);
  EXPECT_EQ(*precision->value, 0.5);
  EXPECT_NE(std::ranges::find(heard, "alarm_precision"), heard.end());
  EXPECT_EQ(*Of("alarm_precision").previous, 1.0);
  EXPECT_NE(Summary(changed).find("alarm_precision 0.50 [0.03, 0.97] (was 1.00)"),
            std::string::npos)
      << Summary(changed);
}

TEST_F(KpisTest, EventsAreWhatIsBehindTheFigure) {
  ADay();
  const auto events = line_.kpis->Events("mttr", kLine);
  ASSERT_TRUE(events);
  ASSERT_EQ((*events)["items"].size(), 1U);
  EXPECT_EQ((*events)["items"][0]["alarm"], "A-1");
  EXPECT_EQ(line_.kpis->Events("mttrr", kLine).error().fix, "did you mean \"mttr\"?");
}

TEST_F(KpisTest, AMachineHasItsOwnTimesButNotTheLinesCounters) {
  ADay();
  EXPECT_EQ(*Of("availability", "acme/cologne/pump-7").value, 100);
  EXPECT_FALSE(Of("quality", "pump-7").value);
  EXPECT_EQ(line_.kpis->Compute("pump-9").error().code, Code::kNotFound);
  EXPECT_EQ(line_.kpis->Compute("")->size(), KpiKinds().size());
}

TEST_F(KpisTest, WhatExpiredIsForgottenExceptWhatLabelsNeed) {
  const auto answered = [&](const char* id, int minute) {
    auto alarm =
        TestLine::Answered(line_.Alarm(id, "pump-7", minute), VerdictKind::kTrueFault, minute + 1);
    alarm.cleared_at = At(60 * (minute + 2));
    alarm.trace.bytes[1] = static_cast<uint8_t>(minute);
    line_.kpis->Observe(alarm);
    return alarm;
  };
  const auto first = answered("A-1", 1), labelled = answered("A-2", 10), late = answered("A-3", 50);
  const auto open = line_.Alarm("A-4", "pump-7", 2);
  line_.kpis->Observe(open);
  ASSERT_TRUE(line_.facts->Expire(At(60 * 30), {labelled.trace.ToString()}));
  for (int opened = 0; opened < 2; ++opened) {
    std::vector<std::string> left;
    for (const auto& fact : line_.facts->Raised({}, At(0), At(7200))) left.push_back(fact.id);
    EXPECT_EQ(left, (std::vector<std::string>{"A-4", "A-2", "A-3"}));
    line_.Open();
  }
}

}  // namespace
}  // namespace penstock::value
