// A centrifugal pump that feeds the filler bowl through a pasteuriser with a fixed return line.
//
// Hydraulics: the head follows the affinity laws, H = H0 (n/n0)^2 - a Q^2, and meets the system
// curve H = Hs + k Q^2. The speed is chosen so that the flow covers what the filler takes, and
// corrected by the bowl level.
//
// Suction: tank head less the loss in the strainer. The margin NPSHa - NPSHr decides on cavitation:
// a clogging strainer eats it, then the head falls, pressures flutter and vapour bubbles collapse
// in gusts of broadband noise.
//
// Bearing: nine balls, outer race damage gives 3.585 blows a turn that ring the housing at 720 Hz;
// heat follows with ten minutes. Late damage spreads and the blows drown in noise.
//
// Seal: a leak empties the seal pot, draws air (flutter) and warms the bearing a little.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

enum Row { kDischarge, kSuction, kFlow, kCurrent, kSpeed, kBearing, kSealPot, kRunning };
constexpr std::array<PointKind, 8> kPoints = {{
    {"discharge_pressure", "bar", Encoding::kFloat32, 0, -0.5, 16, 0.02},
    {"suction_pressure", "bar", Encoding::kFloat32, 0, -1, 5, 0.008},
    {"flow", "m3/h", Encoding::kUnsigned, 0.1, 0, 80, 0.25},
    {"motor_current", "A", Encoding::kUnsigned, 0.01, 0, 60, 0.06},
    {"motor_speed", "/min", Encoding::kUnsigned, 1, 0, 3600, 1.5},
    {"bearing_temperature", "Cel", Encoding::kSigned, 0.1, -20, 150, 0.06},
    {"seal_pot_level", "%", Encoding::kUnsigned, 0.1, 0, 100, 0.12},
    {"running", "", Encoding::kBoolean, 0, 0, 1, 0},
}};

enum Fault { kBearingWear, kCavitation, kSealLeak };
constexpr std::array<FaultKind, 3> kFaults = {{
    {"bearing_wear", "Outer race of the drive-end bearing spalls.", 2.0, 1.5, 4.0},
    {"cavitation", "The suction strainer clogs until the pump cavitates.", 1.5, 1.5, 4.0},
    {"seal_leak", "The mechanical seal loses its barrier fluid.", 1.5, 1.5, 4.0},
}};

constexpr double kRatedSpeed = 2950, kShutoffHead = 80,
                 kHeadLoss = 0.01125;  // /min, m, m per (m3/h)^2
constexpr double kStaticHead = 20, kSystemLoss = 0.02625, kReturnFlow = 15;  // m, -, m3/h
constexpr double kIdleFlow =
    26;  // Through the return line while nobody fills or the line is rinsed.
constexpr double kRampPerSecond = 50;  // /min per s

class Pump final : public Machine {
 public:
  explicit Pump(const Random& seed)
      : process_(seed.Fork("process")),
        burst_(seed.Fork("burst")),
        tank_(seed.Fork("tank"), 2400),
        noise_level_(seed.Fork("level"), 900),
        balance_(1 + 0.1 * process_.Normal()),
        seal_pot_(process_.Uniform(72, 86)) {}

  std::string_view name() const override { return "pump-7"; }
  std::span<const PointKind> points() const override { return kPoints; }
  std::span<const FaultKind> faults() const override { return kFaults; }
  int reports_per_interval() const override { return 2; }  // Polled.
  std::string_view waveform_property() const override { return "vibration_de"; }
  void Repaired() override { seal_pot_wanted_ = process_.Uniform(78, 86); }

  void Step(const Condition& condition, LineState& line) override {
    condition_ = condition;
    running_ = condition.available && line.pump_wanted;
    const double viscosity = line.rinsing ? 1 : line.viscosity;
    const double density = line.rinsing ? 1000 : line.density;
    Turn(line, viscosity);
    Suck(density);
    const double head = Deliver(viscosity, density);
    Draw(head, viscosity, density);
    Warm(line);
    LoseBarrierFluid();
    line.flow = flow_;
    line.pump_kw = kilowatts_;
  }

