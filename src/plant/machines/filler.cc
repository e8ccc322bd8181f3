// An eight-nozzle filler with a bowl that the pump feeds, a carousel that the gearbox turns, and a
// checkweigher.
//
// The bowl holds 600 litres: when the pump stops it is empty after two minutes and the rate falls
// with it. Pressure before a nozzle follows rate, viscosity and bowl level, the same for all but
// for small differences of build. Sugar narrows one nozzle: its pressure rises, its bottles fill
// late, the carousel waits (rate falls) and the checkweigher rejects them; one of eight bottles
// goes through it, so at the very end one in nine is lost.
#include <algorithm>
#include <array>
#include <cmath>

#include "plant/machine.h"
#include "plant/signal.h"

namespace penstock::plant {
namespace {

constexpr size_t kNozzles = 8;
enum Row { kGood, kReject, kRate, kBowl, kProduct, kRunning, kFirstNozzle };
#define PENSTOCK_NOZZLE(name) \
  { name, "bar", Encoding::kText, 0.001, -0.2, 6, 0.012 }
constexpr std::array<PointKind, 14> kPoints = {{
    {"good_count", "1", Encoding::kInteger, 0, 0, 4294967295.0, 0},
    {"reject_count", "1", Encoding::kInteger, 0, 0, 4294967295.0, 0},
    {"rate", "/min", Encoding::kText, 0.1, 0, 900, 0},
    {"bowl_level", "%", Encoding::kText, 0.01, 0, 100, 0.15},
    {"product", "1", Encoding::kInteger, 0, 1, 3, 0},
    {"running", "", Encoding::kBoolean, 0, 0, 1, 0},
    PENSTOCK_NOZZLE("nozzle_1_pressure"),
    PENSTOCK_NOZZLE("nozzle_2_pressure"),
    PENSTOCK_NOZZLE("nozzle_3_pressure"),
    PENSTOCK_NOZZLE("nozzle_4_pressure"),
    PENSTOCK_NOZZLE("nozzle_5_pressure"),
    PENSTOCK_NOZZLE("nozzle_6_pressure"),
    PENSTOCK_NOZZLE("nozzle_7_pressure"),
    PENSTOCK_NOZZLE("nozzle_8_pressure"),
}};
#undef PENSTOCK_NOZZLE

enum Fault { kClogged };
constexpr std::array<FaultKind, 1> kFaults = {{
    {"clogged_nozzle", "One nozzle narrows; its bottles are underfilled.", 1.6, 1.5, 4.0},
}};

constexpr double kBowlLitres = 600, kReturnFlow = 15;

class Filler final : public Machine {
 public:
  explicit Filler(const Random& seed)
      : process_(seed.Fork("process")),
        weigher_(seed.Fork("weigher")),
        pressure_(seed.Fork("pressure"), 240) {
    for (double& offset : offsets_) offset = 0.025 * process_.Normal();
    good_ = 18'000'000 + static_cast<double>(process_.Below(900'000));
    rejects_ = std::floor(good_ * 0.0045);
  }

  std::string_view name() const override { return "filler-1"; }
  std::span<const PointKind> points() const override { return kPoints; }
  std::span<const FaultKind> faults() const override { return kFaults; }
  int reports_per_interval() const override { return 2; }
  void FaultBegins(int) override { clogged_ = process_.Below(kNozzles); }

  void Step(const Condition& condition, LineState& line) override {
    severity_ = condition.Of(kClogged);
    const bool may_run = condition.available && line.gearbox_available && line.rate_wanted > 0;
    double wanted = may_run ? line.rate_wanted * (1 - 0.07 * severity_) : 0;
    wanted *= std::clamp(bowl_ / 25, 0.0, 1.0);
    if (wanted < 20) wanted = 0;
    if (first_) rate_ = wanted;
    first_ = false;
    const double ramp = line.rate_nominal / 20;
    rate_ += std::clamp(wanted - rate_, -ramp, ramp);
    running_ = rate_ > 1;
    product_ = line.product;
    FillBowl(line);
    Weigh();
    Press(line);
    line.rate = rate_;
    line.bowl_level = bowl_;
  }

  double Value(size_t point) const override {
    switch (point) {
      case kGood:
        return good_;
      case kReject:
        return rejects_;
      case kRate:
        return rate_;
      case kBowl:
        return bowl_;
      case kProduct:
        return product_;
      case kRunning:
        return running_ ? 1 : 0;
      default:
        return nozzles_[point - kFirstNozzle];
    }
  }

 private:
  void FillBowl(const LineState& line) {
    // The inlet valve shuts while nothing is filled and the bowl is full enough.
    const bool shut = line.rinsing || (rate_ <= 1 && bowl_ >= 62);
    const double in = shut ? 0 : std::max(0.0, line.flow - kReturnFlow);
    const double out = rate_ * line.litres * 0.06;
    bowl_ = std::clamp(bowl_ + (in - out) / 3.6 / kBowlLitres * 100, 0.0, 100.0);
  }

  void Weigh() {
    bottles_ += rate_ / 60;
    const double chance = 0.004 + 0.85 * std::pow(severity_, 1.3) / kNozzles;
    for (; bottles_ >= 1; bottles_ -= 1) (weigher_.Chance(chance) ? rejects_ : good_) += 1;
  }

  void Press(const LineState& line) {
    pressure_.Step();
    const double fraction = rate_ / line.rate_nominal;
    const double common = 0.18 +
                          (1.2 * std::pow(line.viscosity, 0.08) + 0.02 * pressure_.value()) *
                              std::pow(fraction, 1.2) +
                          0.006 * (bowl_ - 62);
    for (size_t i = 0; i < kNozzles; ++i) {
      nozzles_[i] = common + offsets_[i] * fraction;
      if (i == clogged_) nozzles_[i] += severity_ * (0.9 + 0.1 * process_.Normal()) * fraction;
    }
  }

  Random process_, weigher_;
  Wander pressure_;
  std::array<double, kNozzles> offsets_{}, nozzles_{};
  size_t clogged_ = 0;
  double severity_ = 0, rate_ = 0, bowl_ = 62, bottles_ = 0, good_ = 0, rejects_ = 0;
  int product_ = 1;
  bool running_ = false, first_ = true;
};

}  // namespace

std::unique_ptr<Machine> MakeFiller(const Random& seed) { return std::make_unique<Filler>(seed); }

}  // namespace penstock::plant
