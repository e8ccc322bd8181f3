#include "base/number.h"

#include <gtest/gtest.h>

#include <limits>

namespace penstock {
namespace {

TEST(NumberTextTest, WritesWhatAnEngineerReads) {
  const std::pair<double, const char*> cases[] = {
      {14723.4, "14700"},   {14723, "14723"},    {-1001, "-1001"},     {1.47e4, "14700"},
      {-14723.4, "-14700"}, {7.9, "7.9"},        {0.931, "0.931"},     {3, "3"},
      {100, "100"},         {999.9, "1000"},     {0.00123, "0.00123"}, {0.0009996, "0.001"},
      {2.5e-5, "2.5e-05"},  {9.99e6, "9990000"}, {1e7, "1e+07"},       {0, "0"},
      {-0.0, "0"},          {0.5, "0.5"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(NumberText(value), text) << value;
  EXPECT_EQ(NumberText(14723.4, 4), "14720");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::quiet_NaN()), "missing");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::infinity()), "missing");
}

TEST(QuantityTextTest, LeavesOutTheUnitThatIsNone) {
  EXPECT_EQ(QuantityText(7.9, "mm/s"), "7.9 mm/s");
  EXPECT_EQ(QuantityText(2.94, "1"), "2.94");
  EXPECT_EQ(QuantityText(2.94, ""), "2.94");
}

}  // namespace
}  // namespace penstock
