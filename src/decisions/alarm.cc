#include "decisions/alarm.h"

#include <array>

namespace penstock::decisions {
namespace {

constexpr std::array<std::string_view, 7> kStateNames = {"normal",
                                                         "active_unacknowledged",
                                                         "active_acknowledged",
                                                         "cleared_unacknowledged",
                                                         "shelved",
                                                         "suppressed",
                                                         "out_of_service"};

constexpr std::array<std::string_view, 6> kVerdictNames = {
    "true_fault", "known_or_planned", "sensor_fault", "false_alarm", "mode_change", "unsure"};

Json TimeOrNull(const std::optional<Time>& time) {
  return time ? Json(FormatTime(*time)) : Json(nullptr);
}

}  // namespace

std::string_view AlarmStateName(AlarmState state) {
  return kStateNames.at(static_cast<size_t>(state));
}
std::string_view VerdictKindName(VerdictKind kind) {
  return kVerdictNames.at(static_cast<size_t>(kind));
}

Result<VerdictKind> ParseVerdictKind(std::string_view name) {
  for (size_t i = 0; i < kVerdictNames.size(); ++i)
    if (kVerdictNames[i] == name) return static_cast<VerdictKind>(i);
  auto error = InvalidArgument("no such verdict: \"{}\"", name.substr(0, 40));
  error.error().At("/kind").Fix(
      "true_fault, known_or_planned, sensor_fault, false_alarm, mode_change or unsure");
  return error;
}

Json ToJson(const Verdict& verdict) {
  return {{"kind", VerdictKindName(verdict.kind)},
          {"code", verdict.code},
          {"note", verdict.note},
          {"actor", verdict.actor},
          {"at", FormatTime(verdict.at)}};
}

Json ToJson(const inference::Contribution& c) {
  return {{"feature", c.feature},
          {"value", c.value},
          {"unit", c.unit},
          {"normal_low", c.normal_low},
          {"normal_high", c.normal_high},
          {"contribution", c.contribution}};
}

Json Alarm::ToJson() const {
  Json reasons = Json::array();
  for (const auto& c : because) reasons.push_back(decisions::ToJson(c));
  return {{"id", id},
          {"trace", trace.ToString()},
          {"thing", thing},
          {"asset", asset},
          {"cause", cause},
          {"title", title},
          {"consequence", consequence},
          {"response", response},
          {"respond_within_s", ToSeconds(respond_within)},
          {"priority", static_cast<int>(priority)},
          {"state", AlarmStateName(state)},
          {"raised", FormatTime(raised)},
          {"last_change", FormatTime(last_change)},
          {"acknowledged_at", TimeOrNull(acknowledged_at)},
          {"acknowledged_by", acknowledged_by},
          {"cleared_at", TimeOrNull(cleared_at)},
          {"shelved_until", TimeOrNull(shelved_until)},
          {"seen_at", TimeOrNull(seen_at)},
          {"confidence", confidence},
          {"confidence_low", confidence_low},
          {"confidence_high", confidence_high},
          {"model", model},
          {"because", std::move(reasons)},
          {"suppressed_while", suppressed_while},
          {"superseded_by", superseded_by.empty() ? Json(nullptr) : Json(superseded_by)},
          {"verdict", verdict ? decisions::ToJson(*verdict) : Json(nullptr)}};
}

}  // namespace penstock::decisions
