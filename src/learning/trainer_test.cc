#include "learning/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "inference/model.h"
#include "learning/calibration.h"

namespace penstock::learning {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const Time kHistoryStart = ParseTime("2026-01-05T00:00:00Z").value();

telemetry::FeatureSchema Schema() {
  return telemetry::FeatureSchema::FromJson(
             Json{{"window", "20min"},
                  {"every", "2min"},
                  {"features", {"vibration.rms", "flow.mean", "current.mean"}}})
      .value();
}

telemetry::FeatureRow Row(Time at, std::vector<double> values, std::string thing = "pump-7") {
  telemetry::FeatureRow row;
  row.thing = std::move(thing);
  row.at = at;
  row.window = minutes(20);
  row.values = std::move(values);
  return row;
}

// Thirty days of one pump: every 20 hours a fault of 3 hours, worn and leaky by turns; half an hour
// of repair.
Dataset ThirtyDays(uint64_t seed) {
  Random random(seed);
  DatasetBuilder builder(Schema(), {"worn", "leaky"});
  std::vector<LabelInterval> labels;
  for (int k = 1; k < 36; ++k) {
    const Time from = kHistoryStart + k * hours(20);
    labels.push_back(
        {"pump-7", from, from + hours(3), k % 2 == 0 ? "worn" : "leaky", "maintenance", {}});
    labels.push_back(
        {"pump-7", from + hours(3), from + hours(3) + minutes(30), "excluded", "maintenance", {}});
  }
  builder.BeginRun("run", labels);
  for (Time at = kHistoryStart; at < kHistoryStart + hours(720); at += minutes(2)) {
    const double hour = ToSeconds(at - kHistoryStart) / 3600;
    const double into = std::fmod(hour, 20);
    const bool fault = hour >= 20 && into < 3;
    const bool worn = static_cast<int>(hour / 20) % 2 == 0;
    const double wear = fault && worn ? into : 0, leak = fault && !worn ? into : 0;
    builder.Add(Row(at, {2 + wear + 0.3 * random.Normal(), 30 - 2 * leak + random.Normal(),
                         random.Chance(0.02) ? NAN : 10 + 0.5 * random.Normal()}));
  }
  return builder.Build().value();
}

TEST(DatasetTest, OnlyTheDetectablePartOfAFaultIsItsClass) {
  DatasetBuilder builder(Schema(), {"worn"}, {.positive_share = 0.5});
  builder.BeginRun(
      "run", {{"pump-7", kHistoryStart, kHistoryStart + hours(4), "worn", "maintenance", {}}});
  const auto add = [&](Duration after, std::string thing = "pump-7") {
    const size_t before = builder.rows();
    builder.Add(Row(kHistoryStart + after, {1, 2, 3}, std::move(thing)));
    return builder.rows() - before;
  };
  EXPECT_EQ(add(minutes(0)), 1U);    // Before: normal.
  EXPECT_EQ(add(minutes(60)), 0U);   // Early phase: left out.
  EXPECT_EQ(add(minutes(125)), 0U);  // A quarter of its window is detectable.
  EXPECT_EQ(add(minutes(130)), 1U);  // Half of it.
  EXPECT_EQ(add(minutes(240)), 1U);
  EXPECT_EQ(add(minutes(245)), 0U);            // Touches the fault from behind.
  EXPECT_EQ(add(minutes(261)), 1U);            // Normal again.
  EXPECT_EQ(add(minutes(130), "pump-8"), 1U);  // Another thing.
  const Dataset dataset = builder.Build().value();
  EXPECT_EQ(dataset.labels, (std::vector<uint32_t>{0, 1, 1, 0, 0}));
  EXPECT_EQ(dataset.left_out, 3U);
  EXPECT_EQ(dataset.groups[1], dataset.groups[2]);
  EXPECT_NE(dataset.groups[0], dataset.groups[1]);
}

TEST(DatasetTest, ExcludedTimeAndFaultsOfOtherModelsAreLeftOut) {
  DatasetBuilder builder(Schema(), {"worn"});
  builder.BeginRun(
      "run",
      {{"pump-7", kHistoryStart, kHistoryStart + hours(1), "excluded", "maintenance", {}},
       {"pump-7", kHistoryStart + hours(5), kHistoryStart + hours(6), "leaky", "maintenance", {}}});
  builder.Add(Row(kHistoryStart + minutes(30), {1, 2, 3}));
  builder.Add(Row(kHistoryStart + minutes(359), {1, 2, 3}));
  builder.Add(Row(kHistoryStart + hours(3), {1, NAN, NAN}));
  EXPECT_EQ(builder.rows(), 0U);
  builder.Add(Row(kHistoryStart + hours(3), {1, 2, NAN}));
  EXPECT_EQ(builder.Build().error().message, "no row of class worn among 1 rows (3 left out)");
}

TEST(SplitTest, KeepsGroupsWholeAndEveryClassInEveryPart) {
  const Dataset dataset = ThirtyDays(1);
  const auto parts = SplitGroups(dataset, 5);
  std::set<std::pair<int, uint32_t>> seen;
  std::array<size_t, 3> rows{};
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    const int part = parts[dataset.groups[i]];
    ASSERT_GE(part, 0);
    seen.insert({part, dataset.labels[i]});
    ++rows[part];
  }
  EXPECT_EQ(seen.size(), 9U);
  EXPECT_NEAR(static_cast<double>(rows[0]) / static_cast<double>(dataset.labels.size()), 0.6, 0.1);
  EXPECT_EQ(parts, SplitGroups(dataset, 5));
  EXPECT_NE(parts, SplitGroups(dataset, 6));
}