  double Value(size_t point) const override {
    switch (point) {
      case kDischarge:
        return discharge_;
      case kSuction:
        return suction_;
      case kFlow:
        return flow_shown_;
      case kCurrent:
        return current_;
      case kSpeed:
        return speed_;
      case kBearing:
        return bearing_;
      case kSealPot:
        return seal_pot_;
      default:
        return running_ ? 1 : 0;
    }
  }

  void Burst(std::span<double> out) override;

 private:
  void Turn(const LineState& line, double viscosity) {
    double wanted = 0;
    if (running_) {
      double flow = kIdleFlow;
      if (line.rate > 1)
        flow = line.rate * line.litres * 0.06 + kReturnFlow + 0.4 * (62 - line.bowl_level);
      flow = std::clamp(flow, 12.0, 48.0);
      wanted = kRatedSpeed *
               std::sqrt((kStaticHead + (kHeadLoss + SystemLoss(viscosity)) * flow * flow) /
                         kShutoffHead);
    }
    if (first_) speed_ = wanted;
    speed_ += std::clamp(wanted - speed_, -kRampPerSecond, kRampPerSecond);
  }

  static double SystemLoss(double viscosity) { return kSystemLoss * std::pow(viscosity, 0.12); }

  void Suck(double density) {
    tank_.Step();
    const double strainer = 0.22 * (1 + 10 * condition_.Of(kCavitation));
    const double flutter = 0.06 * condition_.Of(kSealLeak) + 0.05 * vapour_;
    const double turn = flow_ / 40;
    suction_ = 0.72 + 0.1 * std::clamp(tank_.value(), -2.0, 2.0) - strainer * turn * turn +
               flutter * process_.Normal() * std::min(1.0, turn);
    const double available = (suction_ + 1.013 - 0.03) * 1e5 / (density * 9.81);
    const double required = 1.5 + 3 * std::pow(turn, 1.5);
    vapour_ = flow_ < 5
                  ? 0
                  : Settle(vapour_, std::clamp((8 - (available - required)) / 8.5, 0.0, 1.0), 10);
  }

  double Deliver(double viscosity, double density) {
    const double ratio = speed_ / kRatedSpeed, leak = condition_.Of(kSealLeak);
    const double shutoff = kShutoffHead * ratio * ratio * (1 - 0.14 * vapour_ - 0.05 * leak);
    const double drive = (shutoff - kStaticHead) / (kHeadLoss + SystemLoss(viscosity));
    flow_ = Settle(flow_, drive > 0 ? std::sqrt(drive) : 0, first_ ? 1 : 3);
    const double head = std::max(0.0, shutoff - kHeadLoss * flow_ * flow_);
    const double spinning = std::min(1.0, ratio * 1.5);
    const double wobble = process_.Normal();
    discharge_ =
        suction_ + density * 9.81 * head / 1e5 + (0.14 * vapour_ + 0.09 * leak) * wobble * spinning;
    flow_shown_ =
        std::max(0.0, flow_ + (1.4 * vapour_ + 0.5 * leak) * spinning * process_.Normal());
    return head;
  }

  void Draw(double head, double viscosity, double density) {
    const double efficiency = 0.72 - 0.0003 * (flow_ - 40) * (flow_ - 40) - 0.015 * (viscosity - 1);
    const double hydraulic = density * 9.81 * flow_ * head / 3.6e6;
    const double friction =
        1 + 0.05 * condition_.Of(kBearingWear) + 0.02 * condition_.Of(kSealLeak);
    const double ratio = speed_ / kRatedSpeed;
    kilowatts_ =
        (hydraulic / std::max(0.3, efficiency) + 0.5 * ratio * ratio * ratio) / 0.9 * friction;
    current_ = kilowatts_ / (std::numbers::sqrt3 * 0.4 * 0.86) + (speed_ > 100 ? 1.2 : 0) +
               0.5 * vapour_ * process_.Normal();
    current_ = std::max(0.0, current_);
  }

