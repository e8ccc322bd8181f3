#include "decisions/alarms.h"

#include <gtest/gtest.h>

namespace penstock::decisions {
namespace {

using std::chrono::minutes;

class AlarmsTest : public testing::Test {
 protected:
  void SetUp() override {
    records_ = std::move(storage::Records::Open(":memory:").value());
    Reopen();
    rule_.model = "pump-faults";
    rule_.condition = "p(bearing_wear) > 0.8";
    rule_.cause = "bearing_wear";
    rule_.delay_on = minutes(4);
    rule_.delay_off = minutes(4);
    rule_.priority = Priority::kHigh;
  }

  void Reopen() {
    alarms_.reset();
    provenance_ = std::move(Provenance::Open(*records_).value());
    audit_ = std::move(trust::AuditLog::Open(*records_, clock_).value());
    alarms_ = std::move(Alarms::Open(*records_, clock_, *provenance_, *audit_).value());
  }

  // One prediction with this probability, two minutes after the last.
  void See(double p) {
    clock_.Advance(minutes(2));
    inference::Prediction prediction;
    prediction.trace = TraceId::Random();
    prediction.thing = "pump-7";
    prediction.asset = "acme/line-1/pump-7";
    prediction.at = clock_.Now();
    prediction.model = "pump-faults";
    prediction.version = 3;
    prediction.classes = {"normal", "bearing_wear"};
    prediction.probabilities = {1 - p, p};
    prediction.because = {{"vibration_de.rms", 7.9, 1.8, 3.1, 1.9, "mm/s"}};
    alarms_->Observe(prediction, rule_, [&] {
      ++bases_made_;
      return Basis{"Pump 7", Json::array({{{"name", "vibration_de.rms"}}}), Json::array(), 0.86,
                   0.97};
    });
  }
  std::vector<Alarm> Open() { return alarms_->List({.open_only = true}).value(); }
  // "alarm.verdict by kim", in order.
  std::vector<std::string> Audited() const {
    std::vector<std::string> found;
    const auto entries = audit_->List(0, 100).value();
    for (const auto& entry : entries) found.push_back(entry.action + " by " + entry.actor);
    return found;
  }

