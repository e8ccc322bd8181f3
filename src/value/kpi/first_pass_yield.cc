#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

// Every piece is inspected once and a reject leaves the line, so all good pieces are good at the
// first pass.
void Compute(const KpiInput& input, KpiValue& result) {
  if (!HasCounters(input, result)) return;
  const double good = input.produced->good, inspected = good + input.produced->reject;
  result.n = static_cast<uint64_t>(inspected);
  if (!Ratio(result, CountTerm(good, "good at the first pass"), CountTerm(inspected, "inspected"),
             "nothing was inspected in this time")) {
    return;
  }
  SetInterval(result, Wilson(good, inspected), 100);
}

}  // namespace

extern const KpiKind kpi_first_pass_yield;
constexpr KpiKind kpi_first_pass_yield = {"first_pass_yield",
                                          "First pass yield",
                                          "%",
                                          "Share of inspected pieces that were good without "
                                          "rework; without rework it equals the quality ratio.",
                                          "good parts / inspected parts",
                                          "ISO 22400-2 first pass yield",
                                          "Wilson",
                                          true,
                                          Compute};

}  // namespace penstock::value
