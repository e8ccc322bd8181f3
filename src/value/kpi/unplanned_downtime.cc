#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

constexpr double kMonthHours = 30 * 24;

void Compute(const KpiInput& input, KpiValue& result) {
  result.n = input.Failures().size();
  const Duration known = input.Planned() + input.In(MachineState::kPlanned);
  if (!Ratio(result, HoursTerm(input.In(MachineState::kDown), "down"), HoursTerm(known, "observed"),
             "nothing is known of the machine in this time", kMonthHours)) {
    return;
  }
}

}  // namespace

extern const KpiKind kpi_unplanned_downtime;
constexpr KpiKind kpi_unplanned_downtime = {
    "unplanned_downtime",
    "Unplanned downtime",
    "h/month",
    "Hours of failure in a month of 30 days, at the present pace.",
    "down time / observed time x 720 h",
    "own",
    "",
    false,
    Compute};

}  // namespace penstock::value
