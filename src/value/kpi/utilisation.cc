#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  const Duration running = input.In(MachineState::kRunning),
                 busy = running + input.In(MachineState::kIdle);
  Ratio(result, HoursTerm(running, "running"),
        HoursTerm(busy, "busy: running or idle, neither down nor planned"),
        "the machine was not busy in this time");
}

}  // namespace

extern const KpiKind kpi_utilisation;
constexpr KpiKind kpi_utilisation = {"utilisation",
                                     "Utilisation efficiency",
                                     "%",
                                     "Share of the time it could run in which it did run.",
                                     "actual production time / actual unit busy time",
                                     "ISO 22400-2 utilization efficiency",
                                     "",
                                     true,
                                     Compute};

}  // namespace penstock::value
