#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "learning/drift_detector.h"
#include "learning/linear.h"

namespace penstock::learning {
namespace {

std::vector<double> Normal(uint64_t seed, size_t count, double mean) {
  Random random(seed);
  std::vector<double> values(count);
  for (double& value : values) value = random.Normal(mean, 1);
  return values;
}

std::vector<double> Deciles(const std::vector<double>& values) {
  std::vector<double> deciles;
  for (int d = 1; d < 10; ++d) deciles.push_back(Quantile(values, d / 10.0));
  return deciles;
}

std::unique_ptr<DriftDetector> MakePsi(const std::vector<double>& reference) {
  const DriftDetectorKind* kind = FindDriftDetectorKind("psi").value();
  return kind->create(reference, kind->default_threshold).value();
}

TEST(PsiTest, IsSilentWhileValuesStayAsTheyWere) {
  const auto detector = MakePsi(Deciles(Normal(1, 5000, 0)));
  detector->Observe(Normal(2, 2000, 0));
  const DriftVerdict verdict = detector->Judge().value();
  EXPECT_LT(verdict.score, 0.05);
  EXPECT_FALSE(verdict.drifted);
}

TEST(PsiTest, SpeaksWhenTheMeanMovesOneSigma) {
  const auto detector = MakePsi(Deciles(Normal(1, 5000, 0)));
  detector->Observe(Normal(2, 2000, 1));
  const DriftVerdict verdict = detector->Judge().value();
  EXPECT_GT(verdict.score, 0.6);
  EXPECT_TRUE(verdict.drifted);
}

TEST(PsiTest, ForgetsWhatIsLongAgo) {
  const auto detector = MakePsi(Deciles(Normal(1, 5000, 0)));
  detector->Observe(Normal(2, 4000, 3));
  detector->Observe(Normal(3, 40'000, 0));
  EXPECT_FALSE(detector->Judge().value().drifted);
}

TEST(PsiTest, AFeatureThatIsMostlyOneValueIsNoDrift) {
  const auto detector = MakePsi({0, 0, 0, 0, 0, 0, 0, 0, 5});
  std::vector<double> live(1000, 0.0);
  for (size_t i = 0; i < live.size(); i += 5) live[i] = i % 10 == 0 ? 6 : -1;
  detector->Observe(live);
  EXPECT_FALSE(detector->Judge().value().drifted);
  std::vector<double> other(3000, 6.0);
  detector->Observe(other);
  EXPECT_TRUE(detector->Judge().value().drifted);
}

TEST(PsiTest, WaitsForEnoughValuesAndLeavesOutMissingOnes) {
  const auto detector = MakePsi(Deciles(Normal(1, 5000, 0)));
  detector->Observe(std::vector<double>(1000, NAN));
  detector->Observe(Normal(2, 99, 0));
  EXPECT_EQ(detector->Judge().error().code, Code::kFailedPrecondition);
}

TEST(PsiTest, RefusesWhatAreNoQuantiles) {
  const DriftDetectorKind* kind = FindDriftDetectorKind("psi").value();
  EXPECT_FALSE(kind->create(std::vector<double>{}, 0.25));
  EXPECT_FALSE(kind->create(std::vector<double>{2, 1}, 0.25));
  EXPECT_FALSE(kind->create(std::vector<double>{1, NAN}, 0.25));
  EXPECT_FALSE(kind->create(std::vector<double>{1, 2}, 0));
}

TEST(DriftDetectorKindsTest, EachHasANameOfItsOwnASummaryAndAReference) {
  std::set<std::string_view> names;
  for (const DriftDetectorKind& kind : DriftDetectorKinds()) {
    EXPECT_TRUE(names.insert(kind.name).second);
    EXPECT_FALSE(kind.summary.empty());
    EXPECT_FALSE(kind.reference.empty());
    EXPECT_EQ(FindDriftDetectorKind(kind.name).value(), &kind);
  }
  EXPECT_EQ(FindDriftDetectorKind("pis").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::learning
