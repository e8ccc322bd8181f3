#include "learning/training.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/random.h"

namespace penstock::learning {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Time kTrainingStart = ParseTime("2026-01-05T00:00:00Z").value();

// Two pumps with two scalar points each.
std::shared_ptr<const things::Snapshot> TwoPumps() {
  auto snapshot = std::make_shared<things::Snapshot>();
  uint32_t id = 0;
  for (const char* name : {"pump-7", "pump-8"}) {
    things::Thing thing;
    thing.name = name;
    thing.model = "pump@1.2";
    for (const char* property : {"temperature", "flow"}) {
      things::Property entry;
      entry.point.id = PointId{id++};
      entry.point.thing = name;
      entry.point.property = property;
      entry.point.model = thing.model;
      thing.properties.push_back(entry);
    }
    snapshot->things.push_back(std::move(thing));
  }
  for (const auto& thing : snapshot->things) {
    for (const auto& property : thing.properties) {
      snapshot->by_id.push_back(&property);
      snapshot->by_path[property.point.path()] = property.point.id;
    }
  }
  return snapshot;
}

inference::ModelBinding PumpBinding(const std::string& alarm_class = "worn") {
  return inference::BindingFromJson(ParseYaml(fmt::format(R"(
model: pump-faults@champion
on: {{model: pump@1.*}}
every: 2min
features: {{window: 20min, of: [temperature, flow], take: [mean, slope]}}
alarm: {{when: p({}) > 0.8}}
)",
                                                          alarm_class))
                                        .value())
      .value();
}

// A day for each run; pump-7 wears out from hour 6 to 9 and, with another sign, pump-8 from 15
// to 18.
History Days(size_t runs) {
  History history;
  history.runs = runs;
  history.replay = [](size_t run, const auto& sink) -> Result<std::vector<LabelInterval>> {
    Random random(run + 1);
    const Time start = kTrainingStart + run * hours(24);
    std::vector<LabelInterval> labels{
        {"pump-7", start + hours(6), start + hours(9), "worn", "maintenance", {}},
        {"pump-8", start + hours(15), start + hours(18), "worn", "maintenance", {}}};
    for (Time at = start; at < start + hours(24); at += seconds(60)) {
      telemetry::Batch batch;
      for (uint32_t pump = 0; pump < 2; ++pump) {
        const auto& label = labels[pump];
        const double wear =
            at >= label.from && at < label.to ? ToSeconds(at - label.from) / 3600 : 0;
        batch.Add(PointId{2 * pump}, at, at, 60 + 4 * wear + random.Normal());
        batch.Add(PointId{2 * pump + 1}, at, at, 30 - wear + random.Normal());
      }
      sink(std::move(batch));
    }
    return labels;
  };
  return history;
}

class TrainingTest : public ::testing::Test {
 protected:
  TrainingTest() {
    std::string name = (std::filesystem::temp_directory_path() / "training-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~TrainingTest() override { std::filesystem::remove_all(folder_); }
  HistoryTraining Quick() const {
    HistoryTraining options;
    options.train.rounds_max = 20;
    options.trained_at = kTrainingStart;
    return options;
  }
  std::string folder_;
};

TEST_F(TrainingTest, HistoryBecomesAChampion) {
  inference::ModelRepository repository(folder_);
  std::vector<std::string> lines;
  HistoryTraining options = Quick();
  options.progress = [&](const std::string& line) { lines.push_back(line); };
  const std::vector bindings{PumpBinding()};
  const auto reports = TrainFromHistory(bindings, TwoPumps(), Days(6), repository, options).value();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].version, 1U);
  EXPECT_GT(reports[0].rows, 5000U);
  EXPECT_GE(reports[0].classes[1].episodes, 2U);
  EXPECT_EQ(reports[0].classes[1].episodes_found, reports[0].classes[1].episodes);
  EXPECT_EQ(repository.Champion("pump-faults").value()->digest(), reports[0].digest);
  EXPECT_FALSE(lines.empty());
  EXPECT_EQ(reports[0].ToJson()["held_out"]["classes"]["worn"]["episodes_found"],
            reports[0].classes[1].episodes);
  EXPECT_EQ(TrainFromHistory(bindings, TwoPumps(), Days(6), repository, options).value()[0].version,
            2U);
}

TEST_F(TrainingTest, SaysWhichFaultTheHistoryDoesNotHave) {
  inference::ModelRepository repository(folder_);
  const std::vector bindings{PumpBinding("leaky")};
  const auto error = TrainFromHistory(bindings, TwoPumps(), Days(2), repository, Quick()).error();
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_NE(error.message.find("pump-faults: no row of class leaky"), std::string::npos)
      << error.message;
  EXPECT_NE(error.fix, "");
}

TEST_F(TrainingTest, SaysThatNoThingFits) {
  inference::ModelRepository repository(folder_);
  std::vector bindings{PumpBinding()};
  bindings[0].on_model = "gearbox@1.*";
  const auto error = TrainFromHistory(bindings, TwoPumps(), Days(1), repository, Quick()).error();
  EXPECT_EQ(error.pointer, "/on");
}

}  // namespace
}  // namespace penstock::learning
