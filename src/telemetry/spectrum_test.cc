#include "telemetry/spectrum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/random.h"

namespace penstock::telemetry {
namespace {

constexpr double kRate = 2048;

std::vector<double> Tone(size_t n, double hz, double amplitude, double offset = 0) {
  std::vector<double> burst(n);
  for (size_t i = 0; i < n; ++i) {
    burst[i] =
        offset + amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / kRate);
  }
  return burst;
}

TEST(SpectrumTest, FindsAToneInItsBandAndNowhereElse) {
  Spectrum spectrum;
  spectrum.Analyse(Tone(2048, 150, 2, 7), 7, kRate);
  EXPECT_NEAR(spectrum.BandRms(120, 180), 2 / std::sqrt(2), 1e-9);
  EXPECT_NEAR(spectrum.BandRms(200, 1024), 0, 1e-9);
  EXPECT_NEAR(spectrum.BandRms(0, 100), 0, 1e-9);
}

TEST(SpectrumTest, EnergyIsThatOfTheWindowedSignalExactly) {
  Random random(3);
  for (const size_t n : {8U, 100U, 1000U, 2048U, 3000U}) {
    std::vector<double> burst(n);
    double windowed = 0, energy = 0;
    for (size_t i = 0; i < n; ++i) {
      burst[i] = random.Normal();
      const double w = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                            static_cast<double>(n));
      windowed += burst[i] * burst[i] * w * w;
      energy += w * w;
    }
    Spectrum spectrum;
    spectrum.Analyse(burst, 0, kRate);
    double sum = 0;
    for (const double power : spectrum.power()) sum += power;
    EXPECT_NEAR(sum, windowed / energy, 1e-9 * sum) << n;
  }
}

TEST(SpectrumTest, AgreesWithTheDefinitionOfTheTransform) {
  Random random(5);
  std::vector<double> burst(32);
  for (double& v : burst) v = random.Uniform(-1, 1);
  Spectrum spectrum;
  spectrum.Analyse(burst, 0, kRate);
  ASSERT_EQ(spectrum.power().size(), 17U);
  double energy = 0;
  for (size_t i = 0; i < 32; ++i)
    energy += std::pow(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / 32.0), 2);
  for (size_t k = 0; k <= 16; ++k) {
    std::complex<double> sum = 0;
    for (size_t i = 0; i < 32; ++i) {
      const double w = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / 32);
      sum +=
          burst[i] * w * std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(i * k) / 32);
    }
    const double twice = k == 0 || k == 16 ? 1 : 2;
    EXPECT_NEAR(spectrum.power()[k], twice * std::norm(sum) / (32 * energy), 1e-12) << k;
  }
}

TEST(SpectrumTest, BandsThatTouchAddUp) {
  Random random(9);
  std::vector<double> burst(2048);
  for (double& v : burst) v = random.Normal();
  Spectrum spectrum;
  spectrum.Analyse(burst, 0, kRate);
  const double low = spectrum.BandRms(0, 300), high = spectrum.BandRms(300, 1024.5);
  EXPECT_NEAR(std::sqrt(low * low + high * high), spectrum.BandRms(0, 1024.5), 1e-9);
  // White noise of deviation 1: about its share of the band.
  EXPECT_NEAR(spectrum.BandRms(0, 512), std::sqrt(0.5), 0.05);
}

TEST(SpectrumTest, TooShortABurstHasNoBands) {
  Spectrum spectrum;
  spectrum.Analyse(std::vector<double>(7, 1.0), 1, kRate);
  EXPECT_TRUE(std::isnan(spectrum.BandRms(0, 100)));
}

}  // namespace
}  // namespace penstock::telemetry
