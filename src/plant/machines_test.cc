#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

struct Shape {
  double rms = 0, kurtosis = 0;
};

Shape ShapeOf(std::span<const double> samples) {
  double mean = 0, second = 0, fourth = 0;
  const auto count = static_cast<double>(samples.size());
  for (const double x : samples) mean += x / count;
  for (const double x : samples) {
    const double square = (x - mean) * (x - mean);
    second += square / count;
    fourth += square * square / count;
  }
  return {std::sqrt(second), fourth / second / second};
}

// Power of the samples in a band, by direct correlation.
double BandPower(std::span<const double> samples, int from_hz, int to_hz) {
  double power = 0;
  for (int f = from_hz; f <= to_hz; ++f) {
    double re = 0, im = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const double angle = 2 * M_PI * f * static_cast<double>(i) / kSampleRateHz;
      re += samples[i] * std::cos(angle);
      im += samples[i] * std::sin(angle);
    }
    power += 2 * (re * re + im * im) / std::pow(static_cast<double>(samples.size()), 2);
  }
  return power;
}

int FaultRow(const Machine& machine, std::string_view name) {
  for (size_t i = 0; i < machine.faults().size(); ++i)
    if (machine.faults()[i].name == name) return static_cast<int>(i);
  ADD_FAILURE() << name;
  return -1;
}

// A machine held at one severity for three hours of full production, then the mean of twenty
// bursts.
class Held {
 public:
  Held(std::unique_ptr<Machine> machine, std::string_view fault, double severity)
      : machine_(std::move(machine)) {
    if (!fault.empty()) condition_.fault = FaultRow(*machine_, fault);
    condition_.severity = severity;
    line_.rate_wanted = line_.rate = 570;
    line_.rate_nominal = 600;
    line_.flow = 33;
    if (condition_.fault >= 0) machine_->FaultBegins(condition_.fault);
    Step(3 * 3600);
  }
  void Step(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      line_.bowl_level = 62;
      machine_->Step(condition_, line_);
    }
  }
  double Value(std::string_view property) const {
    for (size_t i = 0; i < machine_->points().size(); ++i)
      if (machine_->points()[i].property == property) return machine_->Value(i);
    ADD_FAILURE() << property;
    return 0;
  }
  double Mean(std::string_view property, int seconds = 600) {
    double sum = 0;
    for (int i = 0; i < seconds; ++i, Step(1)) sum += Value(property);
    return sum / seconds;
  }
  std::vector<double> Burst() {
    std::vector<double> samples(kBurstSamples);
    machine_->Burst(samples);
    return samples;
  }
  Shape MeanShape() {
    Shape mean;
    for (int i = 0; i < 20; ++i, Step(60)) {
      const Shape shape = ShapeOf(Burst());
      mean.rms += shape.rms / 20;
      mean.kurtosis += shape.kurtosis / 20;
    }
    return mean;
  }
  LineState& line() { return line_; }

 private:
  std::unique_ptr<Machine> machine_;
  Condition condition_;
  LineState line_;
};

TEST(SignalTest, AToneHasItsFrequencyAndAmplitude) {
  std::vector<double> samples(kBurstSamples);
  AddTone(samples, 100, 2, 0.3);
  EXPECT_NEAR(samples[0], 2 * std::sin(0.3), 1e-9);
  EXPECT_NEAR(ShapeOf(samples).rms, std::sqrt(2), 1e-6);
  EXPECT_NEAR(BandPower(samples, 100, 100), 2, 1e-6);
}

TEST(SignalTest, ImpactsPeakAtTheirAmplitudeAndRingTheResonance) {
  std::vector<double> samples(kBurstSamples);
  Random random(1);
  AddImpacts(samples, {20, 700, 6, 5, 0, 0, 0}, random);
  const double peak = *std::max_element(samples.begin(), samples.end());
  EXPECT_GT(peak, 3.5);
  EXPECT_LT(peak, 8);
  EXPECT_GT(BandPower(samples, 600, 800), 3 * BandPower(samples, 200, 400));
  EXPECT_GT(ShapeOf(samples).kurtosis, 8);
}

TEST(PumpTest, BearingWearRaisesRmsKurtosisBandAndHeat) {
  double rms = 0, kurtosis = 0, band = 0, heat = 0;
  for (const double severity : {0.0, 0.2, 0.45, 0.8}) {
    Held pump(MakePump(Random(5)), "bearing_wear", severity);
    const Shape shape = pump.MeanShape();
    const double power = BandPower(pump.Burst(), 600, 840);
    EXPECT_GT(shape.rms, rms * 1.05) << severity;
    EXPECT_GT(shape.kurtosis, kurtosis + 0.1) << severity;
    EXPECT_GT(power, 2 * band) << severity;
    EXPECT_GT(pump.Value("bearing_temperature"), heat + 2) << severity;
    rms = shape.rms, kurtosis = shape.kurtosis, band = power,
    heat = pump.Value("bearing_temperature");
  }
}

