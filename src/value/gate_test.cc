#include "value/gate.h"

#include <gtest/gtest.h>

#include <fstream>

#include "storage/temporary_folder.h"
#include "value/testing_line.h"

namespace penstock::value {
namespace {

using decisions::VerdictKind;

class FakeEvidence final : public Evidence {
 public:
  Result<PointCoverage> Coverage(const std::string& point, Time, Time) const override {
    if (broken) return Unavailable("history does not answer");
    const auto found = points.find(point);
    return found == points.end() ? PointCoverage{} : found->second;
  }
  Result<uint64_t> Labels(const std::vector<std::string>&) const override { return labels; }
  Result<std::optional<ModelFacts>> Model(const std::string&) const override { return model; }

  std::map<std::string, PointCoverage> points;
  uint64_t labels = 0;
  std::optional<ModelFacts> model;
  bool broken = false;
};

constexpr const char* kUseCase = R"(
usecase: bearing
asset: acme/cologne/line-1
sponsor: plant-manager
kpi: {primary: unplanned_downtime, target: -30 %, guard: [false_alarms_per_day <= 10]}
value: {unplanned_downtime: 4200 EUR/h}
needs: {points: [pump-7/running], labels: 3, models: [pump-faults]}
decide: {who: technician, action: plan replacement, lead-time: 5d}
plan: {method: before-after, baseline: 2h}
)";

class GateTest : public testing::Test {
 protected:
  GateTest() {
    Write(kUseCase);
    gates_ = *Gates::Open(*line_.records, line_.clock, cases_, *line_.kpis, *line_.facts,
                          *line_.states, evidence_);
  }
  void Write(const std::string& text) {
    std::filesystem::create_directories(folder_ / "usecases");
    std::ofstream(folder_ / "usecases/bearing.yaml") << text;
    EXPECT_TRUE(cases_.Reload(folder_.path(), *line_.snapshot).empty());
  }
  Check Of(const std::string& id) {
    const auto result = gates_->Evaluate("bearing", "G1");
    EXPECT_TRUE(result) << result.error().ToString();
    for (const auto& check : result->checks) {
      if (check.id == id) return check;
    }
    ADD_FAILURE() << id;
    return {};
  }
  // Two and a half hours with a failure and ten alarms that were right.
  void AGoodTime() {
    line_.Run(0, 60, true, true);
    for (int i = 0; i < 10; ++i) {
      line_.kpis->Observe(TestLine::Answered(line_.Alarm("A-" + std::to_string(i), "filler-1", 50),
                                             VerdictKind::kTrueFault, 58));
    }
    line_.Run(60, 90, true, false);
    line_.Run(90, 150, true, true);
    const Time now = line_.clock.Now();
    evidence_.points["pump-7/running"] = {.known = true,
                                          .contract = "pump@1.2.0",
                                          .samples = 120,
                                          .bad = 1,
                                          .minutes_present = 119,
                                          .first = now - std::chrono::hours(2),
                                          .last = now - std::chrono::minutes(1)};
    evidence_.labels = 10;
    evidence_.model = ModelFacts{
        .name = "pump-faults", .version = 3, .rows = 900, .metrics = {{"macro_f1", 0.9}}};
    ASSERT_TRUE(gates_->Sign("bearing", "G1", "plant-manager", "kim", "go"));
  }

