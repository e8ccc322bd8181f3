#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

// Availability x performance x quality = running/planned x ideal/running x good/made = ideal time
// of the good pieces / planned time, computed as the product so that it agrees with the three
// beside it.
void Compute(const KpiInput& input, KpiValue& result) {
  double product = 1;
  for (const char* part : {"availability", "performance", "quality"}) {
    KpiValue factor;
    FindKpiKind(part)->compute(input, factor);
    if (!factor.value) {
      result.reason = fmt::format("no {}: {}", part, factor.reason);
      return;
    }
    product *= *factor.value / 100;
  }
  const double made = input.produced->good + input.produced->reject;
  result.n = static_cast<uint64_t>(made);
  result.numerator = HoursTerm(FromSeconds(input.produced->ideal_s * input.produced->good / made),
                               "at the ideal rate for the good pieces");
  result.denominator = HoursTerm(input.Planned(), "planned busy time");
  result.value = 100 * product;
}

}  // namespace

extern const KpiKind kpi_oee;
constexpr KpiKind kpi_oee = {"oee",
                             "Overall equipment effectiveness",
                             "%",
                             "Availability, performance and quality in one figure.",
                             "availability x effectiveness x quality ratio",
                             "ISO 22400-2 OEE index",
                             "",
                             true,
                             Compute};

}  // namespace penstock::value
