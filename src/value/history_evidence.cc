#include "value/history_evidence.h"

#include <algorithm>

namespace penstock::value {
namespace {

constexpr size_t kMinutesBack = 240;

// The usual distance of two minutes that hold samples, over the latest hours; 0 with too few of
// them.
Duration UsualInterval(const std::vector<storage::TrendBucket>& minutes) {
  std::vector<Duration> steps;
  for (size_t i = 1; i < minutes.size(); ++i)
    steps.push_back(minutes[i].from - minutes[i - 1].from);
  if (steps.size() < 5) return Duration(0);
  const auto middle = steps.begin() + static_cast<ptrdiff_t>(steps.size() / 2);
  std::ranges::nth_element(steps, middle);
  return *middle;
}

}  // namespace

Result<PointCoverage> HistoryEvidence::Coverage(const std::string& point, Time from,
                                                Time to) const {
  PointCoverage coverage;
  const auto snapshot = directory_.snapshot();
  if (const things::Point* known = snapshot ? snapshot->FindPoint(point) : nullptr) {
    coverage.known = true;
    coverage.contract = known->contract;
  }
  const std::string paths[] = {point};
  ASSIGN_OR_RETURN(const auto rows, history_.CoverageOf(paths, from, to));
  if (rows.empty() || rows[0].count == 0) return coverage;
  coverage.samples = rows[0].count;
  coverage.bad = rows[0].bad;
  coverage.minutes_present = rows[0].minutes_present;
  coverage.first = rows[0].first;
  coverage.last = rows[0].last;
  const Time end = std::chrono::floor<std::chrono::minutes>(rows[0].last) + std::chrono::minutes(1);
  ASSIGN_OR_RETURN(
      const auto minutes,
      history_.Trend(point, end - std::chrono::minutes(kMinutesBack), end, kMinutesBack));
  coverage.report_interval = UsualInterval(minutes);
  return coverage;
}

}  // namespace penstock::value
