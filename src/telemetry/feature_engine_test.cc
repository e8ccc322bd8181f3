#include "telemetry/feature_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/random.h"
#include "telemetry/testing_site.h"

namespace penstock::telemetry {
namespace {

using std::chrono::minutes;

struct Collected {
  std::string schema;
  FeatureRow row;
};

// Two pumps, each with a pressure and a vibration.
class FeatureEngineTest : public testing::Test {
 protected:
  FeatureEngineTest() {
    for (const char* thing : {"pump-7", "pump-8"}) {
      pressure_.push_back(site_.Add(thing, "pressure").id);
      vibration_.push_back(site_.Add(thing, "vibration", things::ValueType::kWaveform, 1024).id);
    }
  }
  static FeatureSchema Schema(std::vector<std::string> names, minutes window = minutes(20),
                              minutes every = minutes(2)) {
    FeatureSchema schema;
    schema.window = window;
    schema.every = every;
    schema.min_samples = 3;
    for (const auto& name : names) schema.features.push_back(*FeatureSpec::Parse(name));
    return schema;
  }
  void Use(FeatureEngine& engine, const FeatureSchema& schema,
           std::vector<std::string> things = {"pump-7"}) {
    auto added = engine.AddSchema("faults", schema, *site_.Snapshot(), things);
    ASSERT_TRUE(added) << added.error().ToString();
    engine.OnRow([this](const std::string& name, FeatureRow&& row) {
      rows_.push_back({name, std::move(row)});
    });
  }
  static void Send(FeatureEngine& engine, PointId point, double at, double value,
                   Quality quality = kGood) {
    Batch batch;
    batch.Add(point, At(at), At(at), value, quality);
    engine.Observe(batch);
  }

  TestSite site_;
  std::vector<PointId> pressure_, vibration_;
  std::vector<Collected> rows_;
};

TEST_F(FeatureEngineTest, MakesARowAtEveryGridTimeOverTheWindowBefore) {
  FeatureEngine engine;
  Use(engine, Schema({"pressure.mean", "pressure.count", "pressure.last"}));
  for (int i = 0; i <= 60; ++i)
    Send(engine, pressure_[0], i * 60, i);  // One each minute; At(0) is on the grid.
  ASSERT_EQ(rows_.size(), 30U);
  EXPECT_EQ(rows_[0].row.at, At(120));
  EXPECT_TRUE(std::isnan(rows_[0].row.values[0]));  // Two samples: fewer than three.
  EXPECT_EQ(rows_[0].row.values[1], 2);
  const FeatureRow& last = rows_.back().row;
  EXPECT_EQ(last.at, At(3600));
  EXPECT_EQ(last.thing, "pump-7");
  EXPECT_EQ(last.values[1], 20);
  EXPECT_EQ(last.values[2], 59);  // The sample at the grid time belongs to the next row.
  EXPECT_DOUBLE_EQ(last.values[0], 49.5);
  EXPECT_TRUE(last.trace.valid());
  ASSERT_EQ(last.evidence.size(), 1U);
  EXPECT_EQ(last.evidence[0].good, 20U);
  EXPECT_EQ(last.evidence[0].first, At(2400));
  EXPECT_EQ(last.evidence[0].last, At(3540));
}

TEST_F(FeatureEngineTest, WaitsForTheSlowestPointButNotForEver) {
  FeatureEngine engine;
  Use(engine, Schema({"pressure.mean", "vibration.rms"}));
  for (int t = 0; t < 240; t += 30) Send(engine, pressure_[0], t, 5);
  EXPECT_TRUE(rows_.empty());  // The vibration has said nothing, and 210 s are less than 120 s and
                               // the lateness.
  Send(engine, pressure_[0], 240, 5);
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].row.at, At(120));
  EXPECT_EQ(rows_[0].row.values[0], 5);
  EXPECT_TRUE(std::isnan(rows_[0].row.values[1]));
  EXPECT_EQ(rows_[0].row.all_samples[1], 0U);
}

