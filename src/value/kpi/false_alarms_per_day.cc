#include <algorithm>

#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  const auto wrong =
      static_cast<uint64_t>(std::ranges::count(input.alarms, Outcome::kWrong, OutcomeOf));
  const Duration known = input.Planned() + input.In(MachineState::kPlanned);
  const double days = ToSeconds(known) / 86'400;
  result.n = wrong;
  if (!Ratio(result, CountTerm(static_cast<double>(wrong), "alarms judged wrong"),
             {days, "d", fmt::format("{:.2f} days observed", days)},
             "nothing is known of the machine in this time", 1)) {
    return;
  }
  SetInterval(result, PoissonRateInterval(wrong, days));
}

}  // namespace

extern const KpiKind kpi_false_alarms_per_day;
constexpr KpiKind kpi_false_alarms_per_day = {
    "false_alarms_per_day",
    "False alarms per day",
    "/d",
    "Alarms that a human judged wrong, per day of operation.",
    "wrong alarms / observed days",
    "own",
    "Poisson (Garwood)",
    false,
    Compute};

}  // namespace penstock::value