  ManualClock clock_{ParseTime("2026-03-02T14:00:00Z").value()};
  std::unique_ptr<storage::Records> records_;
  std::unique_ptr<Provenance> provenance_;
  std::unique_ptr<trust::AuditLog> audit_;
  std::unique_ptr<Alarms> alarms_;
  AlarmRule rule_;
  int bases_made_ = 0;
};

TEST_F(AlarmsTest, WaitsOutTheDelayAndRaisesOnce) {
  See(0.95);
  See(0.95);
  EXPECT_TRUE(Open().empty());
  See(0.95);
  See(0.95);
  ASSERT_EQ(Open().size(), 1U);
  const Alarm alarm = Open()[0];
  EXPECT_EQ(alarm.id, "A-1001");
  EXPECT_EQ(alarm.title, "Bearing wear on Pump 7");
  EXPECT_EQ(alarm.state, AlarmState::kUnacknowledged);
  EXPECT_EQ(bases_made_, 1);
}

TEST_F(AlarmsTest, ASpikeIsNoAlarm) {
  See(0.95);
  See(0.1);
  See(0.95);
  See(0.95);
  EXPECT_TRUE(Open().empty());
}

TEST_F(AlarmsTest, TheDeadbandKeepsAWaveringAlarm) {
  for (int i = 0; i < 3; ++i) See(0.95);
  for (int i = 0; i < 5; ++i) See(0.7);
  EXPECT_EQ(Open().at(0).state, AlarmState::kUnacknowledged);
  for (int i = 0; i < 3; ++i) See(0.2);
  EXPECT_EQ(Open().at(0).state, AlarmState::kReturnedUnacknowledged);
  for (int i = 0; i < 3; ++i) See(0.95);
  EXPECT_EQ(Open().at(0).id, "A-1001") << "it came back before an answer: the same alarm";
  EXPECT_EQ(Open().at(0).state, AlarmState::kUnacknowledged);
}

TEST_F(AlarmsTest, AVerdictAnswersAndKeepsTheCauseQuiet) {
  std::vector<std::string> heard;
  alarms_->OnVerdict([&](const Alarm& alarm) { heard.push_back(alarm.verdict->code); });
  for (int i = 0; i < 3; ++i) See(0.95);
  const Verdict verdict{VerdictKind::kTrueFault, "bearing_wear", "bearing replaced", "kim",
                        clock_.Now()};
  const Alarm answered = alarms_->Answer("A-1001", verdict).value();
  EXPECT_EQ(answered.state, AlarmState::kAcknowledged);
  EXPECT_EQ(heard, std::vector<std::string>{"bearing_wear"});
  for (int i = 0; i < 3; ++i) See(0.1);
  EXPECT_TRUE(Open().empty());
  for (int i = 0; i < 3; ++i) See(0.95);
  EXPECT_TRUE(Open().empty()) << "quiet after a verdict";
  for (int i = 0; i < 30; ++i) See(0.95);
  EXPECT_EQ(Open().at(0).id, "A-1002");
  EXPECT_EQ(alarms_->TrackRecordOf("pump-faults@3", "bearing_wear").right, 1);
}

TEST_F(AlarmsTest, ATrueFaultNeedsItsCode) {
  for (int i = 0; i < 3; ++i) See(0.95);
  const auto answer =
      alarms_->Answer("A-1001", {VerdictKind::kTrueFault, "", "", "kim", clock_.Now()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().pointer, "/code");
}

TEST_F(AlarmsTest, AShelvedAlarmComesBackByItself) {
  for (int i = 0; i < 3; ++i) See(0.95);
  ASSERT_TRUE(alarms_->Shelve("A-1001", minutes(30), "cleaning", "kim"));
  EXPECT_EQ(Open().at(0).state, AlarmState::kShelved);
  EXPECT_FALSE(alarms_->Shelve("A-1001", std::chrono::hours(25), "", "kim"));
  clock_.Advance(minutes(31));
  alarms_->Sweep();
  EXPECT_EQ(Open().at(0).state, AlarmState::kUnacknowledged);
}

TEST_F(AlarmsTest, TheAuditLogHasWhatWasDoneAndNothingThatWasRefused) {
  for (int i = 0; i < 3; ++i) See(0.95);
  EXPECT_FALSE(alarms_->Unshelve("A-1001", "kim")) << "it is on no shelf";
  EXPECT_FALSE(alarms_->Shelve("A-1001", std::chrono::hours(25), "", "kim"));
  EXPECT_FALSE(alarms_->Acknowledge("A-1002", "kim"));
  EXPECT_FALSE(alarms_->Answer("A-1001", {VerdictKind::kTrueFault, "", "", "kim", clock_.Now()}));
  EXPECT_TRUE(Audited().empty());

  ASSERT_TRUE(alarms_->Acknowledge("A-1001", "kim"));
  EXPECT_FALSE(alarms_->Acknowledge("A-1001", "kim")) << "twice changes nothing";
  ASSERT_TRUE(alarms_->Shelve("A-1001", minutes(30), "cleaning", "kim"));
  clock_.Advance(minutes(31));
  alarms_->Sweep();  // Nobody's deed.
  ASSERT_TRUE(alarms_->Answer("A-1001", {VerdictKind::kFalseAlarm, "", "", "lee", clock_.Now()}));
  EXPECT_EQ(Audited(), (std::vector<std::string>{"alarm.acknowledge by kim", "alarm.shelve by kim",
                                                 "alarm.verdict by lee"}));
}

TEST_F(AlarmsTest, WhatCannotBeAuditedIsNotDone) {
  for (int i = 0; i < 3; ++i) See(0.95);
  ASSERT_TRUE(records_->Run("DROP TABLE audit_entries"));
  EXPECT_FALSE(alarms_->Acknowledge("A-1001", "kim"));
  EXPECT_FALSE(alarms_->Answer("A-1001", {VerdictKind::kFalseAlarm, "", "", "lee", clock_.Now()}));
  EXPECT_EQ(Open().at(0).state, AlarmState::kUnacknowledged);
  EXPECT_FALSE(Open().at(0).verdict.has_value());
  EXPECT_EQ(alarms_->Get("A-1001").value().state, AlarmState::kUnacknowledged);
}

TEST_F(AlarmsTest, RemembersOpenAlarmsAndDecisionsOverARestart) {
  for (int i = 0; i < 3; ++i) See(0.95);
  const Alarm before = Open().at(0);
  Reopen();
  EXPECT_EQ(Open().at(0).ToJson(), before.ToJson());
  const DecisionRecord record = alarms_->DecisionOf(before.trace).value();
  EXPECT_EQ(record.rule, "p(bearing_wear) > 0.8 for 4min");
  EXPECT_EQ(record.prediction.probabilities.at(1), 0.95);
  See(0.95);
  EXPECT_EQ(Open().size(), 1U) << "the condition is still the same alarm";
}

TEST_F(AlarmsTest, WhatIsLongClosedGoesWithItsChainAndAnAuditEntry) {
  const auto raise = [&](VerdictKind kind) {
    for (int i = 0; i < 3; ++i) See(0.95);
    const Alarm alarm = Open().at(0);
    EXPECT_TRUE(provenance_->Add(alarm.trace, {clock_.Now(), "alarm", "active", Json::object()}));
    EXPECT_TRUE(alarms_->Answer(alarm.id, {kind, "bearing_wear", "", "kim", clock_.Now()}));
    for (int i = 0; i < 3; ++i) See(0.1);
    clock_.Advance(kQuietAfterVerdict);
    return alarm;
  };
  const Alarm first = raise(VerdictKind::kFalseAlarm), labelled = raise(VerdictKind::kTrueFault);
  for (int i = 0; i < 3; ++i) See(0.95);
  const Alarm open = Open().at(0);
  clock_.Advance(std::chrono::days(800));
  const Time before = clock_.Now() - std::chrono::days(730);
  EXPECT_EQ(alarms_->Expire(first.raised, {})->alarms, 0);

  const Expired gone = alarms_->Expire(before, {labelled.trace.ToString()}).value();
  EXPECT_EQ(std::tie(gone.alarms, gone.decisions, gone.steps), std::make_tuple(1, 1, 1));
  EXPECT_EQ(alarms_->Get(first.id).error().code, Code::kNotFound);
  EXPECT_FALSE(alarms_->DecisionOf(first.trace));
  EXPECT_TRUE(provenance_->Of(first.trace)->empty());
  EXPECT_TRUE(alarms_->DecisionOf(labelled.trace)) << "a label needs it";
  EXPECT_TRUE(alarms_->Get(open.id)) << "it is open";
  EXPECT_EQ(Audited().back(), "decisions.expire by node");
  const auto size = audit_->size();
  EXPECT_EQ(alarms_->Expire(before, {labelled.trace.ToString()})->alarms, 0);
  EXPECT_EQ(audit_->size(), size) << "nothing done, nothing said";
  EXPECT_EQ(alarms_->Expire(before, {})->alarms, 1);
}

TEST_F(AlarmsTest, TheNewestNumberIsNeverGivenAgain) {
  for (int i = 0; i < 3; ++i) See(0.95);
  ASSERT_TRUE(alarms_->Acknowledge("A-1001", "kim"));
  for (int i = 0; i < 3; ++i) See(0.1);
  clock_.Advance(std::chrono::days(800));
  EXPECT_EQ(alarms_->Expire(clock_.Now(), {})->alarms, 0);
  Reopen();
  for (int i = 0; i < 3; ++i) See(0.95);
  EXPECT_EQ(Open().at(0).id, "A-1002");
}

// The detector beside the classifier, on the same pump.
class SuppressionTest : public AlarmsTest {
 protected:
  void SetUp() override {
    AlarmsTest::SetUp();
    detector_.model = "pump-anomalies";
    detector_.cause = "anomaly";
    detector_.threshold = 0.5;
    detector_.delay_on = minutes(4);
    detector_.suppressed_while = {"pump-faults"};
    alarms_->OnChange([this](const Alarm& alarm, AlarmEvent event) {
      heard_.push_back(alarm.id + (event == AlarmEvent::kRaise       ? " raised"
                                   : event == AlarmEvent::kSupersede ? " superseded"
                                                                     : " changed"));
    });
  }
  void SeeAnomaly(double p) {
    inference::Prediction prediction;
    prediction.trace = TraceId::Random();
    prediction.thing = "pump-7-detector";  // Another thing of the same asset.
    prediction.asset = "acme/line-1/pump-7";
    prediction.at = clock_.Now();
    prediction.model = "pump-anomalies";
    prediction.classes = {"normal", "anomaly"};
    prediction.probabilities = {1 - p, p};
    alarms_->Observe(prediction, detector_, [] { return Basis{"Pump 7", {}, {}, 0, 1}; });
  }
  void SeeBoth(double fault, double anomaly, int times = 1) {
    for (int i = 0; i < times; ++i) {
      See(fault);
      SeeAnomaly(anomaly);
    }
  }
  std::vector<std::string> StagesOf(const std::string& id) {
    std::vector<std::string> stages;
    const auto steps = provenance_->Of(alarms_->Get(id)->trace).value();
    for (const Step& step : steps) stages.push_back(step.stage + ": " + step.text);
    return stages;
  }
  AlarmRule detector_;
  std::vector<std::string> heard_;
};

TEST_F(SuppressionTest, TheDetectorStaysSilentBesideAKnownFault) {
  SeeBoth(0.95, 0.1, 3);
  SeeBoth(0.95, 0.9, 10);
  EXPECT_EQ(heard_, std::vector<std::string>{"A-1001 raised"});
  SeeBoth(0.1, 0.9, 3);  // The fault's alarm clears after 4 min: the detector's patience begins.
  EXPECT_EQ(Open().size(), 1U);
  SeeBoth(0.1, 0.9, 2);
  EXPECT_EQ(heard_.back(), "A-1002 raised");
}

TEST_F(SuppressionTest, TheDetectorStaysSilentForAWhileAfterAKnownFault) {
  detector_.suppressed_after = minutes(20);
  SeeBoth(0.95, 0.9, 5);
  SeeBoth(0.1, 0.9, 14);  // Active for 4 min more, 20 min afterwards, 4 min of patience.
  EXPECT_EQ(Open().size(), 1U);
  SeeBoth(0.1, 0.9);
  EXPECT_EQ(heard_.back(), "A-1002 raised");
}

TEST_F(SuppressionTest, AKnownFaultTakesThePlaceOfTheDetectorsAlarm) {
  SeeBoth(0.1, 0.9, 3);
  SeeBoth(0.95, 0.9, 3);
  EXPECT_EQ(heard_,
            (std::vector<std::string>{"A-1001 raised", "A-1002 raised", "A-1001 superseded"}));
  const Alarm old = alarms_->Get("A-1001").value();
  EXPECT_EQ(old.state, AlarmState::kNormal);
  EXPECT_EQ(old.superseded_by, "A-1002");
  EXPECT_TRUE(old.cleared_at.has_value());
  ASSERT_EQ(Open().size(), 1U) << "nothing is left to be answered of it";
  EXPECT_EQ(Open()[0].id, "A-1002");
  EXPECT_EQ(StagesOf("A-1001"),
            std::vector<std::string>{"superseded: superseded by A-1002: Bearing wear on Pump 7"});
  EXPECT_EQ(StagesOf("A-1002"),
            std::vector<std::string>{"supersedes: takes the place of A-1001: Anomaly on Pump 7"});
  EXPECT_TRUE(Audited().empty()) << "nobody did it";
  Reopen();
  EXPECT_EQ(alarms_->Get("A-1001")->superseded_by, "A-1002");
  SeeBoth(0.95, 0.9, 5);
  EXPECT_EQ(Open().size(), 1U);
}

TEST_F(SuppressionTest, WhatIsAnsweredIsNotSuperseded) {
  SeeBoth(0.1, 0.9, 3);
  ASSERT_TRUE(alarms_->Answer("A-1001", {VerdictKind::kUnsure, "", "", "kim", clock_.Now()}));
  SeeBoth(0.95, 0.9, 3);
  EXPECT_EQ(alarms_->Get("A-1001")->superseded_by, "");
}

TEST_F(SuppressionTest, OnlyTheModelsThatAreNamedSuppress) {
  detector_.suppressed_while = {"gearbox-faults"};
  SeeBoth(0.95, 0.9, 5);
  EXPECT_EQ(Open().size(), 2U);
}

TEST_F(AlarmsTest, UnknownAlarmsAreNotFound) {
  EXPECT_EQ(alarms_->Get("A-7").error().code, Code::kNotFound);
  EXPECT_EQ(alarms_->Acknowledge("nonsense", "kim").error().code, Code::kNotFound);
}

TEST(AlarmStateTest, HasNoWayOutOfNowhere) {
  EXPECT_FALSE(NextState(AlarmState::kNormal, AlarmEvent::kAcknowledge, false, true));
  EXPECT_FALSE(NextState(AlarmState::kShelved, AlarmEvent::kClear, false, true));
  EXPECT_EQ(NextState(AlarmState::kShelved, AlarmEvent::kUnshelve, true, false),
            AlarmState::kUnacknowledged);
  EXPECT_EQ(NextState(AlarmState::kOutOfService, AlarmEvent::kReturn, false, false),
            AlarmState::kReturnedUnacknowledged);
}

}  // namespace
}  // namespace penstock::decisions