TEST(TrainerTest, LearnsTheFaultsAndProvesTheFile) {
  TrainOptions options;
  options.rounds_max = 60;
  const TrainedModel made = TrainModel(ThirtyDays(1), options, kHistoryStart).value();
  EXPECT_LT(made.report.log_loss, 0.1);
  EXPECT_LT(made.report.kernel_difference_max, 1e-5);
  EXPECT_LT(made.report.runtime_difference_max, 1e-5);
  ASSERT_EQ(made.report.classes.size(), 3U);
  for (size_t c = 1; c < 3; ++c) {
    EXPECT_GE(made.report.classes[c].episodes, 2U);
    EXPECT_EQ(made.report.classes[c].episodes_found, made.report.classes[c].episodes);
    EXPECT_GT(made.report.classes[c].precision, 0.9);
  }
  const auto model = inference::Model::Load("pump-faults", 1, AsBytes(made.onnx)).value();
  EXPECT_EQ(model->digest(), made.report.digest);
  EXPECT_EQ(model->card().classes, (std::vector<std::string>{"normal", "worn", "leaky"}));
  EXPECT_NEAR(model->card().profile[0].p50, 2, 0.1);
  EXPECT_NEAR(model->card().profile[2].missing, 0.02, 0.01);
  std::vector<double> p(3);
  ASSERT_TRUE(model->Predict(std::vector<float>{4.5F, 30, 10}, p));
  EXPECT_GT(p[1], 0.9);
  const auto sure = model->card().ConfidenceOf("worn", p[1]);
  EXPECT_GT(sure.low, 0.5);
  EXPECT_EQ(model->Explain(std::vector<float>{4.5F, 30, 10}, 1).value().contributions.size(), 3U);
}

TEST(TrainerTest, SameDataAndSeedSameFile) {
  TrainOptions options;
  options.rounds_max = 20;
  const Dataset dataset = ThirtyDays(2);
  const auto first = TrainModel(dataset, options, kHistoryStart).value();
  EXPECT_EQ(first.onnx, TrainModel(dataset, options, kHistoryStart).value().onnx);
  options.seed = 2;
  EXPECT_NE(first.onnx, TrainModel(dataset, options, kHistoryStart).value().onnx);
}

TEST(CalibrationTest, UndoesOverconfidenceAndShiftedOdds) {
  Random random(3);
  std::vector<float> margins;
  std::vector<uint32_t> labels;
  for (int i = 0; i < 20'000; ++i) {
    const double truth = random.Normal(-1, 1.5);  // True log-odds of class 1.
    labels.push_back(random.Chance(1 / (1 + std::exp(-truth))) ? 1 : 0);
    margins.push_back(0);
    margins.push_back(static_cast<float>(3 * truth + 2));  // Too sure, and too fond of class 1.
  }
  const MarginCalibration calibration = FitCalibration(margins, labels, 2).value();
  EXPECT_NEAR(calibration.scale, 1.0 / 3, 0.02);
  EXPECT_NEAR(calibration.bias[1] - calibration.bias[0], -2.0 / 3, 0.1);
  EXPECT_FALSE(FitCalibration(margins, labels, 3));
}

TEST(CalibrationTest, BinsCountOverlappingWindowsOnce) {
  const std::vector<double> p{0.97, 0.98, 0.96, 0.02};
  const bool is[] = {true, true, false, false};
  const auto bins = CalibrationBins(p, is, 2);
  const auto& high = bins[10];
  EXPECT_EQ(high.low, 0.95);
  EXPECT_DOUBLE_EQ(high.n, 1.5);
  EXPECT_DOUBLE_EQ(high.hits, 1.0);
}

}  // namespace
}  // namespace penstock::learning
