#include "telemetry/window.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

// All statistics of a window by name.
class Computed {
 public:
  Computed(const PointWindow& window, double from, double to, std::vector<std::string> extra = {},
           int min = 3) {
    for (const auto name : FeatureStatistics())
      specs_.push_back(*FeatureSpec::Parse("p." + std::string(name)));
    for (const auto& name : extra) specs_.push_back(*FeatureSpec::Parse("p." + name));
    std::vector<const FeatureSpec*> pointers;
    for (const auto& spec : specs_) pointers.push_back(&spec);
    values_.resize(specs_.size());
    counts = window.Compute(At(from), At(to), pointers, min, values_);
  }
  double operator[](const std::string& name) const {
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].name() == "p." + name) return values_[i];
    }
    ADD_FAILURE() << name;
    return 0;
  }
  WindowCounts counts;

 private:
  std::vector<FeatureSpec> specs_;
  std::vector<double> values_;
};

void Feed(PointWindow& window, const Batch& batch) {
  Spectrum spectrum;
  window.Add(batch, 0, batch.size(), spectrum);
  window.CloseBurst(spectrum);
}

TEST(PointWindowTest, KnowsEveryStatisticOfAScalar) {
  PointWindow window(0, {});
  Batch batch;
  const double values[] = {1, 2, 3, 4, 10};
  for (int i = 0; i < 5; ++i) batch.Add(PointId{0}, At(i * 60), At(i * 60), values[i]);
  Feed(window, batch);
  const Computed f(window, 0, 300);
  EXPECT_EQ(f["count"], 5);
  EXPECT_DOUBLE_EQ(f["mean"], 4);
  EXPECT_EQ(f["min"], 1);
  EXPECT_EQ(f["max"], 10);
  EXPECT_EQ(f["range"], 9);
  EXPECT_EQ(f["last"], 10);
  EXPECT_DOUBLE_EQ(f["deviation"], std::sqrt(50.0 / 4));
  EXPECT_DOUBLE_EQ(f["rms"], std::sqrt(130.0 / 5));
  EXPECT_DOUBLE_EQ(f["crest"], 10 / std::sqrt(26.0));
  // m4 / m2^2 with m2 = 50/5, m4 = (81+16+1+0+1296)/5.
  EXPECT_DOUBLE_EQ(f["kurtosis"], (1394.0 / 5) / 100);
  // Least squares over minutes: sum (x - 2)(y - 4) / 10 = 20 / 10 per minute.
  EXPECT_DOUBLE_EQ(f["slope"], 2.0 * 60);
  EXPECT_EQ(f.counts.good, 5U);
  EXPECT_EQ(f.counts.first, At(0));
  EXPECT_EQ(f.counts.last, At(240));
}

TEST(PointWindowTest, BadAndStaleSamplesAreCountedButNotUsed) {
  PointWindow window(0, {});
  Batch batch;
  batch.Add(PointId{0}, At(0), At(0), 1);
  batch.Add(PointId{0}, At(1), At(1), 99, kBadSensorFailure);
  batch.Add(PointId{0}, At(2), At(2), 99, kUncertainLastUsableValue);
  batch.Add(PointId{0}, At(3), At(3), 2, kUncertainSubNormal);
  batch.Add(PointId{0}, At(4), At(4), 3);
  Feed(window, batch);
  const Computed f(window, 0, 10);
  EXPECT_EQ(f["max"], 3);
  EXPECT_EQ(f["count"], 3);
  EXPECT_EQ(f.counts.all, 5U);
}

TEST(PointWindowTest, TooFewGoodSamplesGiveNoNumber) {
  PointWindow window(0, {});
  Batch batch;
  batch.Add(PointId{0}, At(0), At(0), 1);
  batch.Add(PointId{0}, At(1), At(1), 1);
  Feed(window, batch);
  const Computed f(window, 0, 10);
  EXPECT_TRUE(std::isnan(f["mean"]));
  EXPECT_EQ(f["count"], 2);  // How many there were is known.
}

