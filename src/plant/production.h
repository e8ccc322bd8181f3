// The plan of the line: shifts with a break each, products with change-overs between, and the small
// stops that every line has. It makes normal operation vary, so that an alarm has to tell a fault
// from a busy afternoon.
#pragma once

#include <span>
#include <string_view>

#include "base/random.h"
#include "plant/machine.h"

namespace penstock::plant {

struct ProductKind {
  int code;  // As the filler reports it.
  std::string_view name;
  double litres;     // Per bottle.
  double rate;       // Bottles per minute when all is well.
  double viscosity;  // mPa.s
  double density;    // kg/m3
  double load;       // On the carousel, relative to product 1.
};
std::span<const ProductKind> ProductKinds();

class Production {
 public:
  enum class Phase { kRun, kSmallStop, kChangeOver, kBreak };

  Production(const Random& seed, Time start);
  // Moves the plan to line.time and writes product, rate and what the pump shall do into `line`.
  void Step(LineState& line);
  Phase phase() const { return phase_; }

 private:
  void Enter(Phase phase, Time now);
  void PlanBreak(Time from);

  Random random_;
  size_t product_, next_product_;
  Phase phase_ = Phase::kRun;
  Time phase_ends_{}, product_changes_{}, next_small_stop_{}, next_change_over_{}, next_break_{},
      next_pace_{};
  double pace_ = 1;  // How fast the crew of the shift drives the line.
};

}  // namespace penstock::plant
