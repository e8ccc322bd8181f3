// The meter on the feeder: pump, gearbox and what else the hall draws: a compressor that cycles,
// light, and heating or cooling by the weather. The power factor falls when motors idle.
#include <algorithm>
#include <array>
#include <cmath>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

enum Row { kPower, kEnergy, kFactor };
constexpr std::array<PointKind, 3> kPoints = {{
    {"active_power", "kW", Encoding::kText, 0.01, 0, 120, 0.12},
    {"energy", "kW.h", Encoding::kText, 0.001, 0, 99999999, 0},
    {"power_factor", "1", Encoding::kText, 0.001, 0, 1, 0.004},
}};

class EnergyMeter final : public Machine {
 public:
  explicit EnergyMeter(const Random& seed)
      : random_(seed.Fork("compressor")),
        rest_(seed.Fork("rest"), 600),
        energy_(random_.Uniform(2e5, 9e5)) {}

  std::string_view name() const override { return "energy-meter-1"; }
  std::span<const PointKind> points() const override { return kPoints; }
  int reports_per_interval() const override { return 2; }

  void Step(const Condition&, LineState& line) override {
    rest_.Step();
    if (--compressor_s_ <= 0) {
      compressor_on_ = !compressor_on_;
      const double busy = line.rate > 1 ? 1.0 : 0.3;
      compressor_s_ =
          static_cast<int>(random_.Uniform(120, 260) * (compressor_on_ ? busy : 2 - busy));
    }
    const double air = compressor_on_ ? 11.0 : 2.5;
    const double hall = 5.5 + 0.3 * std::abs(line.ambient - 18) + 0.4 * rest_.value();
    const double carousel = line.rate > 1 ? 2.8 : 0.6;
    power_ = std::max(0.5, line.pump_kw + line.gearbox_kw + air + hall + carousel);
    energy_ += power_ / 3600;
    factor_ = std::clamp(0.80 + 0.13 * std::min(1.0, power_ / 35), 0.0, 0.99);
  }

  double Value(size_t point) const override {
    return point == kPower ? power_ : point == kEnergy ? energy_ : factor_;
  }

 private:
  Random random_;
  Wander rest_;
  double energy_, power_ = 30, factor_ = 0.9;
  bool compressor_on_ = false;
  int compressor_s_ = 0;
};

}  // namespace

std::unique_ptr<Machine> MakeEnergyMeter(const Random& seed) {
  return std::make_unique<EnergyMeter>(seed);
}

}  // namespace penstock::plant
