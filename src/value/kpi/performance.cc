#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  if (!HasCounters(input, result)) return;
  if (!(input.produced->ideal_s > 0)) {
    result.reason = input.produced->good + input.produced->reject > 0
                        ? "no ideal rate for what was made"
                        : "nothing was made in this time";
    return;
  }
  const Duration ideal = FromSeconds(input.produced->ideal_s);
  result.n = static_cast<uint64_t>(input.produced->good + input.produced->reject);
  Ratio(result, HoursTerm(ideal, "at the ideal rate for what was made"),
        HoursTerm(input.In(MachineState::kRunning), "running"),
        "the machine did not run in this time");
}

}  // namespace

extern const KpiKind kpi_performance;
constexpr KpiKind kpi_performance = {
    "performance",
    "Performance",
    "%",
    "Speed while running, against the ideal rate of each product.",
    "planned run time per item x produced quantity / actual production time",
    "ISO 22400-2 effectiveness",
    "",
    true,
    Compute};

}  // namespace penstock::value