TEST(PointWindowTest, AConstantHasNoKurtosisAndAMomentHasNoSlope) {
  PointWindow window(0, {});
  Batch batch;
  for (int i = 0; i < 4; ++i) batch.Add(PointId{0}, At(1), At(1), 0.1);
  Feed(window, batch);
  const Computed f(window, 0, 10);
  EXPECT_TRUE(std::isnan(f["kurtosis"]));
  EXPECT_TRUE(std::isnan(f["slope"]));
  EXPECT_DOUBLE_EQ(f["mean"], 0.1);
}

TEST(PointWindowTest, LateSamplesTakeTheirPlaceAndOldOnesGo) {
  PointWindow window(0, {});
  Batch batch;
  for (const int t : {0, 20, 10, 30}) batch.Add(PointId{0}, At(t), At(40), t);
  Feed(window, batch);
  EXPECT_EQ(Computed(window, 5, 25, {}, 1)["last"], 20);
  window.Forget(At(15));
  EXPECT_FALSE(window.Has(At(0), At(15)));
  EXPECT_EQ(window.FirstAtOrAfter(At(0)), At(20));
}

TEST(PointWindowTest, WaveformsAreJudgedPerBurst) {
  PointWindow window(2048, {{120, 180}});
  Batch batch;
  for (int burst = 0; burst < 3; ++burst) {
    for (int i = 0; i < 2048; ++i) {
      const double phase = 2 * std::numbers::pi * 150 * i / 2048.0;
      batch.Add(PointId{0}, At(burst * 120 + i / 2048.0), At(burst * 120),
                5 + (burst + 1) * std::sin(phase));
    }
  }
  Feed(window, batch);
  const Computed f(window, 0, 600, {"band(120..180Hz)"});
  EXPECT_EQ(f.counts.good, 3U * 2048);
  EXPECT_NEAR(f["rms"], 2 / std::sqrt(2), 1e-9);  // The mean of 1, 2 and 3, without the offset.
  EXPECT_NEAR(f["band(120..180Hz)"], 2 / std::sqrt(2), 1e-6);
  EXPECT_NEAR(f["crest"], std::sqrt(2), 1e-3);
  EXPECT_NEAR(f["kurtosis"], 1.5, 1e-9);  // Of a sine.
  EXPECT_NEAR(f["mean"], 5, 1e-9);
  EXPECT_NEAR(f["range"], 6, 1e-3);
  EXPECT_NEAR(f["last"], 3 / std::sqrt(2), 1e-9);
  EXPECT_NEAR(f["slope"], 30 / std::sqrt(2), 1e-6);  // One more amplitude each two minutes.
  EXPECT_EQ(f.counts.last, At(240 + 2047 / 2048.0));
}

TEST(PointWindowTest, ABurstMayArriveInPieces) {
  PointWindow whole(1000, {}), pieces(1000, {});
  Spectrum spectrum;
  Batch batch;
  for (int i = 0; i < 1000; ++i) batch.Add(PointId{0}, At(i / 1000.0), At(1), std::sin(i * 0.1));
  whole.Add(batch, 0, 1000, spectrum);
  pieces.Add(batch, 0, 300, spectrum);
  pieces.Add(batch, 300, 1000, spectrum);
  whole.CloseBurst(spectrum);
  pieces.CloseBurst(spectrum);
  EXPECT_EQ(Computed(whole, 0, 10)["rms"], Computed(pieces, 0, 10)["rms"]);
}

TEST(PointWindowTest, OneBadSampleSpoilsItsBurst) {
  PointWindow window(100, {});
  Batch batch;
  for (int i = 0; i < 100; ++i)
    batch.Add(PointId{0}, At(i / 100.0), At(1), i, i == 50 ? kBad : kGood);
  Feed(window, batch);
  const Computed f(window, 0, 10);
  EXPECT_TRUE(std::isnan(f["rms"]));
  EXPECT_EQ(f.counts.good, 0U);
  EXPECT_EQ(f.counts.all, 100U);
}

}  // namespace
}  // namespace penstock::telemetry
