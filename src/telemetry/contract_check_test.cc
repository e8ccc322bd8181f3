#include "telemetry/contract_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "storage/temporary_folder.h"
#include "telemetry/contract_periods.h"
#include "telemetry/pipeline.h"
#include "telemetry/quality.h"
#include "telemetry/quarantine.h"
#include "telemetry/testing_sinks.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using things::ContractRule;
using things::ValueType;

// Points and one contract "pump" about them, without files.
class Plant {
 public:
  PointId Add(const std::string& property, ValueType type, double low, double high,
              double rate_hz = 0, const things::QualityRules& rules = {}) {
    things::Point& point = site.Add("pump-7", property, type, rate_hz);
    point.quality = rules;
    things::ContractField field;
    field.name = property;
    field.type = type;
    field.range = {low, high};
    field.sample_rate_hz = rate_hz;
    object.fields.push_back(field);
    return point.id;
  }
  std::shared_ptr<const ContractRules> Rules(const std::string& version = "1.2.0") const {
    auto contract = std::make_shared<things::DataContract>();
    contract->id = "pump";
    contract->version = version;
    contract->objects = {object};
    auto set = std::make_shared<things::ContractSet>();
    set->by_id.emplace("pump", contract);
    return std::make_shared<const ContractRules>(set, site.Snapshot());
  }
  TestSite site;
  things::ContractObject object;
};

Batch Rows(PointId point, const std::vector<double>& values, Quality quality = kGood) {
  Batch batch;
  for (size_t i = 0; i < values.size(); ++i)
    batch.Add(point, At(static_cast<double>(i)), At(static_cast<double>(i)), values[i], quality);
  return batch;
}

class ContractCheckTest : public testing::Test {
 protected:
  // As the pipeline does it.
  void MarkAndJudge(ContractCheck& check, Batch& batch, uint64_t sequence = 0) {
    NoNotes notes;
    QualityMarker marker(notes);
    marker.SetSnapshot(plant_.site.Snapshot());
    marker.SetLimits(check.Begin(sequence));
    const MarkOutcome marked = marker.Mark(batch);
    check.Judge(batch, marked.suspects, taken_);
  }
  std::vector<double> Check(Batch batch) {
    check_.SetRules(plant_.Rules());
    taken_.clear();
    kept_.violations.clear();
    MarkAndJudge(check_, batch);
    return batch.value;
  }
  Plant plant_;
  KeptViolations kept_;
  ContractCheck check_{kept_};
  std::vector<PointId> taken_;
};

TEST_F(ContractCheckTest, TakesOutWhatIsOutOfRangeAndSaysWhy) {
  const PointId pressure = plant_.Add("pressure", ValueType::kNumber, -0.5, 16);
  const PointId free = plant_.site.Add("pump-7", "other").id;
  Batch batch = Rows(pressure, {1, 17, -0.5, 16, -3});
  batch.Append(Rows(free, {1e9, -1e9}));
  EXPECT_EQ(Check(batch), (std::vector<double>{1, -0.5, 16, 1e9, -1e9}));
  ASSERT_EQ(kept_.violations.size(), 2U);
  EXPECT_EQ(taken_, (std::vector<PointId>{pressure, pressure}));
  EXPECT_EQ(kept_.violations[0].contract, "pump@1.2.0");
  EXPECT_EQ(kept_.violations[0].path, "pump-7/pressure");
  EXPECT_EQ(kept_.violations[0].rule, "maximum");
  EXPECT_EQ(kept_.violations[0].value, "17");
  EXPECT_EQ(kept_.violations[0].rows.source_time[0], At(1));
  EXPECT_EQ(kept_.violations[1].rule, "minimum");
  EXPECT_NE(kept_.violations[1].message.find("-3 is below -0.5"), std::string::npos)
      << kept_.violations[1].message;
}

