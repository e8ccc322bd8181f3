#include "plant/operator.h"

#include <gtest/gtest.h>

namespace penstock::plant {
namespace {

using std::chrono::minutes;

const Time kShiftStart = *ParseTime("2026-06-01T06:00:00Z");

class FakeFloor final : public Floor {
 public:
  Time Now() override { return now; }
  Inspection Inspect(const std::string& machine, Time) override {
    Inspection copy = truth;
    copy.known = machine == "pump-7";
    return copy;
  }
  void BeginRepair(const std::string& machine, Duration length, std::string_view reason) override {
    work.push_back(fmt::format("{} {}", reason, machine));
    lengths.push_back(length);
    truth.fault_now = false;
    truth.stopped = true;
  }
  void RepairSensors(const std::string&) override { ++sensor_repairs; }
  void WriteTruth(std::string_view, Json) override {}

  Time now = kShiftStart;
  Inspection truth;
  std::vector<std::string> work;
  std::vector<Duration> lengths;
  int sensor_repairs = 0;
};

class FakeNode final : public NodeClient {
 public:
  Result<Json> Get(const std::string& path) override {
    if (down) return Unavailable("no node");
    if (!path.starts_with("/api/v1/alarms?")) return alarms.at(path.substr(path.rfind('/') + 1));
    Json items = Json::array();
    for (const auto& [id, alarm] : alarms)
      if (!closed.contains(id)) items.push_back(alarm);
    return Json{{"items", items}, {"next", nullptr}};
  }
  Result<Json> Post(const std::string& path, const Json& body, const std::string&) override {
    posts.push_back(path + " " + body["kind"].get<std::string>() + " " +
                    body["code"].get<std::string>());
    notes.push_back(body["note"]);
    if (down) return Unavailable("no node");
    return Json::object();
  }
  void Raise(const std::string& id, const std::string& thing, const std::string& cause) {
    alarms[id] = {{"id", id},
                  {"thing", thing},
                  {"cause", cause},
                  {"raised", FormatTime(kShiftStart)},
                  {"verdict", nullptr}};
  }
  void Answer(const std::string& id, const std::string& kind) {
    alarms[id]["verdict"] = {{"kind", kind}};
  }