TEST(PumpTest, EarlyWearHidesInNormalOperation) {
  Held healthy(MakePump(Random(5)), "", 0), early(MakePump(Random(5)), "bearing_wear", 0.04);
  EXPECT_NEAR(early.MeanShape().rms / healthy.MeanShape().rms, 1, 0.05);
  EXPECT_NEAR(early.Value("bearing_temperature"), healthy.Value("bearing_temperature"), 2);
}

TEST(PumpTest, ACloggedStrainerEatsTheSuctionUntilThePumpCavitates) {
  Held healthy(MakePump(Random(5)), "", 0), clogged(MakePump(Random(5)), "cavitation", 0.9);
  EXPECT_LT(clogged.Mean("suction_pressure"), healthy.Mean("suction_pressure") - 0.5);
  EXPECT_LT(clogged.Mean("discharge_pressure"), healthy.Mean("discharge_pressure") - 0.3);
  EXPECT_GT(BandPower(clogged.Burst(), 400, 900), 5 * BandPower(healthy.Burst(), 400, 900));
}

TEST(PumpTest, ALeakingSealEmptiesThePot) {
  Held healthy(MakePump(Random(5)), "", 0), leaking(MakePump(Random(5)), "seal_leak", 0.3);
  EXPECT_GT(healthy.Value("seal_pot_level"), 70);
  EXPECT_LT(leaking.Value("seal_pot_level"), 30);
  EXPECT_LT(leaking.Mean("discharge_pressure"), healthy.Mean("discharge_pressure"));
}

TEST(PumpTest, FollowsTheAffinityLaws) {
  Held quick(MakePump(Random(5)), "", 0), slow(MakePump(Random(5)), "", 0);
  slow.line().rate = 300;
  slow.Step(600);
  EXPECT_LT(slow.Value("motor_speed"), quick.Value("motor_speed"));
  EXPECT_LT(slow.Value("flow"), quick.Value("flow"));
  EXPECT_LT(slow.Value("motor_current"), quick.Value("motor_current"));
}

TEST(GearboxTest, MisalignmentShowsAtTwiceTheSpeed) {
  Held healthy(MakeGearbox(Random(5)), "", 0), off(MakeGearbox(Random(5)), "misalignment", 0.5);
  const int twice = static_cast<int>(std::lround(off.Value("speed") / 30));
  EXPECT_GT(BandPower(off.Burst(), twice - 2, twice + 2),
            10 * BandPower(healthy.Burst(), twice - 2, twice + 2));
  EXPECT_GT(off.MeanShape().rms, 1.8 * healthy.MeanShape().rms);
  EXPECT_GT(off.Value("oil_temperature"), healthy.Value("oil_temperature") + 3);
}

TEST(GearboxTest, BearingWearRaisesKurtosisAndOilTemperature) {
  double kurtosis = 0, oil = 0;
  for (const double severity : {0.0, 0.25, 0.6}) {
    Held gearbox(MakeGearbox(Random(5)), "bearing_wear", severity);
    const Shape shape = gearbox.MeanShape();
    EXPECT_GT(shape.kurtosis, kurtosis + 0.3) << severity;
    EXPECT_GT(gearbox.Value("oil_temperature"), oil + 1) << severity;
    kurtosis = shape.kurtosis, oil = gearbox.Value("oil_temperature");
  }
}

TEST(FillerTest, OneCloggedNozzleStandsOutAndIsRejected) {
  Held healthy(MakeFiller(Random(5)), "", 0), clogged(MakeFiller(Random(5)), "clogged_nozzle", 0.6);
  int high = 0;
  for (int i = 1; i <= 8; ++i) {
    const std::string nozzle = fmt::format("nozzle_{}_pressure", i);
    if (clogged.Mean(nozzle, 60) > healthy.Mean(nozzle, 60) + 0.2) ++high;
  }
  EXPECT_EQ(high, 1);
  EXPECT_GT(clogged.Value("reject_count"), healthy.Value("reject_count") + 500);
  EXPECT_LT(clogged.Value("rate"), healthy.Value("rate") - 10);
}

TEST(MachinesTest, EveryKindOfFaultIsDescribedOnce) {
  std::vector<std::string> seen;
  for (const auto& machine : {MakePump(Random(1)), MakeGearbox(Random(1)), MakeFiller(Random(1))})
    for (const FaultKind& kind : machine->faults()) {
      seen.push_back(fmt::format("{}/{}", machine->name(), kind.name));
      EXPECT_TRUE(kind.summary.ends_with('.')) << seen.back();
      EXPECT_GE(kind.life_hours_min, 1.5);
      EXPECT_LE(kind.life_hours_max, 4);
    }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(seen.size(), 6u);
}

}  // namespace
}  // namespace penstock::plant
