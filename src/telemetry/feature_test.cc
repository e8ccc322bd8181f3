#include "telemetry/feature.h"

#include <gtest/gtest.h>

namespace penstock::telemetry {
namespace {

Result<FeatureSchema> Read(const char* yaml) {
  auto document = ParseYaml(yaml);
  EXPECT_TRUE(document) << document.error().ToString();
  return FeatureSchema::FromJson(*document, "/features");
}

TEST(FeatureSpecTest, NamesReadBack) {
  for (const char* name : {"vibration_de.rms", "motor_current.slope",
                           "vibration_de.band(120..180Hz)", "vibration_de.band(0.5..2Hz)"}) {
    auto spec = FeatureSpec::Parse(name);
    ASSERT_TRUE(spec) << spec.error().ToString();
    EXPECT_EQ(spec->name(), name);
  }
}

TEST(FeatureSpecTest, SaysWhatIsWrong) {
  EXPECT_EQ(FeatureSpec::Parse("vibration_de.kurtosi").error().fix, "did you mean \"kurtosis\"?");
  EXPECT_NE(FeatureSpec::Parse("vibration_de").error().fix.find("POINT.STATISTIC"),
            std::string::npos);
  for (const char* band : {"v.band(180..120Hz)", "v.band(120..180)", "v.band(-1..2Hz)",
                           "v.band(..Hz)", "v.band(1..infHz)", "v.band("}) {
    EXPECT_FALSE(FeatureSpec::Parse(band)) << band;
  }
}

TEST(FeatureSchemaTest, ProductOfPointsAndStatistics) {
  auto schema = Read("{window: 20min, every: 2min, of: [a, b], take: [mean, 'band(1..2Hz)']}");
  ASSERT_TRUE(schema) << schema.error().ToString();
  ASSERT_EQ(schema->features.size(), 4U);
  EXPECT_EQ(schema->features[1].name(), "a.band(1..2Hz)");
  EXPECT_EQ(schema->window, std::chrono::minutes(20));
}

TEST(FeatureSchemaTest, EachPointWithItsOwnStatistics) {
  auto schema = Read("{window: 60s, of: {a: [mean], b: [rms, crest]}}");
  ASSERT_TRUE(schema) << schema.error().ToString();
  EXPECT_EQ(schema->features.size(), 3U);
  EXPECT_EQ(schema->every, std::chrono::seconds(60));
}

TEST(FeatureSchemaTest, WrittenSchemaReadsBackEqual) {
  auto schema =
      Read("{window: 20min, every: 2min, min_samples: 5, of: [a], take: [mean, 'band(0.5..2Hz)']}");
  ASSERT_TRUE(schema);
  auto again = FeatureSchema::FromJson(schema->ToJson());
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(*again, *schema);
}

TEST(FeatureSchemaTest, ErrorsNameThePlace) {
  EXPECT_EQ(Read("{window: 20min, of: [a], take: [mean, slop]}").error().pointer,
            "/features/take/1");
  EXPECT_EQ(Read("{window: 20min, of: [a], take: [mean, mean]}").error().pointer,
            "/features/take/1");
  EXPECT_EQ(Read("{window: 0s, of: [a], take: [mean]}").error().pointer, "/features/window");
  EXPECT_EQ(Read("{window: 1s, features: [a.mean], min_samples: 0}").error().pointer,
            "/features/min_samples");
  EXPECT_EQ(Read("{windw: 1s, features: [a.mean]}").error().fix, "did you mean \"window\"?");
  EXPECT_FALSE(Read("{window: 1s}"));
  EXPECT_FALSE(Read("{window: 1s, features: []}"));
  EXPECT_FALSE(Read("{window: 1s, of: [a]}"));
  EXPECT_FALSE(Read("{window: 1s, of: {a: [mean]}, take: [min]}"));
}

}  // namespace
}  // namespace penstock::telemetry
