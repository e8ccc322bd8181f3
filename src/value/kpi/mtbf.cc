#include "value/kpi/terms.h"

namespace penstock::value {
namespace {

void Compute(const KpiInput& input, KpiValue& result) {
  const Duration running = input.In(MachineState::kRunning);
  const uint64_t failures = input.Failures().size();
  result.n = failures;
  if (running <= Duration(0)) {
    result.reason = "the machine did not run in this time";
    return;
  }
  if (failures == 0) {
    // One-sided: with a longer mean than this, no failure is still what 5 % of such times would
    // show.
    result.numerator = HoursTerm(running, "running");
    result.denominator = CountTerm(0, "failures");
    result.low = 2 * Hours(running) / ChiSquareQuantile(0.95, 2);
    result.reason =
        fmt::format("no failure in {:.1f} h; the mean is above {:.1f} h with 95 % confidence",
                    Hours(running), *result.low);
    return;
  }
  Ratio(result, HoursTerm(running, "running"), CountTerm(static_cast<double>(failures), "failures"),
        "", 1);
  SetInterval(result, MeanTimeInterval(Hours(running), failures));
}

}  // namespace

extern const KpiKind kpi_mtbf;
constexpr KpiKind kpi_mtbf = {"mtbf",
                              "Mean operating time between failures",
                              "h",
                              "How long it runs from failure to failure.",
                              "operating time / failures",
                              "ISO 22400-2 mean operating time between failures",
                              "chi-square, exponential times",
                              true,
                              Compute};

}  // namespace penstock::value