TEST_F(ContractCheckTest, KnowsEveryKindOfRule) {
  const PointId whole = plant_.Add("starts", ValueType::kInteger, 0, 100);
  const PointId flag = plant_.Add("running", ValueType::kBoolean, -INFINITY, INFINITY);
  const PointId open = plant_.Add("level", ValueType::kNumber, 0, 1);
  plant_.object.fields.back().range.low_open = plant_.object.fields.back().range.high_open = true;
  const PointId step = plant_.Add("weight", ValueType::kNumber, -100, 100);
  plant_.object.fields.back().range.step = 0.1;
  const PointId mode = plant_.Add("mode", ValueType::kInteger, -INFINITY, INFINITY);
  ContractRule valid{ContractRule::Metric::kInvalid, ContractRule::Operator::kEqual};
  valid.values = {1, 2, 4};
  plant_.object.fields.back().rules = {valid};
  const PointId gap = plant_.Add("flow", ValueType::kNumber, -INFINITY, INFINITY);
  ContractRule missing{ContractRule::Metric::kMissing, ContractRule::Operator::kEqual};
  missing.values = {-999};
  plant_.object.fields.back().rules = {missing};
  const auto rule = [&](PointId id, double value) -> std::string {
    const auto breach = plant_.Rules()->Judge(id, value);
    // The check and the judge always agree.
    EXPECT_EQ(Check(Rows(id, {value})).empty(), breach.has_value()) << value;
    return std::string(breach ? breach->rule : "");
  };
  EXPECT_EQ(rule(whole, 5), "");
  EXPECT_EQ(rule(whole, 5.5), "type");
  EXPECT_EQ(rule(whole, 101), "maximum");
  EXPECT_EQ(rule(flag, 1), "");
  EXPECT_EQ(rule(flag, 0.5), "type");
  EXPECT_EQ(rule(flag, 2), "type");
  EXPECT_EQ(rule(open, 0), "minimum");
  EXPECT_EQ(rule(open, 1), "maximum");
  EXPECT_EQ(rule(open, 1e-300), "");
  EXPECT_EQ(rule(step, 12.3), "");
  EXPECT_EQ(rule(step, 12.35), "step");
  EXPECT_EQ(rule(mode, 4), "");
  EXPECT_EQ(rule(mode, 3), "invalid_values");
  EXPECT_EQ(rule(gap, -998), "");
  EXPECT_EQ(rule(gap, -999), "missing_values");
}

TEST_F(ContractCheckTest, AValueThatItsSourceCallsBadMakesNoPromise) {
  const PointId pressure = plant_.Add("pressure", ValueType::kNumber, 5, 16);
  EXPECT_EQ(Check(Rows(pressure, {0}, kBadNoCommunication)).size(), 1U);
  EXPECT_TRUE(Check(Rows(pressure, {99}, kBadOutOfRange)).empty());
  EXPECT_TRUE(Check(Rows(pressure, {4}, kUncertainEngineeringUnitsExceeded)).empty());
}

TEST_F(ContractCheckTest, AWrongSampleTakesItsBurstAlong) {
  const PointId burst = plant_.Add("vibration", ValueType::kWaveform, -10, 10, 1000);
  Batch batch;
  for (int k = 0; k < 3; ++k)
    for (int i = 0; i < 8; ++i)
      batch.Add(burst, At(10 * k + i * 1e-3), At(10 * k), k == 1 && i == 5 ? 11 : i);
  EXPECT_EQ(Check(batch).size(), 16U);
  ASSERT_EQ(kept_.violations.size(), 1U);
  EXPECT_EQ(kept_.violations[0].rows.size(), 8U);
  EXPECT_EQ(kept_.violations[0].value, "11");
  EXPECT_EQ(kept_.violations[0].rows.source_time[0], At(10));
}

TEST_F(ContractCheckTest, NeighboursOfOneFaultBecomeOneEntry) {
  const PointId pressure = plant_.Add("pressure", ValueType::kNumber, 0, 16);
  EXPECT_TRUE(Check(Rows(pressure, std::vector<double>(1000, 99))).empty());
  ASSERT_EQ(kept_.violations.size(), 1U);
  EXPECT_EQ(kept_.violations[0].rows.size(), 1000U);
}

