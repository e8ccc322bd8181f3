#include "inference/scorer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "inference/test_model.h"

namespace penstock::inference {
namespace {

constexpr const char* kBinding = R"(
model: pump-faults@champion
on: {model: pump@1.*}
every: 2min
features: {window: 20min, of: {current: [mean], vibration: [rms, kurtosis]}}
explain: 3
alarm:
  - {when: p(worn) > 0.8, for: 4min, severity: high, cause: bearing wear, consequence: seizure,
     response: plan replacement, respond-within: 8h}
canary: {to: pump-faults@challenger, share: 0.2, guard: [alarm_rate]}
)";

Result<ModelBinding> Read(std::string_view yaml) {
  return BindingFromJson(ParseYaml(yaml).value());
}

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  text.replace(text.find(what), what.size(), with);
  return text;
}

TEST(BindingTest, ReadsTheWholeFile) {
  const ModelBinding binding = Read(kBinding).value();
  EXPECT_EQ(binding.model, "pump-faults");
  EXPECT_EQ(binding.alias, "champion");
  EXPECT_EQ(binding.on_model, "pump@1.*");
  EXPECT_EQ(binding.schema.features.size(), 3U);
  EXPECT_EQ(binding.schema.every, std::chrono::minutes(2));
  ASSERT_EQ(binding.alarms.size(), 1U);
  EXPECT_EQ(binding.alarms[0].cause, "worn");
  EXPECT_EQ(binding.alarms[0].threshold, 0.8);
  EXPECT_EQ(binding.alarms[0].delay_on, std::chrono::minutes(4));
  EXPECT_EQ(binding.alarms[0].priority, Priority::kHigh);
  EXPECT_EQ(binding.alarms[0].respond_within, std::chrono::hours(8));
  EXPECT_EQ(binding.alarms[0].model, binding.model);
  EXPECT_EQ(binding.canary->alias, "challenger");
}

TEST(BindingTest, EveryMistakeHasItsPlaceAndAFix) {
  const auto expect = [](std::string_view what, std::string_view with, std::string_view pointer) {
    const auto binding = Read(Replaced(kBinding, what, with));
    ASSERT_FALSE(binding) << with;
    EXPECT_EQ(binding.error().pointer, pointer) << with;
    EXPECT_NE(binding.error().fix, "") << with;
  };
  expect("pump-faults@champion", "Pump Faults", "/model");
  expect("pump-faults@champion", "pump-faults@latest", "/model");
  expect("{model: pump@1.*}", "{}", "/on");
  expect("every: 2min", "evry: 2min", "/evry");
  expect("[mean]", "[meen]", "/features/of/current/0");
  expect("p(worn) > 0.8", "worn > 0.8", "/alarm/0/when");
  expect("p(worn) > 0.8", "p(worn) > 1.8", "/alarm/0/when");
  expect("severity: high", "severity: urgent", "/alarm/0/severity");
  expect("to: pump-faults@", "to: other@", "/canary/to");
  expect("explain: 3", "explain: 0", "/explain");
  expect("explain: 3", "suppress: [others]", "/suppress");
  expect("explain: 3", "suppress: {while: []}", "/suppress/while");
  expect("explain: 3", "suppress: {while: [Others]}", "/suppress/while/0");
  expect("explain: 3", "suppress: {while: [pump-faults]}", "/suppress/while/0");
  expect("explain: 3", "suppress: {until: [others]}", "/suppress/until");
}

TEST(BindingTest, ADetectorNeedsNoTrainedModel) {
  const auto binding = Read(R"(
model: pump-anomalies
on: {things: [pump-7]}
features: {window: 20min, of: [current], take: [mean]}
detector: {kind: mewma, warm-up: 300, memory: 2d, false-alarm-every: 30d}
suppress: {while: [pump-faults], after: 30min}
alarm: {when: p(anomaly) > 0.99}
)");
  ASSERT_TRUE(binding) << binding.error().ToString();
  EXPECT_EQ(binding->detector->kind, "mewma");
  EXPECT_EQ(binding->detector->warm_up, 300U);
  EXPECT_EQ(binding->on_things.front(), "pump-7");
  EXPECT_EQ(binding->alarms[0].suppressed_while, std::vector<std::string>{"pump-faults"});
  EXPECT_EQ(binding->alarms[0].suppressed_after, std::chrono::minutes(30));
}

class ScorerTest : public ::testing::Test {
 protected:
  ScorerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "scorer-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    repository_ = std::make_unique<ModelRepository>(folder_);
    Install(1);
  }
  ~ScorerTest() override { std::filesystem::remove_all(folder_); }

  void Install(float scale) {
    const uint32_t version = repository_->Install("pump-faults", AsBytes(TestModel(scale))).value();
    ASSERT_TRUE(repository_->Activate("pump-faults", version));
  }
  // In the binding's order: current, vibration rms, kurtosis.
  static telemetry::FeatureRow Row(std::vector<double> values) {
    telemetry::FeatureRow row;
    row.trace = TraceId::Random();
    row.thing = "pump-7";
    row.values = std::move(values);
    return row;
  }

  std::string folder_;
  std::unique_ptr<ModelRepository> repository_;
};

