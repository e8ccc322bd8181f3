#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "base/random.h"
#include "learning/detector.h"
#include "learning/detector/modes.h"
#include "learning/detector/tail.h"

namespace penstock::learning {
namespace {

// Three features, of which two move together; `shift` in the second one breaks that.
std::vector<double> NormalRow(Random& random, double shift = 0, double offset = 0) {
  const double load = random.Normal();
  return {10 + load + offset, 50 + 5 * load + 0.5 * random.Normal() + shift + 5 * offset,
          random.Normal()};
}

std::vector<std::vector<double>> Rows(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<std::vector<double>> rows;
  for (size_t i = 0; i < count; ++i) rows.push_back(NormalRow(random));
  return rows;
}

std::unique_ptr<Detector> MakeMewma(DetectorOptions options = {.features = 3,
                                                               .warm_up = 300,
                                                               .memory = 500,
                                                               .false_alarm_rows = 5000}) {
  return FindDetectorKind("mewma").value()->create(options).value();
}

std::unique_ptr<Detector> Fitted() {
  auto detector = MakeMewma();
  EXPECT_TRUE(detector->Fit(Rows(1, 1000), {}));
  return detector;
}

TEST(MewmaTest, StaysQuietInNormalOperation) {
  const auto detector = Fitted();
  int strange = 0;
  for (const auto& row : Rows(2, 5000))
    strange += detector->Observe(row, true, false).p >= 0.5 ? 1 : 0;
  EXPECT_LT(strange, 15);  // One false alarm, of a few rows, is what 5,000 rows may cost.
}

TEST(MewmaTest, SeesFeaturesPartCompanyAndSaysWhichOne) {
  const auto detector = Fitted();
  Random random(3);
  DetectorVerdict verdict;
  // The second feature alone stays well within its usual range.
  for (int i = 0; i < 30; ++i) verdict = detector->Observe(NormalRow(random, 4), true, false);
  EXPECT_GE(verdict.p, 0.5);
  EXPECT_NEAR(std::accumulate(verdict.contributions.begin(), verdict.contributions.end(), 0.0),
              verdict.score, 1e-9);
  EXPECT_GT(verdict.contributions[1], verdict.contributions[2]);
  EXPECT_LT(verdict.low[1], 50);
  EXPECT_GT(verdict.high[1], 50);
}

TEST(MewmaTest, ASeasonIsLearntAFaultUnderAlarmIsNot) {
  const auto detector = Fitted();
  Random random(4);
  DetectorVerdict verdict;
  for (int i = 0; i < 6000; ++i)
    verdict = detector->Observe(NormalRow(random, 0, i / 3000.0), true, false);
  EXPECT_LT(verdict.p, 0.5);  // Two spreads away by now, slowly.
  for (int i = 0; i < 3000; ++i) verdict = detector->Observe(NormalRow(random, 6, 2), false, false);
  EXPECT_GE(verdict.p, 0.5);
}

TEST(MewmaTest, WarmsUpOnlyOnRowsItMayLearnFrom) {
  const auto detector = MakeMewma();
  Random random(5);
  for (int i = 0; i < 400; ++i)
    EXPECT_FALSE(detector->Observe(NormalRow(random, 20), false, false).ready);
  int row = 0;
  while (!detector->Observe(NormalRow(random), true, false).ready) ++row;
  EXPECT_EQ(row, 300);
}

TEST(MewmaTest, MissingValuesAreNoEvidence) {
  const auto detector = Fitted();
  Random random(6);
  DetectorVerdict verdict;
  for (int i = 0; i < 200; ++i) {
    auto row = NormalRow(random);
    row[i % 3] = NAN;
    verdict = detector->Observe(row, true, false);
    ASSERT_TRUE(std::isfinite(verdict.score));
  }
  EXPECT_LT(verdict.p, 0.5);
}

TEST(MewmaTest, EveryModeHasItsOwnBaseline) {
  Random random(7);
  std::vector<std::vector<double>> rows;
  const auto mode_row = [&](bool second) {
    auto row = NormalRow(random);
    if (second) row[0] += 30, row[2] += 40;
    return row;
  };
  for (int i = 0; i < 2000; ++i) rows.push_back(mode_row(i / 200 % 2 == 1));
  const auto detector = MakeMewma();
  ASSERT_TRUE(detector->Fit(rows, {}));
  int strange = 0;
  for (int i = 0; i < 1000; ++i)
    strange += detector->Observe(mode_row(i / 100 % 2 == 1), true, false).p >= 0.5;
  EXPECT_LT(strange, 10);
  DetectorVerdict verdict;
  for (int i = 0; i < 30; ++i) {  // Between the modes: common on the average, but no way to run.
    auto row = NormalRow(random);
    row[0] += 15, row[2] += 20;
    verdict = detector->Observe(row, true, false);
  }
  EXPECT_GE(verdict.p, 0.5);
}

TEST(MewmaTest, GoesOnFromItsSavedState) {
  const auto first = Fitted();
  const auto second = MakeMewma();
  ASSERT_TRUE(second->Restore(Json::parse(first->Save().dump())));
  for (const auto& row : Rows(8, 50)) {
    const double a = first->Observe(row, true, true).score,
                 b = second->Observe(row, true, true).score;
    EXPECT_NEAR(a, b, 1e-9 * std::max(1.0, a));
  }
  const auto other = MakeMewma({.features = 4});
  EXPECT_FALSE(other->Restore(first->Save()));
  EXPECT_FALSE(second->Restore(Json{{"features", 3}, {"ready", true}}));
  EXPECT_FALSE(second->Restore(Json("text")));
}

TEST(MewmaTest, SaysWhyItCannotLearn) {
  EXPECT_EQ(MakeMewma()->Fit(Rows(1, 20), {}).error().code, Code::kFailedPrecondition);
  const std::vector<std::vector<double>> still(500, {1, 2, 3});
  EXPECT_EQ(MakeMewma()->Fit(still, {}).error().message, "no feature moves");
  EXPECT_FALSE(FindDetectorKind("mewma").value()->create({.features = 0}));
}

TEST(TailTest, PredictsTheRateOfHighPeaks) {
  Random random(9);
  std::vector<double> scores(20'000);
  for (double& score : scores) score = random.Exponential(1);
  const Tail tail = Tail::Fit(scores).value();
  // Independent exponential scores exceed 7 once in e^7 = 1,097 rows; ten rows apart makes them
  // single peaks.
  EXPECT_NEAR(std::log(tail.RowsPerExceedance(7)), 7, 1.0);
  EXPECT_GT(tail.RowsPerExceedance(20), 1e6);
  EXPECT_EQ(tail.RowsPerExceedance(-1), tail.RowsPerExceedance(tail.threshold()));
  EXPECT_EQ(Tail::Fit(std::vector<double>(10, 1.0)).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(Tail::FromJson(tail.ToJson()).value().RowsPerExceedance(9), tail.RowsPerExceedance(9));
}

TEST(ModesTest, FindsAsManyAsThereAre) {
  EXPECT_EQ(FindModes(Rows(1, 500)).centers.size(), 1U);
  Random random(2);
  std::vector<std::vector<double>> rows;
  for (int i = 0; i < 600; ++i) {
    const int mode = i % 3;
    rows.push_back({random.Normal(mode == 0 ? -6 : 6, 1), random.Normal(mode == 1 ? 8 : -8, 1)});
  }
  const Modes modes = FindModes(rows);
  ASSERT_EQ(modes.centers.size(), 3U);
  EXPECT_EQ(modes.of_row[0], modes.of_row[3]);
  EXPECT_NE(modes.of_row[0], modes.of_row[1]);
}

TEST(DetectorKindsTest, EachHasANameOfItsOwnASummaryAndAReference) {
  std::set<std::string_view> names;
  for (const DetectorKind& kind : DetectorKinds()) {
    EXPECT_TRUE(names.insert(kind.name).second);
    EXPECT_FALSE(kind.summary.empty());
    EXPECT_FALSE(kind.reference.empty());
    EXPECT_EQ(FindDetectorKind(kind.name).value(), &kind);
  }
  EXPECT_EQ(FindDetectorKind("mewna").error().fix, "mewma");
}

}  // namespace
}  // namespace penstock::learning