  void Warm(const LineState& line) {
    const double ratio = speed_ / kRatedSpeed;
    double target = line.hall + 14 * ratio * ratio + 1.1 * kilowatts_;
    if (running_)
      target += 30 * condition_.Of(kBearingWear) + 6 * condition_.Of(kSealLeak) + 4 * vapour_;
    bearing_ = first_ ? target : Settle(bearing_, target, 600);
    first_ = false;
  }

  void LoseBarrierFluid() {
    const double leak = condition_.Of(kSealLeak);
    seal_pot_ -= (0.25 + (running_ ? 70 * leak : 0)) / 3600;
    if (leak == 0 && seal_pot_ < 60 && seal_pot_wanted_ == 0)
      seal_pot_wanted_ = process_.Uniform(76, 86);  // Somebody comes with the can.
    if (seal_pot_wanted_ > 0) seal_pot_ += 1;
    if (seal_pot_ >= seal_pot_wanted_) seal_pot_wanted_ = 0;
    seal_pot_ = std::max(0.0, seal_pot_);
    noise_level_.Step();
  }

  Random process_, burst_;
  Wander tank_, noise_level_;
  double balance_;                         // Residual unbalance, 1 = usual.
  double seal_pot_, seal_pot_wanted_ = 0;  // %; wanted above 0: being topped up to it.
  Condition condition_;
  bool running_ = false, first_ = true;
  double speed_ = 0, flow_ = 0, flow_shown_ = 0, suction_ = 0.5, discharge_ = 0;
  double vapour_ = 0;  // 0 none .. 1 fully cavitating
  double current_ = 0, kilowatts_ = 0, bearing_ = 20;
};

void Pump::Burst(std::span<double> out) {
  std::fill(out.begin(), out.end(), 0.0);
  const double turns = speed_ / 60 * (1 + 0.0005 * burst_.Normal()), ratio = speed_ / kRatedSpeed;
  const auto tone = [&](double multiple, double amplitude) {
    const double strength = amplitude * burst_.Normal(1, 0.06);  // Drawn in a stated order.
    AddTone(out, multiple * turns, strength, burst_.Uniform(0, 6.283));
  };
  if (ratio > 0.05) {
    const double square = ratio * ratio, wear = condition_.Of(kBearingWear),
                 leak = condition_.Of(kSealLeak);
    tone(1, 1.9 * balance_ * square * (1 + 0.3 * leak + 0.25 * wear));
    tone(2, 0.6 * square * (1 + 0.4 * leak));
    tone(3, 0.25 * square);
    tone(5, (0.55 + 0.02 * std::abs(flow_ - 40)) * square);  // Vane passing.
    AddTone(out, 100, 0.25, burst_.Uniform(0, 6.283));       // Twice the mains.
    const double noise = 0.45 * (1 + 0.12 * noise_level_.value()) * square;
    AddNoise(out, std::max(0.1, noise) * (1 + 1.6 * wear * wear), burst_);
    AddImpacts(out, {3.585 * turns, 720, 6, 15 * wear * ratio, 0.012, turns, 0.35}, burst_);
    if (vapour_ > 0.005) AddGusts(out, 4.2 * vapour_ * square, 0.4 + 0.4 * vapour_, burst_);
  }
  AddTone(out, 24.8, 0.06, burst_.Uniform(0, 6.283));  // The floor, from the gearbox beside it.
  AddNoise(out, 0.05, burst_);
  for (double& sample : out) sample = std::round(sample * 1000) / 1000;
}

}  // namespace

std::unique_ptr<Machine> MakePump(const Random& seed) { return std::make_unique<Pump>(seed); }

}  // namespace penstock::plant
