#include "learning/anomaly_scorer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/random.h"

namespace penstock::learning {
namespace {

using std::chrono::minutes;

const Time kStart = ParseTime("2026-01-05T00:00:00Z").value();

inference::ModelBinding Binding(const std::string& kind = "mewma",
                                const std::string& alarm = "anomaly") {
  return inference::BindingFromJson(ParseYaml(fmt::format(R"(
model: pump-anomalies
on: {{things: [pump-7]}}
every: 2min
features: {{window: 20min, of: [flow, current], take: [mean]}}
detector: {{kind: {}, warm-up: 300}}
alarm: {{when: p({}) > 0.5}}
)",
                                                          kind, alarm))
                                        .value())
      .value();
}

class AnomalyScorerTest : public ::testing::Test {
 protected:
  AnomalyScorerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "anomaly-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~AnomalyScorerTest() override { std::filesystem::remove_all(folder_); }

  telemetry::FeatureRow Next(double shift = 0) {
    telemetry::FeatureRow row;
    row.thing = "pump-7";
    row.window = minutes(20);
    row.at = at_ += minutes(2);
    row.values = {30 + random_.Normal() + shift, 10 + random_.Normal()};
    return row;
  }
  std::vector<telemetry::FeatureRow> Normal(size_t count) {
    std::vector<telemetry::FeatureRow> rows;
    for (size_t i = 0; i < count; ++i) rows.push_back(Next());
    return rows;
  }
  static std::optional<inference::Prediction> Score(AnomalyScorer& scorer,
                                                    const telemetry::FeatureRow& row) {
    return scorer.Score("pump-anomalies", row, true).value();
  }

  std::string folder_;
  Time at_ = kStart;
  Random random_{1};
};

TEST_F(AnomalyScorerTest, WarmsUpThenExplainsWhatIsStrange) {
  AnomalyScorer scorer(folder_);
  ASSERT_TRUE(scorer.Bind(Binding(), {{"flow", "m3/h"}, {"current", "A"}}));
  int silent = 0;
  while (!Score(scorer, Next())) ++silent;
  EXPECT_NEAR(silent, 310, 2);  // A window to settle, then the warm-up.
  std::optional<inference::Prediction> prediction;
  for (int i = 0; i < 40; ++i) prediction = Score(scorer, Next(4));
  ASSERT_TRUE(prediction);
  EXPECT_EQ(prediction->classes[prediction->top], "anomaly");
  EXPECT_GT(prediction->probabilities[1], 0.5);
  EXPECT_EQ(prediction->because[0].feature, "flow.mean");
  EXPECT_EQ(prediction->because[0].unit, "m3/h");
  EXPECT_LT(prediction->because[0].normal_high, prediction->because[0].value);
  double sum = prediction->base_value;
  for (const auto& part : prediction->because) sum += part.contribution;
  EXPECT_NEAR(sum, prediction->margin, 1e-9);
}

TEST_F(AnomalyScorerTest, KnowsHistoryAndRemembersItOverARestart) {
  {
    AnomalyScorer scorer(folder_);
    ASSERT_TRUE(scorer.Bind(Binding()));
    ASSERT_TRUE(scorer.Fit("pump-anomalies", "pump-7", Normal(500)));
    ASSERT_TRUE(scorer.Save());
  }
  AnomalyScorer scorer(folder_);
  ASSERT_TRUE(scorer.Bind(Binding()));
  std::optional<inference::Prediction> prediction;
  for (int i = 0; i < 12 && !prediction; ++i) prediction = Score(scorer, Next());
  ASSERT_TRUE(prediction);
  EXPECT_EQ(prediction->version, 2U);
  EXPECT_LT(prediction->probabilities[1], 0.5);
}

TEST_F(AnomalyScorerTest, APauseIsNotJudgedUntilAWindowIsFull) {
  AnomalyScorer scorer("");
  ASSERT_TRUE(scorer.Bind(Binding()));
  ASSERT_TRUE(scorer.Fit("pump-anomalies", "pump-7", Normal(500)));
  for (int i = 0; i < 20; ++i) Score(scorer, Next());
  EXPECT_TRUE(Score(scorer, Next()));
  at_ += minutes(60);
  int silent = 0;
  while (!Score(scorer, Next())) ++silent;
  EXPECT_EQ(silent, 10);
}

TEST_F(AnomalyScorerTest, ADamagedStateIsLeftAside) {
  ASSERT_TRUE(MakeFolders(folder_ + "/pump-anomalies"));
  ASSERT_TRUE(
      WriteFileAtomically(folder_ + "/pump-anomalies/detector-pump-7.json", "{\"detector\": 3}"));
  AnomalyScorer scorer(folder_);
  ASSERT_TRUE(scorer.Bind(Binding()));
  EXPECT_FALSE(Score(scorer, Next()));
}

TEST_F(AnomalyScorerTest, RefusesWhatItDoesNotKnow) {
  AnomalyScorer scorer("");
  EXPECT_EQ(scorer.Bind(Binding("mewna")).error().pointer, "/detector/kind");
  EXPECT_EQ(scorer.Bind(Binding("mewma", "worn")).error().pointer, "/alarm/0/when");
  EXPECT_EQ(scorer.Score("pump-anomalies", Next(), true).error().code, Code::kNotFound);
  ASSERT_TRUE(scorer.Bind(Binding()));
  auto row = Next();
  row.values.push_back(1);
  EXPECT_EQ(scorer.Score("pump-anomalies", row, true).error().code, Code::kInvalidArgument);
  EXPECT_FALSE(scorer.Score("pump-anomalies", Next(NAN), true).value());
}

}  // namespace
}  // namespace penstock::learning
