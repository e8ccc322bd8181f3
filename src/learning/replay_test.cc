#include "learning/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace penstock::learning {
namespace {

TEST(SeriesTest, ReadsColumnsByTheirHeader) {
  const Series series =
      ParseSeries(
          "datetime;a;b;anomaly;changepoint\r\n2020-03-09 10:00:00;1.5; 2 ;0.0;1.0\r\n"
          "2020-03-09 10:00:01;;x;1.0;0.0\n")
          .value();
  EXPECT_EQ(series.columns, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(series.rows.size(), 2U);
  EXPECT_EQ(series.rows[0], (std::vector<double>{1.5, 2}));
  EXPECT_TRUE(std::isnan(series.rows[1][0]) && std::isnan(series.rows[1][1]));
  EXPECT_EQ(series.anomaly, (std::vector<bool>{false, true}));
  EXPECT_EQ(series.times[1], "2020-03-09 10:00:01");
}

TEST(SeriesTest, SaysWhereItIsBroken) {
  EXPECT_EQ(ParseSeries("a,b\n1,2\n3\n").error().message, "line 3 has 1 columns, the header 2");
  EXPECT_NE(ParseSeries("a,b\n1,2\n3\n").error().fix.find("line 3 as empty ones"),
            std::string::npos);
  EXPECT_NE(ParseSeries("a,b\n1,2,3\n").error().fix.find("give line 2 2 cells"), std::string::npos);
  EXPECT_EQ(ParseSeries("alone\n1\n").error().code, Code::kInvalidArgument);
  EXPECT_FALSE(ParseSeries("alone\n1\n").error().fix.empty());
  EXPECT_EQ(ParseSeries("time,label\n1,2\n").error().code, Code::kInvalidArgument);
  EXPECT_EQ(ReadSeries("/nowhere/x.csv").error().code, Code::kNotFound);
}

Series WithAnomaly(size_t from, size_t to) {
  Random random(1);
  Series series;
  series.columns = {"pressure", "flow"};
  for (size_t i = 0; i < 1500; ++i) {
    const bool anomaly = i >= from && i < to;
    series.rows.push_back({random.Normal(), random.Normal() + (anomaly ? 2 : 0)});
    series.anomaly.push_back(anomaly);
  }
  return series;
}

TEST(ReplayTest, FindsTheAnomalyAndScoresItself) {
  const ReplayReport report = ReplayDetector(WithAnomaly(900, 1100), {}).value();
  EXPECT_EQ(report.judged, 1100U);
  EXPECT_GT(report.recall(), 0.9);
  EXPECT_GT(report.f1(), 0.85);
  const auto alarm = std::find_if(report.alarms.begin(), report.alarms.end(),
                                  [](const ReplayAlarm& a) { return a.to > 910; });
  ASSERT_NE(alarm, report.alarms.end());
  EXPECT_NEAR(static_cast<double>(alarm->from), 903, 8);
  EXPECT_EQ(alarm->because[0].first, "flow");
  EXPECT_EQ(report.ToJson()["score"]["f1"], report.f1());
}

TEST(ReplayTest, WithoutLabelsThereIsNoScore) {
  Series series = WithAnomaly(900, 1100);
  series.anomaly.clear();
  EXPECT_FALSE(ReplayDetector(series, {}).value().ToJson().contains("score"));
}

TEST(ReplayTest, PoolsCounts) {
  ReplayReport pooled = ReplayDetector(WithAnomaly(900, 1100), {}).value();
  const size_t before = pooled.true_positive;
  pooled.Add(ReplayDetector(WithAnomaly(600, 1400), {}).value());
  EXPECT_GT(pooled.true_positive, before);
  EXPECT_EQ(pooled.judged, 2200U);
}

TEST(ReplayTest, NeedsMoreThanItTrainsOn) {
  Series series = WithAnomaly(0, 0);
  series.rows.resize(400);
  EXPECT_EQ(ReplayDetector(series, {}).error().message,
            "400 rows, of which the first 400 are to learn from");
  EXPECT_FALSE(ReplayDetector(WithAnomaly(0, 0), {.kind = "oracle"}));
}

}  // namespace
}  // namespace penstock::learning