  TestLine line_;
  storage::TemporaryFolder folder_;
  UseCases cases_;
  FakeEvidence evidence_;
  std::unique_ptr<Gates> gates_;
};

TEST_F(GateTest, WithoutEvidenceNothingButThePaperworkHolds) {
  const auto result = gates_->Evaluate("bearing", "G1");
  ASSERT_TRUE(result);
  EXPECT_GE(result->checks.size(), 10U);
  EXPECT_FALSE(result->open());
  for (const auto& check : result->checks) {
    const bool paperwork = check.id == "1.3" || check.id == "1.13" || check.id == "1.15";
    EXPECT_EQ(check.ok, paperwork) << check.id << " " << check.text;
    EXPECT_FALSE(check.text.empty() || check.query.empty()) << check.id;
    EXPECT_EQ(check.ok, check.fix.empty()) << check.id;
  }
}

TEST_F(GateTest, OpensWhenEveryCheckIsAnswered) {
  AGoodTime();
  const auto result = gates_->Evaluate("bearing", "G1");
  ASSERT_TRUE(result);
  for (const auto& check : result->checks)
    EXPECT_TRUE(check.ok) << check.id << " " << check.title << ": " << check.text;
  EXPECT_TRUE(result->open());
  EXPECT_EQ(result->ToJson()["state"], "open");
  EXPECT_EQ((*gates_->Summary(**cases_.Get("bearing")))["gates"][0]["open"], true);
}

TEST_F(GateTest, EvidenceThatFailsBlocks) {
  AGoodTime();
  evidence_.broken = true;
  for (const char* id : {"1.4", "1.5", "1.6", "1.7", "1.8"}) {
    EXPECT_FALSE(Of(id).ok) << id;
    EXPECT_EQ(Of(id).text, "history does not answer");
  }
}

TEST_F(GateTest, GapsBadSamplesAndSilenceBlock) {
  AGoodTime();
  auto& point = evidence_.points["pump-7/running"];
  point.minutes_present = 100;
  EXPECT_FALSE(Of("1.6").ok);
  EXPECT_NE(Of("1.6").text.find("83.3 % < 95 %"), std::string::npos) << Of("1.6").text;
  point.bad = 3;
  EXPECT_FALSE(Of("1.8").ok);
  point.last = line_.clock.Now() - std::chrono::minutes(16);
  EXPECT_FALSE(Of("1.7").ok);
}

TEST_F(GateTest, AReportEveryTwoMinutesIsCompleteWithEverySecondMinute) {
  AGoodTime();
  auto& point = evidence_.points["pump-7/running"];
  point.minutes_present = 60;
  EXPECT_FALSE(Of("1.6").ok);
  point.report_interval = std::chrono::minutes(2);
  EXPECT_TRUE(Of("1.6").ok);
}

TEST_F(GateTest, FewVerdictsAreNotEnoughForPrecision) {
  line_.Run(0, 120, true, true);
  line_.kpis->Observe(
      TestLine::Answered(line_.Alarm("A-1", "pump-7", 5), VerdictKind::kTrueFault, 6));
  EXPECT_FALSE(Of("1.11").ok);  // 1 of 1 is [0.05, 1].
  EXPECT_TRUE(Of("1.16").ok);
  line_.kpis->Observe(line_.Alarm("A-2", "pump-7", 8));
  EXPECT_FALSE(Of("1.16").ok);
  EXPECT_EQ(Of("1.16").text, "1 of 2 alarms answered");
}

TEST_F(GateTest, AGuardThatIsBrokenBlocks) {
  line_.Run(0, 120, true, true);
  line_.kpis->Observe(
      TestLine::Answered(line_.Alarm("A-1", "pump-7", 5), VerdictKind::kFalseAlarm, 6));
  EXPECT_FALSE(Of("1.12").ok);  // One in two hours is twelve a day.
  EXPECT_EQ(*Of("1.12").limit, 10);
}

TEST_F(GateTest, OnlyTheSponsorSignsAndOnlyForTheTextAsItIs) {
  EXPECT_EQ(gates_->Sign("bearing", "G1", "technician", "kim", "").error().code,
            Code::kPermissionDenied);
  ASSERT_TRUE(gates_->Sign("bearing", "G1", "plant-manager", "kim", "go"));
  EXPECT_TRUE(Of("1.1").ok);
  Write(std::string(kUseCase) + "score: {criticality: 4}\n");
  EXPECT_FALSE(Of("1.1").ok);
  EXPECT_NE(Of("1.1").text.find("earlier version"), std::string::npos);
  EXPECT_EQ(gates_->Signatures("bearing")->size(), 1U);
}

TEST_F(GateTest, TellsSinceWhenACheckIsAsItIs) {
  const Time first = Of("1.1").since;
  line_.clock.Advance(std::chrono::hours(1));
  EXPECT_EQ(Of("1.1").since, first);
  ASSERT_TRUE(gates_->Sign("bearing", "G1", "admin", "kim", ""));
  EXPECT_EQ(Of("1.1").since, line_.clock.Now());
}

TEST_F(GateTest, UnknownUseCasesAndGatesAreErrors) {
  EXPECT_EQ(gates_->Evaluate("baring", "G1").error().fix, "did you mean \"bearing\"?");
  EXPECT_EQ(gates_->Evaluate("bearing", "G7").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::value
