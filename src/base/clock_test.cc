#include "base/clock.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(TimeTest, PrintsMicrosecondsAndReadsThemBack) {
  const Time time = FromMicros(1769846400123456);
  EXPECT_EQ(FormatTime(time), "2026-01-31T08:00:00.123456Z");
  EXPECT_EQ(ParseTime(FormatTime(time)).value(), time);
}

TEST(TimeTest, TakesAnyOffsetAndFraction) {
  EXPECT_EQ(ParseTime("2026-01-31T10:30:00.5+02:30").value(),
            ParseTime("2026-01-31T08:00:00.500Z").value());
  EXPECT_EQ(ParseTime("2024-02-29 00:00:00.123456789Z").value(),
            ParseTime("2024-02-29T00:00:00.123456Z").value());
}

TEST(TimeTest, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026-13-01T00:00:00Z", "2023-02-29T00:00:00Z",
                           "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx", "1969-12-31T23:59:59Z",
                           "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z"})
    EXPECT_FALSE(ParseTime(text)) << text;
}

TEST(DurationTest, ReadsTheUnitsOfTheFiles) {
  using namespace std::chrono_literals;
  EXPECT_EQ(ParseDuration("250ms").value(), 250ms);
  EXPECT_EQ(ParseDuration("5min").value(), ParseDuration("5m").value());
  EXPECT_EQ(ParseDuration("1h30min").value(), 90min);
  EXPECT_EQ(ParseDuration("2y").value(), std::chrono::days(730));
  EXPECT_EQ(ParseDuration("0.5s").value(), 500ms);
}

TEST(DurationTest, RefusesUnitlessNegativeAndEndless) {
  for (const char* text : {"", "10", "-5s", "5 parsecs", "1e3s", "999999999999y"})
    EXPECT_FALSE(ParseDuration(text)) << text;
}

TEST(DurationTest, PrintsTheShortestForm) {
  using namespace std::chrono_literals;
  EXPECT_EQ(FormatDuration(5400s), "1h30min");
  EXPECT_EQ(FormatDuration(0s), "0s");
  EXPECT_EQ(ParseDuration(FormatDuration(90061s)).value(), 90061s);
}

TEST(ScaledClockTest, RunsFasterFromItsOrigin) {
  const Time origin = ParseTime("2026-03-01T06:00:00Z").value();
  const ScaledClock clock(origin, 3600, SystemClock().Now() - std::chrono::seconds(2));
  const double hours = ToSeconds(clock.Now() - origin) / 3600;
  EXPECT_GE(hours, 2.0);
  EXPECT_LT(hours, 60.0);
}

TEST(ManualClockTest, MovesOnlyWhenTold) {
  ManualClock clock(FromMicros(5));
  clock.Advance(Duration(7));
  EXPECT_EQ(ToMicros(clock.Now()), 12);
}

}  // namespace
}  // namespace penstock
