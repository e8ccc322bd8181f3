// The geared motor that turns the filler carousel, behind an inverter.
//
// Torque follows rate, bottle mass and the stickiness of cold oil; slip follows torque. The gear
// mesh (19 teeth) sings at 19 times the shaft's speed with sidebands. A misaligned coupling pulls
// twice a turn: 1x, 2x and 3x of the shaft rise with 2x in front, torque ripples, oil warms. A worn
// input bearing is hit by its balls 5.415 times a turn (inner race, so the blows swing with the
// shaft through the load zone) and rings the housing at 610 Hz; oil warms more, kurtosis rises,
// torque a little.
#include <algorithm>
#include <array>
#include <cmath>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

enum Row { kTorque, kSpeed, kOil, kSlip, kRunning };
constexpr std::array<PointKind, 5> kPoints = {{
    {"torque", "N.m", Encoding::kDouble, 0, -50, 600, 2.0},
    {"speed", "/min", Encoding::kDouble, 0, -10, 1800, 0.8},
    {"oil_temperature", "Cel", Encoding::kDouble, 0, -20, 130, 0.1},
    {"slip", "%", Encoding::kDouble, 0, 0, 10, 0.02},
    {"running", "", Encoding::kBoolean, 0, 0, 1, 0},
}};

enum Fault { kMisalignment, kBearingWear };
constexpr std::array<FaultKind, 2> kFaults = {{
    {"misalignment", "The coupling creeps out of line.", 1.7, 1.5, 4.0},
    {"bearing_wear", "Inner race of the input bearing spalls.", 2.0, 1.5, 4.0},
}};

constexpr double kRatedTorque = 320, kSlipAtRated = 3.0;  // N.m, %

class Gearbox final : public Machine {
 public:
  explicit Gearbox(const Random& seed)
      : process_(seed.Fork("process")),
        burst_(seed.Fork("burst")),
        load_(seed.Fork("load"), 300),
        noise_level_(seed.Fork("level"), 900),
        alignment_(std::abs(0.3 + 0.08 * process_.Normal())) {}

  std::string_view name() const override { return "gearbox-2"; }
  std::span<const PointKind> points() const override { return kPoints; }
  std::span<const FaultKind> faults() const override { return kFaults; }
  std::string_view waveform_property() const override { return "vibration"; }

  void Step(const Condition& condition, LineState& line) override {
    condition_ = condition;
    running_ = condition.available && line.rate_wanted > 0 && line.filler_available;
    const double wanted =
        running_ ? 1500 * std::clamp(0.55 + 0.42 * line.rate / line.rate_nominal, 0.55, 1.0) : 0;
    if (first_) synchronous_ = wanted;
    synchronous_ += std::clamp(wanted - synchronous_, -60.0, 60.0);
    load_.Step();
    noise_level_.Step();
    const double turning = synchronous_ / 1500, fraction = line.rate / line.rate_nominal;
    const double ripple = 9 * condition_.Of(kMisalignment) + 2 * condition_.Of(kBearingWear);
    const double stiff = 1 + 0.003 * std::clamp(45 - oil_, -20.0, 40.0);  // Cold oil.
    const double extra =
        1 + 0.05 * condition_.Of(kMisalignment) + 0.04 * condition_.Of(kBearingWear);
    mean_torque_ =
        turning < 0.02
            ? 0
            : (70 * turning + 120 * fraction * line.load + 3.5 * load_.value()) * stiff * extra;
    torque_ = mean_torque_ + (turning > 0.02 ? ripple * process_.Normal() : 0);
    slip_ =
        mean_torque_ / kRatedTorque * kSlipAtRated + 0.12 * condition_.Of(kMisalignment) * turning;
    speed_ = synchronous_ * (1 - slip_ / 100);
    kilowatts_ = mean_torque_ * speed_ / 9549 / 0.88 + (running_ ? 0.4 : 0.1);
    Warm(line, turning);
    line.gearbox_kw = kilowatts_;
  }

  double Value(size_t point) const override {
    switch (point) {
      case kTorque:
        return torque_;
      case kSpeed:
        return speed_;
      case kOil:
        return oil_;
      case kSlip:
        return slip_;
      default:
        return running_ ? 1 : 0;
    }
  }

  void Burst(std::span<double> out) override;

 private:
  void Warm(const LineState& line, double turning) {
    const double heat = 10 * condition_.Of(kMisalignment) + 15 * condition_.Of(kBearingWear);
    const double target =
        line.hall + 9 * turning + 18 * mean_torque_ / kRatedTorque + heat * turning;
    oil_ = first_ ? target : Settle(oil_, target, 1200);
    first_ = false;
  }

  Random process_, burst_;
  Wander load_, noise_level_;
  double alignment_;  // Residual, amplitude of 2x in mm/s.
  Condition condition_;
  bool running_ = false, first_ = true;
  double synchronous_ = 0, speed_ = 0, mean_torque_ = 0, torque_ = 0, slip_ = 0, oil_ = 40,
         kilowatts_ = 0;
};

void Gearbox::Burst(std::span<double> out) {
  std::fill(out.begin(), out.end(), 0.0);
  const double turns = speed_ / 60 * (1 + 0.0005 * burst_.Normal()), ratio = speed_ / 1470;
  const auto tone = [&](double multiple, double amplitude) {
    const double strength = amplitude * burst_.Normal(1, 0.07);  // Drawn in a stated order.
    AddTone(out, multiple * turns, strength, burst_.Uniform(0, 6.283));
  };
  if (ratio > 0.05) {
    const double off = condition_.Of(kMisalignment), wear = condition_.Of(kBearingWear);
    const double load = mean_torque_ / 200;
    tone(1, (0.9 + 2.2 * off) * ratio);
    tone(2, (alignment_ + 5.5 * off) * ratio);
    tone(3, (0.12 + 1.4 * off) * ratio);
    tone(19, 0.75 * load * (1 + 0.25 * wear));  // Gear mesh and its sidebands.
    tone(18, 0.16 * load * (1 + 1.5 * off));
    tone(20, 0.16 * load * (1 + 1.5 * off));
    tone(38, 0.2 * load);
    const double noise = 0.4 * (1 + 0.12 * noise_level_.value()) * ratio;
    AddNoise(out, std::max(0.08, noise) * (1 + 1.5 * wear * wear), burst_);
    AddImpacts(out, {5.415 * turns, 610, 6, 13 * wear * ratio, 0.012, turns, 0.8}, burst_);
  }
  AddTone(out, 43.5, 0.07, burst_.Uniform(0, 6.283));  // The floor, from the pump beside it.
  AddNoise(out, 0.04, burst_);
}

}  // namespace

std::unique_ptr<Machine> MakeGearbox(const Random& seed) { return std::make_unique<Gearbox>(seed); }

}  // namespace penstock::plant
