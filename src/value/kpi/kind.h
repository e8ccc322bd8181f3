// One kind of KPI as a row: what it is called, its formula, and the function that fills it in.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "value/production.h"
#include "value/stops.h"

namespace penstock::value {

struct KpiTerm {
  double value = 0;
  std::string unit, text;
};

// A figure with everything needed to doubt it. No data: `value` is empty and `reason` says why.
struct KpiValue {
  std::string name, title, asset, unit;
  std::optional<double> value, low, high;  // low..high at `confidence`; each may be missing.
  double confidence = 0.9;
  std::optional<KpiTerm> numerator, denominator;
  uint64_t n = 0;  // Events behind it.
  std::string formula, reference, interval, reason;
  Time from{}, to{};
  std::optional<double> previous;  // Before the last change that a verdict made.
  Json ToJson() const;
};

// What the kinds compute from: all of one asset over one time.
struct KpiInput {
  std::string asset;
  bool is_line = false;
  Time from, to;
  std::vector<StateSpan> spans;
  std::optional<Produced> produced;  // Only for a line with counters.
  std::string energy_unit;
  std::vector<AlarmFact> alarms;  // Raised in the time, of the asset's things.

  Duration In(MachineState state) const;
  Duration Planned() const;  // Planned busy time: all but planned and unknown.
  std::vector<const StateSpan*> Failures() const;
};

struct KpiKind {
  std::string_view name;       // "mttr"
  std::string_view title;      // "Mean time to repair"
  std::string_view unit;       // "h", "%", "1", "kWh"
  std::string_view summary;    // One sentence.
  std::string_view formula;    // As shown: "down time / failures"
  std::string_view reference;  // "ISO 22400-2 MTTR", or "own"
  std::string_view
      interval;  // How low and high come about; "" = none, with the reason in the summary.
  bool higher_is_better;
  void (*compute)(const KpiInput& input, KpiValue& result);
};

std::span<const KpiKind* const> KpiKinds();
const KpiKind* FindKpiKind(std::string_view name);

}  // namespace penstock::value