TEST_F(ContractCheckTest, AFloodIsKeptManyAtATime) {
  const PointId pressure = plant_.Add("pressure", ValueType::kNumber, 0, 16);
  const PointId flow = plant_.Add("flow", ValueType::kNumber, 0, 16);
  Batch batch;
  for (int i = 0; i < 20'000; ++i) {
    batch.Add(pressure, At(i), At(i), 99 + i);
    batch.Add(flow, At(i), At(i), i % 2 == 0 ? 1 : 98);
  }
  EXPECT_EQ(Check(batch).size(), 10'000U);
  EXPECT_EQ(taken_.size(), 30'000U);
  ASSERT_EQ(kept_.violations.size(), 30'000U);
  EXPECT_EQ(kept_.calls, 4U);
  for (int i = 0, at = 0; i < 20'000; ++i) {
    ASSERT_EQ(kept_.violations[at].value, std::to_string(99 + i));
    at += 1 + i % 2;
  }
}

TEST_F(ContractCheckTest, AVeryLongBurstIsSeveralEntriesThatSayTheSame) {
  const PointId burst = plant_.Add("vibration", ValueType::kWaveform, -10, 10, 1000);
  Batch batch;
  for (size_t i = 0; i < kViolationRowsMax + 5; ++i)
    batch.Add(burst, At(static_cast<double>(i) * 1e-3), At(500), i == 3 ? 11 : 1);
  EXPECT_TRUE(Check(batch).empty());
  ASSERT_EQ(kept_.violations.size(), 2U);
  EXPECT_EQ(kept_.violations[1].rows.size(), 5U);
  for (const auto& one : kept_.violations) {
    EXPECT_EQ(one.value, "11");
    EXPECT_NE(one.message.find("11 is above 10"), std::string::npos) << one.message;
  }
}

// Whatever else is wrong with a row or its neighbours, only what breaks the contract is taken out.
TEST_F(ContractCheckTest, MarksRulesAndOtherRowsThatGoDoNotHideOrMoveASuspect) {
  const PointId ruled = plant_.Add("pressure", ValueType::kNumber, 0, 16, 0,
                                   {.minimum = 2, .maximum = 20, .max_rate_per_s = 3});
  const PointId whole = plant_.Add("starts", ValueType::kInteger, 0, 1000);
  Batch batch = Rows(ruled, {4, 5, 5, 17, 1, 15.5, 18, 4});
  batch.Add(ruled, At(1), At(9), 5);     // Came before: dropped.
  batch.Add(ruled, At(0.5), At(9), 40);  // Late, and far out of both ranges.
  for (int i = 0; i < 5; ++i) batch.Add(whole, At(i), At(9), 1 + i * 0.25);
  EXPECT_EQ(Check(batch), (std::vector<double>{4, 5, 5, 1, 15.5, 4, 1, 2}));
  EXPECT_EQ(taken_.size(), 6U);
}

TEST_F(ContractCheckTest, WhenNothingCanBeKeptTheSampleIsStoredAndMarked) {
  const PointId pressure = plant_.Add("pressure", ValueType::kNumber, 0, 16);
  check_.SetRules(plant_.Rules());
  kept_.full = true;
  Batch batch = Rows(pressure, {1, 99});
  MarkAndJudge(check_, batch);
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_TRUE(taken_.empty());
  EXPECT_EQ(batch.quality[0], kGood);
  EXPECT_EQ(batch.quality[1], kUncertainEngineeringUnitsExceeded);
}

TEST_F(ContractCheckTest, EverySequenceHasItsVersion) {
  plant_.Add("pressure", ValueType::kNumber, 0, 16);
  ManualClock clock(At(0));
  auto records = *storage::Records::Open(":memory:");
  {
    auto periods = *ContractPeriods::Open(*records, clock);
    ContractCheck check(kept_, [&](const ContractRules& rules, uint64_t first) {
      return periods->Switch(rules, first);
    });
    check.SetRules(plant_.Rules("1.2.0"));
    Batch batch = Rows(PointId{0}, {1});
    MarkAndJudge(check, batch);
    check.SetRules(plant_.Rules("2.0.0"));
    EXPECT_EQ(periods->VersionAt("pump", 100), "1.2.0");  // Nothing came under the new one yet.
    clock.Advance(std::chrono::hours(1));
    MarkAndJudge(check, batch, 100);
  }
  const auto periods = *ContractPeriods::Open(*records, clock);
  EXPECT_EQ(periods->VersionAt("pump", 99), "1.2.0");
  EXPECT_EQ(periods->VersionAt("pump", 100), "2.0.0");
  EXPECT_EQ(periods->VersionAtTime("pump", At(60)), "1.2.0");
  EXPECT_EQ(periods->VersionAt("filler", 5), "");
}

// The whole way: a violating value goes to the quarantine with contract and rule, is corrected and
// released, and the ledger sums to zero.
class ReleaseTest : public testing::Test {
 protected:
  void Start() {
    pipeline_ = std::make_unique<Pipeline>(*log_, *history_, *quarantine_, clock_);
    pipeline_->SetSnapshot(plant_.site.Snapshot());
    check_ = std::make_unique<ContractCheck>(*quarantine_);
    check_->SetRules(plant_.Rules());
    pipeline_->CheckWith(*check_);
    ASSERT_TRUE(pipeline_->Start());
  }
  void Write(Batch batch) {
    pipeline_->Write(std::move(batch));
    pipeline_->WaitUntilHandled();
  }
  Status Release(uint64_t id, std::optional<double> value) {
    ASSIGN_OR_RETURN(auto rows, quarantine_->Claim(id, {"eve", "seen on site", At(60), value}));
    if (!rows) return {};
    Write(std::move(*rows));
    return quarantine_->Settle(id, true);
  }

  storage::TemporaryFolder folder_;
  ManualClock clock_{At(0)};
  Plant plant_;
  PointId pressure_ = plant_.Add("pressure", ValueType::kNumber, 0, 16);
  std::unique_ptr<storage::Records> records_ = *storage::Records::Open(":memory:");
  std::unique_ptr<storage::DurableLog> log_ = *storage::DurableLog::Open(folder_ / "log", {});
  std::unique_ptr<storage::History> history_ = *storage::History::Open(folder_ / "history", {});
  std::unique_ptr<QuarantineStore> quarantine_ =
      *QuarantineStore::Open(*records_, folder_ / "quarantine");
  std::unique_ptr<ContractCheck> check_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(ReleaseTest, ACorrectedSampleIsStoredOnceAtItsOwnTime) {
  Start();
  Write(Rows(pressure_, {1, 2, 99, 3}));
  auto list = *quarantine_->List(0, 10);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].contract, "pump@1.2.0");
  EXPECT_EQ(list[0].entry.rule, "maximum");
  EXPECT_EQ(list[0].state, QuarantineState::kOpen);
  EXPECT_EQ(pipeline_->ledger().quarantined, 1U);
  ASSERT_TRUE(Release(list[0].id, 9.9));
  ASSERT_TRUE(Release(list[0].id, 9.9));  // Twice is once.
  EXPECT_FALSE(Release(list[0].id, 9.8));
  const auto rows = *history_->Read("pump-7/pressure", At(0), At(100), 100);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[2].time, At(2));
  EXPECT_EQ(rows[2].value, 9.9);
  EXPECT_EQ(rows[2].quality, kUncertainSubstituteValue);
  const auto item = *quarantine_->Get(list[0].id);
  EXPECT_EQ(item.state, QuarantineState::kReleased);
  EXPECT_EQ(item.actor, "eve");
  EXPECT_EQ(item.corrected, 9.9);
  EXPECT_EQ(pipeline_->ledger().gap, 0);
}

TEST_F(ReleaseTest, ReleasedAsItIsItKeepsValueAndMark) {
  Start();
  Write(Rows(pressure_, {99}, kUncertainSubNormal));
  ASSERT_TRUE(Release(quarantine_->List(0, 1)->front().id, std::nullopt));
  const auto rows = *history_->Read("pump-7/pressure", At(0), At(100), 100);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].value, 99);
  EXPECT_EQ(rows[0].quality, kUncertainSubNormal);
  EXPECT_EQ(pipeline_->ledger().gap, 0);
}