TEST_F(ScorerTest, GivesProbabilitiesReasonsAndTheNormalBand) {
  Scorer scorer(*repository_);
  ASSERT_TRUE(scorer.Bind(Read(kBinding).value(), {{"vibration", "mm/s"}, {"current", "A"}}));
  const auto row = Row({1, 7.9, 6.2});
  const Prediction prediction = scorer.Score("pump-faults", row).value();
  EXPECT_EQ(prediction.trace, row.trace);
  EXPECT_EQ(prediction.classes[prediction.top], "worn");
  EXPECT_GT(prediction.probabilities[1], 0.9);
  EXPECT_LE(prediction.confidence_low, prediction.probabilities[1]);
  EXPECT_GE(prediction.confidence_high, prediction.probabilities[1]);
  EXPECT_GT(prediction.confidence_low, 0.8);
  ASSERT_EQ(prediction.because.size(), 3U);
  EXPECT_EQ(prediction.because[0].feature, "vibration.rms");
  EXPECT_EQ(prediction.because[0].unit, "mm/s");
  EXPECT_NEAR(prediction.because[0].value, 7.9, 1e-6);
  EXPECT_EQ(prediction.because[0].normal_high, 3);
  double sum = prediction.base_value;
  for (const auto& part : prediction.because) sum += part.contribution;
  EXPECT_NEAR(sum, prediction.margin, 1e-9);
  EXPECT_EQ(scorer.StatsOf("pump-faults").predictions, 1U);
  EXPECT_GT(scorer.StatsOf("pump-faults").latency_us_p99, 0);
}

TEST_F(ScorerTest, TakesMissingValuesButNotARowOfThem) {
  Scorer scorer(*repository_);
  ASSERT_TRUE(scorer.Bind(Read(kBinding).value()));
  EXPECT_TRUE(scorer.Score("pump-faults", Row({NAN, 7.9, 6.2})));
  EXPECT_EQ(scorer.Score("pump-faults", Row({NAN, NAN, 6.2})).error().code,
            Code::kFailedPrecondition);
  EXPECT_EQ(scorer.Score("pump-faults", Row({1, 2})).error().code, Code::kInvalidArgument);
  EXPECT_EQ(scorer.Score("other", Row({1, 2, 3})).error().code, Code::kNotFound);
  EXPECT_EQ(scorer.StatsOf("pump-faults").refused, 1U);
}

TEST_F(ScorerTest, ANewChampionTakesOverBetweenTwoRows) {
  Scorer scorer(*repository_);
  ASSERT_TRUE(scorer.Bind(Read(kBinding).value()));
  EXPECT_TRUE(scorer.Reload().value().empty());
  Install(3);
  EXPECT_EQ(scorer.Score("pump-faults", Row({1, 7.9, 6.2})).value().version, 1U);
  EXPECT_EQ(scorer.Reload().value(), std::vector<std::string>{"pump-faults"});
  EXPECT_EQ(scorer.Score("pump-faults", Row({1, 7.9, 6.2})).value().version, 2U);
}

TEST_F(ScorerTest, AModelForOtherFeaturesOrClassesIsRefusedAndTheOldStays) {
  Scorer scorer(*repository_);
  ASSERT_TRUE(scorer.Bind(Read(kBinding).value()));
  auto error =
      scorer.Bind(Read(Replaced(kBinding, "current: [mean]", "flow: [mean]")).value()).error();
  EXPECT_EQ(error.pointer, "/features");
  EXPECT_NE(error.message.find("it wants current.mean; it does not know flow.mean"),
            std::string::npos);
  error = scorer.Bind(Read(Replaced(kBinding, "p(worn)", "p(wurn)")).value()).error();
  EXPECT_EQ(error.pointer, "/alarm/0/when");
  EXPECT_EQ(error.fix, "worn");
  EXPECT_TRUE(scorer.Score("pump-faults", Row({1, 7.9, 6.2})));
}

TEST(FeatureUnitTest, FollowsTheStatistic) {
  const auto unit = [](const char* feature, const char* of) {
    return FeatureUnit(telemetry::FeatureSpec::Parse(feature).value(), of);
  };
  EXPECT_EQ(unit("a.rms", "mm/s"), "mm/s");
  EXPECT_EQ(unit("a.slope", "mm/s"), "(mm/s)/h");
  EXPECT_EQ(unit("a.slope", "Cel"), "Cel/h");
  EXPECT_EQ(unit("a.kurtosis", "mm/s"), "1");
}

}  // namespace
}  // namespace penstock::inference
