// Shifts begin at 06, 14 and 22 h UTC; each has one break of 20 minutes after three and a half to
// four and a half hours. A product runs two to five hours, then the line is rinsed for ten to
// fifteen minutes and the next one begins. Small stops (a bottle fell) come every 25 minutes or so
// and last half a minute to two minutes. Night drives slower. All times are drawn from the seed.
#include "plant/production.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace penstock::plant {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<ProductKind, 3> kProducts = {{
    {1, "water", 0.5, 600, 1.0, 1000, 1.00},
    {2, "lemonade", 0.75, 420, 1.6, 1040, 1.12},
    {3, "syrup", 1.0, 260, 4.0, 1120, 1.30},
}};

Duration Between(Random& random, double low_s, double high_s) {
  return seconds(std::llround(random.Uniform(low_s, high_s)));
}

int ShiftAt(Time time) {  // 0 early, 1 late, 2 night
  const auto hour =
      std::chrono::floor<hours>(time - std::chrono::floor<std::chrono::days>(time)).count();
  return hour < 6 || hour >= 22 ? 2 : hour < 14 ? 0 : 1;
}

Time ShiftBegin(Time time) {
  const Time day = std::chrono::floor<std::chrono::days>(time - hours(6)) + hours(6);
  return day + std::chrono::floor<hours>(time - day) / hours(8) * hours(8);
}

}  // namespace

std::span<const ProductKind> ProductKinds() { return kProducts; }

Production::Production(const Random& seed, Time start)
    : random_(seed), product_(random_.Below(kProducts.size())), next_product_(product_) {
  PlanBreak(start);
  next_small_stop_ = start + Between(random_, 600, 2400);
  next_change_over_ = start + Between(random_, 3000, 12000);
  next_pace_ = start;
}

void Production::PlanBreak(Time from) {
  Time begin = ShiftBegin(from);
  do {
    next_break_ = begin + Between(random_, 3.5 * 3600, 4.5 * 3600);
    begin += hours(8);
  } while (next_break_ < from + minutes(45));
}

void Production::Enter(Phase phase, Time now) {
  phase_ = phase;
  switch (phase) {
    case Phase::kRun:
      break;
    case Phase::kSmallStop:
      phase_ends_ = now + Between(random_, 30, 120);
      break;
    case Phase::kBreak:
      phase_ends_ = now + minutes(20);
      PlanBreak(phase_ends_);
      break;
    case Phase::kChangeOver:
      phase_ends_ = now + Between(random_, 600, 900);
      next_product_ = (product_ + 1 + random_.Below(kProducts.size() - 1)) % kProducts.size();
      product_changes_ = now + minutes(5);  // The rest of the old one is rinsed out first.
      next_change_over_ = phase_ends_ + Between(random_, 2 * 3600, 5 * 3600);
      break;
  }
}

void Production::Step(LineState& line) {
  const Time now = line.time;
  if (phase_ != Phase::kRun && now >= phase_ends_) {
    Enter(Phase::kRun, now);
    next_small_stop_ = now + seconds(180) + seconds(std::llround(random_.Exponential(1320)));
  }
  if (phase_ == Phase::kRun) {
    if (now >= next_break_)
      Enter(Phase::kBreak, now);
    else if (now >= next_change_over_)
      Enter(Phase::kChangeOver, now);
    else if (now >= next_small_stop_)
      Enter(Phase::kSmallStop, now);
  }
  if (now >= product_changes_) product_ = next_product_;
  if (now >= next_pace_) {
    constexpr double kShift[] = {1.0, 0.985, 0.95};
    pace_ = random_.Uniform(0.93, 1.02) * kShift[ShiftAt(now)];
    next_pace_ = now + Between(random_, 600, 2400);
  }
  const ProductKind& product = kProducts[product_];
  line.product = product.code;
  line.litres = product.litres;
  line.viscosity = product.viscosity;
  line.density = product.density;
  line.load = product.load;
  line.rate_nominal = product.rate;
  line.rate_wanted = phase_ == Phase::kRun ? product.rate * pace_ : 0;
  line.pump_wanted = phase_ != Phase::kBreak;
  line.rinsing = phase_ == Phase::kChangeOver;
}

}  // namespace penstock::plant
