#include "things/units.h"

#include <gtest/gtest.h>

namespace penstock::things {
namespace {

double Converted(double value, std::string_view from, std::string_view to) {
  const auto result = Convert(value, from, to);
  EXPECT_TRUE(result.has_value()) << from << " -> " << to << ": "
                                  << (result ? "" : result.error().ToString());
  return result.value_or(-1e300);
}

TEST(UnitsTest, ConvertTheQuantitiesOfAPlant) {
  EXPECT_DOUBLE_EQ(Converted(1, "bar", "Pa"), 1e5);
  EXPECT_DOUBLE_EQ(Converted(250, "mbar", "kPa"), 25);
  EXPECT_NEAR(Converted(1, "bar", "[psi]"), 14.503773773, 1e-8);
  EXPECT_DOUBLE_EQ(Converted(3.6, "m3/h", "L/s"), 1);
  EXPECT_DOUBLE_EQ(Converted(1, "kW.h", "J"), 3.6e6);
  EXPECT_DOUBLE_EQ(Converted(1, "kWh", "kW.h"), 1);
  EXPECT_DOUBLE_EQ(Converted(1500, "/min", "Hz"), 25);
  EXPECT_DOUBLE_EQ(Converted(7.9, "mm/s", "m/s"), 0.0079);
  EXPECT_DOUBLE_EQ(Converted(50, "%", "1"), 0.5);
  EXPECT_DOUBLE_EQ(Converted(2, "kN.m", "N.m"), 2000);
  EXPECT_DOUBLE_EQ(Converted(1, "kVA", "W"), 1000);
  EXPECT_DOUBLE_EQ(Converted(3, "V.A", "var"), 3);
  EXPECT_DOUBLE_EQ(Converted(5, "[ppm]", "10*-6"), 5);
  EXPECT_NEAR(Converted(180, "deg", "rad"), 3.14159265358979, 1e-12);
  EXPECT_DOUBLE_EQ(Converted(1, "Wb/A", "H"), 1);
  EXPECT_DOUBLE_EQ(Converted(1, "N/m2", "Pa"), 1);
}

TEST(UnitsTest, TemperatureScalesHaveAnOffsetOnlyWhenTheyStandAlone) {
  EXPECT_NEAR(Converted(100, "Cel", "[degF]"), 212, 1e-9);
  EXPECT_NEAR(Converted(-40, "[degF]", "Cel"), -40, 1e-9);
  EXPECT_DOUBLE_EQ(Converted(0, "Cel", "K"), 273.15);
  EXPECT_DOUBLE_EQ(Converted(2, "Cel/min", "K/min"), 2);
}

TEST(UnitsTest, DecibelsConvertAmongThemselves) {
  EXPECT_DOUBLE_EQ(Converted(30, "dB", "B"), 3);
  EXPECT_FALSE(Convert(30, "dB", "1").has_value());
  EXPECT_FALSE(Convert(30, "dB[SPL]", "dB").has_value());
  EXPECT_FALSE(ParseUnit("dB/s").has_value());
}

TEST(UnitsTest, AnnotationsCountAsOne) {
  EXPECT_DOUBLE_EQ(Converted(60, "{bottles}/min", "Hz"), 1);
  EXPECT_DOUBLE_EQ(Converted(7, "{pieces}", "1"), 7);
  EXPECT_FALSE(ParseUnit("{bottles").has_value());
}

TEST(UnitsTest, DimensionsMustAgree) {
  const auto wrong = Convert(1, "bar", "Cel");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().message, "cannot convert \"bar\" to \"Cel\": different dimensions");
}

TEST(UnitsTest, AWrongCodeIsAnsweredWithTheRightOne) {
  const auto fix = [](std::string_view code) { return ParseUnit(code).error().fix; };
  EXPECT_EQ(fix("°C"), "write the UCUM code \"Cel\"");
  EXPECT_EQ(fix("rpm"), "write the UCUM code \"/min\"");
  EXPECT_EQ(fix("psi"), "write the UCUM code \"[psi]\"");
  EXPECT_EQ(fix("ppm"), "write the UCUM code \"[ppm]\"");
  EXPECT_EQ(fix("baar"), "write a UCUM code; the nearest known one is \"bar\"");
}

TEST(UnitsTest, RefusesWhatIsNoTerm) {
  for (const char* code :
       {"/",  "m/",  "m..s", "m//s", "(m", "m)",      "m10",           "m0",
        "m-", "kk",  "0",    "m s",  "k",  "bar bar", "((((((m))))))", "1234567890123456",
        "[",  "m^3", "kmin", "\xff"})
    EXPECT_FALSE(ParseUnit(code).has_value()) << code;
  EXPECT_FALSE(ParseUnit(std::string(65, 'm')).has_value());
}

TEST(UnitsTest, AcceptsTheOddButLegal) {
  for (const char* code :
       {"", "1", "10*3/uL", "10^3", "m.s-2", "kg.m2/s3", "(kg.m)/s2", "/m3", "J/(kg.K)",
        "[in_i'H2O]", "m[H2O]", "dag", "1000/min", "mol/L", "uS/cm", "Cel{oil}", "[ft_i].[lbf_av]"})
    EXPECT_TRUE(ParseUnit(code).has_value()) << code;
}

TEST(UnitsTest, ArePrintedForPeople) {
  EXPECT_EQ(UnitForPeople("Cel"), "°C");
  EXPECT_EQ(UnitForPeople("m3/h"), "m³/h");
  EXPECT_EQ(UnitForPeople("N.m"), "N·m");
  EXPECT_EQ(UnitForPeople("/min"), "1/min");
  EXPECT_EQ(UnitForPeople("[psi]"), "psi");
  EXPECT_EQ(UnitForPeople("1"), "");
}

}  // namespace
}  // namespace penstock::things
