#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  if (!HasCounters(input, result)) return;
  const double good = input.produced->good, made = good + input.produced->reject;
  result.n = static_cast<uint64_t>(made);
  if (!Ratio(result, CountTerm(good, "good"), CountTerm(made, "produced"),
             "nothing was made in this time"))
    return;
  SetInterval(result, Wilson(good, made), 100);
}

}  // namespace

extern const KpiKind kpi_quality;
constexpr KpiKind kpi_quality = {"quality",
                                 "Quality ratio",
                                 "%",
                                 "Share of good pieces among all that were made.",
                                 "good quantity / produced quantity",
                                 "ISO 22400-2 quality ratio",
                                 "Wilson",
                                 true,
                                 Compute};

}  // namespace penstock::value