TEST_F(FeatureEngineTest, TheClockMakesTheRowsOfAThingThatFellSilent) {
  ManualClock clock(At(0));
  FeatureEngine engine(clock);
  Use(engine, Schema({"pressure.count"}, minutes(4)));
  for (int t = 0; t < 60; t += 10) Send(engine, pressure_[0], t, 5);
  clock.Set(At(239));
  engine.Advance();
  EXPECT_TRUE(rows_.empty());
  clock.Set(At(240));
  engine.Advance();
  EXPECT_EQ(rows_.size(), 1U);
  clock.Set(At(86'400));
  engine.Advance();
  EXPECT_EQ(rows_.size(), 2U);  // Then the window is empty: no rows about nothing.
  Send(engine, pressure_[0], 86'400, 5);
  clock.Set(At(86'400 + 300));
  engine.Advance();
  EXPECT_EQ(rows_.back().row.at, At(86'400 + 120));
}

TEST_F(FeatureEngineTest, ADeviceAheadOfTimeHurriesNobody) {
  ManualClock clock(At(0));
  FeatureEngine engine(clock);
  Use(engine, Schema({"pressure.count"}));
  Send(engine, pressure_[0], 0, 5);
  Send(engine, pressure_[0], 36'000, 5);
  EXPECT_TRUE(rows_.empty());
}

TEST_F(FeatureEngineTest, YearsBetweenTwoSamplesCostNothing) {
  FeatureEngine engine;
  Use(engine, Schema({"pressure.count"}));
  Send(engine, pressure_[0], 0, 5);
  Send(engine, pressure_[0], 20 * 365 * 86'400.0, 5);
  engine.Finish();
  EXPECT_EQ(rows_.size(), 10U);  // While the first sample was in the window.
}

TEST_F(FeatureEngineTest, LiveAndReplayedMakeTheSameRows) {
  Random random(4);
  std::vector<Batch> batches;
  for (int i = 0; i < 240; ++i) {
    Batch batch;
    const double t = i * 30;
    for (size_t pump = 0; pump < 2; ++pump) {
      batch.Add(pressure_[pump], At(t), At(t), random.Normal(5, 1),
                random.Chance(0.1) ? kBad : kGood);
      if (i % 4 != 0) continue;
      for (int k = 0; k < 1024; ++k)
        batch.Add(vibration_[pump], At(t + k / 1024.0), At(t), random.Normal());
    }
    batches.push_back(std::move(batch));
  }
  const auto schema = Schema(
      {"pressure.slope", "pressure.kurtosis", "vibration.rms", "vibration.band(100..200Hz)"});
  ManualClock clock(At(0));
  FeatureEngine live(clock), offline;
  Use(live, schema, {"pump-7", "pump-8"});
  for (size_t i = 0; i < batches.size(); ++i) {
    clock.Set(At(static_cast<double>(i) * 30 + 5));
    live.Observe(batches[i]);
  }
  const auto live_rows = std::exchange(rows_, {});
  Use(offline, schema, {"pump-7", "pump-8"});
  for (const auto& batch : batches) offline.Observe(batch);
  ASSERT_GT(live_rows.size(), 100U);
  ASSERT_EQ(rows_.size(), live_rows.size());
  for (size_t i = 0; i < rows_.size(); ++i) {
    EXPECT_EQ(rows_[i].row.at, live_rows[i].row.at);
    EXPECT_EQ(rows_[i].row.thing, live_rows[i].row.thing);
    for (size_t k = 0; k < schema.features.size(); ++k) {
      const double a = rows_[i].row.values[k], b = live_rows[i].row.values[k];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << i << " " << k;
    }
    EXPECT_EQ(rows_[i].row.good_samples, live_rows[i].row.good_samples);
  }
}

TEST_F(FeatureEngineTest, AReloadKeepsTheWindows) {
  FeatureEngine engine;
  const auto schema = Schema({"pressure.count"});
  Use(engine, schema);
  for (int t = 0; t < 60; t += 10) Send(engine, pressure_[0], t, 5);
  ASSERT_TRUE(engine.AddSchema("faults", schema, *site_.Snapshot(), {"pump-7", "pump-8"}));
  Send(engine, pressure_[0], 120, 5);
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_[0].row.values[0], 6);
}

TEST_F(FeatureEngineTest, SaysWhichFeatureDoesNotFit) {
  FeatureEngine engine;
  const auto snapshot = site_.Snapshot();
  auto missing =
      engine.AddSchema("a", Schema({"pressure.mean", "presure.mean"}), *snapshot, {"pump-7"});
  EXPECT_EQ(missing.error().pointer, "/features/1");
  EXPECT_EQ(missing.error().fix, "did you mean \"pressure\"?");
  auto scalar = engine.AddSchema("a", Schema({"pressure.band(1..2Hz)"}), *snapshot, {"pump-7"});
  EXPECT_EQ(scalar.error().code, Code::kInvalidArgument);
  auto above = engine.AddSchema("a", Schema({"vibration.band(100..600Hz)"}), *snapshot, {"pump-7"});
  EXPECT_NE(above.error().fix.find("512"), std::string::npos);
  EXPECT_EQ(engine.AddSchema("a", Schema({"pressure.mean"}), *snapshot, {"pump-9"}).error().code,
            Code::kNotFound);
}

TEST(ModelMatchesTest, PatternsOfModels) {
  EXPECT_TRUE(ModelMatches("pump@1.*", "pump@1.2"));
  EXPECT_TRUE(ModelMatches("*", "pump@1.2"));
  EXPECT_TRUE(ModelMatches("pump@1.2", "pump@1.2"));
  EXPECT_FALSE(ModelMatches("pump@1.*", "pump@2.0"));
  EXPECT_FALSE(ModelMatches("pump@1.*", "pumpkin@1.2"));
}

}  // namespace
}  // namespace penstock::telemetry