  bool down = false;
  std::map<std::string, Json> alarms;
  std::set<std::string> closed;
  std::vector<std::string> posts, notes;
};

class CrewTest : public testing::Test {
 protected:
  void Live(Crew& crew, int for_minutes) {
    for (int i = 0; i < for_minutes; ++i, floor_.now += minutes(1)) crew.Round();
  }
  FakeFloor floor_;
  FakeNode node_;
};

TEST_F(CrewTest, FollowingItRepairsAfterAVerdictOfPeople) {
  Crew crew(CrewMode::kFollow, 0, Random(1), floor_, node_);
  floor_.truth.fault = "seal_leak";
  floor_.truth.fault_now = true;
  node_.Raise("A-1", "pump-7", "seal_leak");
  Live(crew, 60);
  EXPECT_TRUE(floor_.work.empty());
  EXPECT_TRUE(node_.posts.empty());
  node_.Answer("A-1", "true_fault");
  Live(crew, 10);
  ASSERT_EQ(floor_.work, std::vector<std::string>{"repair pump-7"});
  EXPECT_GE(floor_.lengths[0], minutes(20));
  EXPECT_LE(floor_.lengths[0], minutes(60));
  Live(crew, 60);
  EXPECT_EQ(floor_.work.size(), 1u);
}

TEST_F(CrewTest, FollowingItSeesTheVerdictOfAnAlarmThatIsGoneFromTheList) {
  Crew crew(CrewMode::kFollow, 0, Random(1), floor_, node_);
  floor_.truth.fault_now = true;
  node_.Raise("A-1", "pump-7", "seal_leak");
  Live(crew, 1);
  node_.Answer("A-1", "true_fault");
  node_.closed.insert("A-1");
  Live(crew, 10);
  EXPECT_EQ(floor_.work.size(), 1u);
}

TEST_F(CrewTest, AHealthyMachineIsInspected) {
  Crew crew(CrewMode::kFollow, 0, Random(1), floor_, node_);
  node_.Raise("A-1", "pump-7", "seal_leak");
  node_.Answer("A-1", "true_fault");
  Live(crew, 10);
  ASSERT_EQ(floor_.work, std::vector<std::string>{"inspection pump-7"});
  EXPECT_EQ(floor_.lengths[0], minutes(10));
}

TEST_F(CrewTest, OnItsOwnItNamesTheRealFault) {
  Crew crew(CrewMode::kAuto, 0, Random(1), floor_, node_);
  floor_.truth.fault = "cavitation";
  floor_.truth.fault_now = true;
  node_.Raise("A-1", "pump-7", "seal_leak");
  Live(crew, 2);
  EXPECT_TRUE(node_.posts.empty());  // It has to walk there.
  Live(crew, 10);
  ASSERT_EQ(node_.posts,
            std::vector<std::string>{"/api/v1/alarms/A-1/verdict true_fault cavitation"});
  EXPECT_EQ(node_.notes[0], "it was cavitation, not seal_leak");
  Live(crew, 10);
  EXPECT_EQ(floor_.work, std::vector<std::string>{"repair pump-7"});
}

TEST_F(CrewTest, OnItsOwnItTellsSensorsAndFalseAlarmsApart) {
  Crew crew(CrewMode::kAuto, 0, Random(1), floor_, node_);
  floor_.truth.sensor_fault = "stuck";
  node_.Raise("A-1", "pump-7", "seal_leak");
  Live(crew, 20);
  floor_.truth.sensor_fault = "";
  node_.Raise("A-2", "pump-7", "seal_leak");
  Live(crew, 20);
  EXPECT_EQ(node_.posts, (std::vector<std::string>{"/api/v1/alarms/A-1/verdict sensor_fault stuck",
                                                   "/api/v1/alarms/A-2/verdict false_alarm "}));
  EXPECT_EQ(floor_.sensor_repairs, 1);
  EXPECT_TRUE(floor_.work.empty());
}

TEST_F(CrewTest, ItErrsAtItsRate) {
  Crew crew(CrewMode::kAuto, 0.3, Random(1), floor_, node_);
  for (int i = 0; i < 200; ++i) node_.Raise(fmt::format("A-{}", i), "pump-7", "seal_leak");
  Live(crew, 12);
  ASSERT_EQ(crew.answers().size(), 200u);
  const auto wrong = std::count_if(crew.answers().begin(), crew.answers().end(),
                                   [](const auto& a) { return a.wrong; });
  EXPECT_GT(wrong, 40);
  EXPECT_LT(wrong, 80);
}

TEST_F(CrewTest, ItWaitsForANodeThatIsAway) {
  Crew crew(CrewMode::kAuto, 0, Random(1), floor_, node_);
  node_.Raise("A-1", "pump-7", "seal_leak");
  Live(crew, 1);
  node_.down = true;
  Live(crew, 30);
  node_.down = false;
  Live(crew, 10);
  EXPECT_EQ(crew.answers().size(), 1u);
}

TEST_F(CrewTest, AlarmsOfOtherPlantsAreNotItsBusiness) {
  Crew crew(CrewMode::kAuto, 0, Random(1), floor_, node_);
  node_.Raise("A-1", "press-9", "seal_leak");
  Live(crew, 30);
  EXPECT_TRUE(node_.posts.empty());
}

TEST(CrewModeTest, IsReadFromText) {
  EXPECT_EQ(*ParseCrewMode("auto"), CrewMode::kAuto);
  EXPECT_EQ(ParseCrewMode("robots").error().fix, "none, follow or auto");
}

}  // namespace
}  // namespace penstock::plant
