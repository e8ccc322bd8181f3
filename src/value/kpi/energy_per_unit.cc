#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  if (!HasCounters(input, result)) return;
  if (input.produced->energy_samples == 0) {
    result.reason = "no reading of an energy meter in this time";
    return;
  }
  const std::string unit = input.energy_unit.empty() ? "kWh" : input.energy_unit;
  result.unit = "W.h";
  const double scale = unit == "kWh" || unit == "kW.h" ? 1000 : 1;
  if (scale == 1) result.unit = unit;
  result.n = static_cast<uint64_t>(input.produced->good);
  Ratio(result,
        {input.produced->energy, unit, fmt::format("{:.2f} {}", input.produced->energy, unit)},
        CountTerm(input.produced->good, "good"), "no good piece in this time", scale);
}

}  // namespace

extern const KpiKind kpi_energy_per_unit;
constexpr KpiKind kpi_energy_per_unit = {"energy_per_unit",
                                         "Energy per good piece",
                                         "W.h",
                                         "Energy of the line for each good piece.",
                                         "energy / good quantity",
                                         "ISO 22400-2 energy consumption per unit",
                                         "",
                                         false,
                                         Compute};

}  // namespace penstock::value
