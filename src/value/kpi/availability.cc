#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  const Duration planned = input.Planned();
  result.n = input.Failures().size();
  Ratio(result, HoursTerm(input.In(MachineState::kRunning), "running"),
        HoursTerm(planned, "planned busy time"),
        "no time in which the machine was known and planned to run");
}

}  // namespace

// Idle time counts against it as well as failures, so no interval follows from the failures alone.
extern const KpiKind kpi_availability;
constexpr KpiKind kpi_availability = {"availability",
                                      "Availability",
                                      "%",
                                      "Share of the planned busy time in which the machine ran.",
                                      "actual production time / planned busy time",
                                      "ISO 22400-2 availability",
                                      "",
                                      true,
                                      Compute};

}  // namespace penstock::value
