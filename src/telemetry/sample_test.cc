#include "telemetry/sample.h"

#include <gtest/gtest.h>

namespace penstock::telemetry {
namespace {

TEST(QualityTest, IsNamedAsOpcUaNamesIt) {
  EXPECT_EQ(QualityName(kGood), "Good");
  EXPECT_EQ(QualityName(kBadSensorFailure), "Bad_SensorFailure");
  EXPECT_EQ(QualityName(kUncertainLastUsableValue | 0x0480), "Uncertain_LastUsableValue");
  EXPECT_EQ(QualityName(0x80320000), "Bad_0x80320000");
}

TEST(BatchTest, AppendsColumnByColumn) {
  Batch a, b;
  a.Add(PointId{1}, FromMicros(1), FromMicros(2), 3.0);
  b.Add(PointId{2}, FromMicros(4), FromMicros(5), 6.0, kBad);
  a.Append(b);
  ASSERT_EQ(a.size(), 2U);
  EXPECT_EQ(a.point[1], PointId{2});
  EXPECT_EQ(a.source_time[1], FromMicros(4));
  EXPECT_EQ(a.quality[1], kBad);
  a.Clear();
  EXPECT_TRUE(a.empty());
}

}  // namespace
}  // namespace penstock::telemetry
