#include "value/kpi/kind.h"

#include <algorithm>
#include <array>

namespace penstock::value {

#define KPI(name) extern const KpiKind kpi_##name;
#include "value/kpi/kinds.def"
#undef KPI

namespace {
constexpr std::array kKinds = {
#define KPI(name) &kpi_##name,
#include "value/kpi/kinds.def"
#undef KPI
};

Json Number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json ToJson(const std::optional<KpiTerm>& term) {
  if (!term) return Json();
  return {{"value", term->value}, {"unit", term->unit}, {"text", term->text}};
}

}  // namespace

std::span<const KpiKind* const> KpiKinds() { return kKinds; }

const KpiKind* FindKpiKind(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &KpiKind::name);
  return found == kKinds.end() ? nullptr : *found;
}

Json KpiValue::ToJson() const {
  return {{"name", name},
          {"title", title},
          {"asset", asset},
          {"unit", unit},
          {"value", Number(value)},
          {"low", Number(low)},
          {"high", Number(high)},
          {"confidence", confidence},
          {"numerator", value::ToJson(numerator)},
          {"denominator", value::ToJson(denominator)},
          {"n", n},
          {"formula", formula},
          {"reference", reference},
          {"interval", interval},
          {"reason", reason},
          {"from", FormatTime(from)},
          {"to", FormatTime(to)},
          {"previous", Number(previous)}};
}

Duration KpiInput::In(MachineState state) const {
  Duration sum{0};
  for (const auto& span : spans) {
    if (span.state == state) sum += span.length();
  }
  return sum;
}

Duration KpiInput::Planned() const {
  return In(MachineState::kRunning) + In(MachineState::kIdle) + In(MachineState::kDown);
}

std::vector<const StateSpan*> KpiInput::Failures() const {
  std::vector<const StateSpan*> failures;
  for (const auto& span : spans) {
    if (span.state != MachineState::kDown) continue;
    // Pieces of one stop (cut by the calendar, or running for a moment within) are one failure only
    // when they touch.
    if (!failures.empty() && failures.back()->to == span.from) continue;
    failures.push_back(&span);
  }
  return failures;
}

}  // namespace penstock::value
