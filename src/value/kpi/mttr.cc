#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

// Only failures that are over: a repair that is going on has no length yet.
void Compute(const KpiInput& input, KpiValue& result) {
  Duration repairing{0};
  uint64_t repairs = 0, open = 0;
  for (const StateSpan* failure : input.Failures()) {
    if (failure->to >= input.to) {
      ++open;
      continue;
    }
    repairing += failure->length();
    ++repairs;
  }
  result.n = repairs;
  if (repairs == 0) {
    result.reason = open > 0 ? "the first repair is still going on" : "no failure in this time";
    return;
  }
  Ratio(result, HoursTerm(repairing, "down until restored"),
        CountTerm(static_cast<double>(repairs), "repairs"), "", 1);
  SetInterval(result, MeanDurationInterval(Hours(repairing), repairs));
}

}  // namespace

extern const KpiKind kpi_mttr;
constexpr KpiKind kpi_mttr = {"mttr",
                              "Mean time to restoration",
                              "h",
                              "How long a failure lasts until the machine runs again.",
                              "down time of finished failures / their number",
                              "ISO 22400-2 mean time to restoration",
                              "chi-square, exponential times",
                              false,
                              Compute};

}  // namespace penstock::value