TEST_F(ReleaseTest, WhatIsDiscardedStaysOut) {
  Start();
  Write(Rows(pressure_, {99}));
  const uint64_t id = quarantine_->List(0, 1)->front().id;
  ASSERT_TRUE(quarantine_->Discard(id, {"eve", "cable broken", At(60), {}}));
  ASSERT_TRUE(quarantine_->Discard(id, {"eve", "again", At(61), {}}));
  EXPECT_EQ(quarantine_->Get(id)->reason, "cable broken");
  EXPECT_FALSE(Release(id, std::nullopt));
  EXPECT_TRUE(history_->Read("pump-7/pressure", At(0), At(100), 100)->empty());
}

TEST_F(ReleaseTest, TheQuarantineIsDurableWhenTheProducerIsTold) {
  Start();
  pipeline_->Write(Rows(pressure_, {99}), [&](const Status& status) {
    EXPECT_TRUE(status);
    std::filesystem::copy(folder_ / "quarantine", folder_ / "crashed");
  });
  pipeline_->WaitUntilHandled();
  const auto spool = *QuarantineSpool::Open(folder_ / "crashed", 1 << 20, storage::SystemDisk());
  EXPECT_EQ(spool->end().next, 1U);
}

}  // namespace
}  // namespace penstock::telemetry
