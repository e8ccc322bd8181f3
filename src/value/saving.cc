#include "value/saving.h"

#include <cmath>

namespace penstock::value {
namespace {

constexpr uint64_t kFailuresMin = 3;
constexpr double kZ = 1.6448536269514722;  // 5 % on each side.

double Rate(const Downtime& d) { return d.hours / d.observed; }

// Of the hours per hour: n exponential repairs of mean m have sum n m and, n being Poisson,
// variance 2 n m^2.
double RateVariance(const Downtime& d) {
  if (d.failures == 0) return 0;
  const auto n = static_cast<double>(d.failures);
  return 2 * d.hours * d.hours / n / (d.observed * d.observed);
}

}  // namespace

Json Saving::ToJson() const {
  return {{"usecase", usecase},
          {"method", method},
          {"currency", currency},
          {"hours", NumberOrNull(hours)},
          {"low_hours", NumberOrNull(low_hours)},
          {"high_hours", NumberOrNull(high_hours)},
          {"amount", NumberOrNull(amount)},
          {"low", NumberOrNull(low)},
          {"high", NumberOrNull(high)},
          {"confidence", confidence},
          {"reason", reason}};
}

Saving ClaimSaving(const UseCase& use, const Downtime& before, const Downtime& after,
                   const std::optional<Downtime>& control_before,
                   const std::optional<Downtime>& control_after) {
  Saving saving{.usecase = use.name, .method = use.method};
  const auto price = use.value.find("unplanned_downtime");
  const auto refuse = [&](std::string why) {
    saving.reason = std::move(why);
    return saving;
  };
  if (use.method.empty()) return refuse("the use case names no method");
  if (price == use.value.end()) return refuse("no price for unplanned_downtime");
  saving.currency = price->second.currency;
  if (!(before.observed > 0)) return refuse("no baseline");
  if (!(after.observed > 0)) return refuse("nothing observed after the baseline");
  if (before.failures < kFailuresMin) {
    return refuse(fmt::format("only {} failures in the baseline, at least {} needed",
                              before.failures, kFailuresMin));
  }
  double change = Rate(before) - Rate(after);
  double variance = RateVariance(before) + RateVariance(after);
  if (use.method == "difference-in-differences") {
    if (!control_before || !control_after || !(control_before->observed > 0) ||
        !(control_after->observed > 0)) {
      return refuse("no observation of the controls");
    }
    change -= Rate(*control_before) - Rate(*control_after);
    variance += RateVariance(*control_before) + RateVariance(*control_after);
  }
  const double half = kZ * std::sqrt(variance) * after.observed;
  saving.hours = change * after.observed;
  saving.low_hours = *saving.hours - half;
  saving.high_hours = *saving.hours + half;
  saving.amount = *saving.hours * price->second.amount;
  saving.low = *saving.low_hours * price->second.amount;
  saving.high = *saving.high_hours * price->second.amount;
  return saving;
}

}  // namespace penstock::value
