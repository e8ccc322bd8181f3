#include <algorithm>

#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  const auto count = [&](Outcome outcome) {
    return static_cast<uint64_t>(std::ranges::count(input.alarms, outcome, OutcomeOf));
  };
  const uint64_t right = count(Outcome::kRight), judged = right + count(Outcome::kWrong);
  result.n = judged;
  if (!Ratio(result, CountTerm(static_cast<double>(right), "alarms that were right"),
             CountTerm(static_cast<double>(judged), "alarms with a verdict"),
             input.alarms.empty() ? "no alarm in this time"
                                  : "no alarm of this time has a verdict yet",
             1)) {
    return;
  }
  SetInterval(result, ClopperPearson(right, judged));
}

}  // namespace

extern const KpiKind kpi_alarm_precision;
constexpr KpiKind kpi_alarm_precision = {
    "alarm_precision",
    "Alarm precision",
    "1",
    "Share of the judged alarms that told the truth; unsure ones are left out.",
    "right alarms / judged alarms",
    "own",
    "Clopper-Pearson",
    true,
    Compute};

}  // namespace penstock::value
