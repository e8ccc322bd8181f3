#include "value/kpis.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace penstock::value {
namespace {

// Buckets of production begin at whole steps, so a time that cuts one begins with the next.
Time BucketCeil(Time time) {
  const int64_t step = Production::kBucket.count(), micros = ToMicros(time);
  return FromMicros((micros + step - 1) / step * step);
}
Time BucketFloor(Time time) {
  const int64_t step = Production::kBucket.count();
  return FromMicros(ToMicros(time) / step * step);
}

std::string Text(double value) {
  if (value == 0) return "0";
  const double magnitude = std::abs(value);
  return magnitude >= 100  ? fmt::format("{:.0f}", value)
         : magnitude >= 10 ? fmt::format("{:.1f}", value)
                           : fmt::format("{:.2f}", value);
}

// Figures of a running clock creep all the time; told is what a person would see.
bool Differs(const std::optional<double>& a, const std::optional<double>& b) {
  if (a.has_value() != b.has_value()) return true;
  return a && Text(*a) != Text(*b);
}

Json EventOf(const StateSpan& span) {
  return {{"from", FormatTime(span.from)},
          {"to", FormatTime(span.to)},
          {"state", MachineStateName(span.state)},
          {"reason", span.reason},
          {"alarm", span.alarm.empty() ? Json() : Json(span.alarm)}};
}

Json EventOf(const AlarmFact& fact) {
  const Outcome outcome = OutcomeOf(fact);
  return {{"alarm", fact.id},
          {"thing", fact.thing},
          {"cause", fact.cause},
          {"title", fact.title},
          {"trace", fact.trace},
          {"raised", FormatTime(fact.raised)},
          {"verdict", fact.verdict ? Json(decisions::VerdictKindName(*fact.verdict)) : Json()},
          {"actor", fact.actor},
          {"counts_as", outcome == Outcome::kRight   ? "right"
                        : outcome == Outcome::kWrong ? "wrong"
                                                     : "not judged"}};
}

}  // namespace

Result<std::unique_ptr<Kpis>> Kpis::Open(storage::Records& records, const Clock& clock,
                                         AlarmFacts& facts, const States& states,
                                         const Production& production) {
  TRY(records.Migrate("value_kpis", {{1, R"sql(
    CREATE TABLE value_kpis (
      asset TEXT NOT NULL, name TEXT NOT NULL, value REAL, previous REAL, at INTEGER NOT NULL,
      PRIMARY KEY (asset, name)) WITHOUT ROWID;
  )sql"}}));
  return std::unique_ptr<Kpis>(new Kpis(records, clock, facts, states, production));
}

Result<KpiInput> Kpis::InputOf(const std::string& asset, std::optional<Time> from,
                               std::optional<Time> to) const {
  const auto file = states_.FileOf(asset);
  if (!file) {
    auto error = NotFound("no KPI file names the asset {}", asset);
    error.error().Fix("add a file for it to kpis/, or ask for one of its machines");
    return error;
  }
  const Time now = clock_.Now();
  KpiInput input;
  input.asset = asset;
  const auto things = states_.ThingsOf(asset);
  input.is_line = asset == file->asset || asset == file->name;
  input.to = to && *to < now ? BucketFloor(*to) : now;
  input.from = from.value_or(input.to - file->period);
  const auto begin = states_.Begin(asset);
  // Before the first sample there is nothing to be known.
  input.from = begin && input.from <= *begin ? *begin : BucketCeil(input.from);
  if (input.from >= input.to) input.from = input.to;
  ASSIGN_OR_RETURN(input.spans, states_.List(asset, input.from, input.to));
  input.alarms = facts_.Raised(things, input.from, input.to);
  if (input.is_line && !file->good.empty()) {
    input.produced = production_.Sum(file->name, BucketFloor(input.from), input.to);
  }
  return input;
}

KpiValue Kpis::Fill(const KpiKind& kind, const KpiInput& input) const {
  KpiValue value;
  value.name = kind.name;
  value.title = kind.title;
  value.unit = kind.unit;
  value.asset = input.asset;
  value.formula = kind.formula;
  value.reference = kind.reference;
  value.interval = kind.interval;
  value.from = input.from;
  value.to = input.to;
  kind.compute(input, value);
  value.previous = Previous(input.asset, kind.name);
  return value;
}

// A machine is known by its path and by its thing's name; the records know the one, a line by its
// path.
std::string Kpis::KeyOf(const std::string& asset) const {
  const auto file = states_.FileOf(asset);
  const auto things = states_.ThingsOf(asset);
  if (!file || things.empty()) return asset;
  return asset == file->asset || asset == file->name ? file->asset : things.front();
}

std::optional<double> Kpis::Previous(const std::string& asset, std::string_view name) const {
  const auto rows = records_.Query("SELECT previous FROM value_kpis WHERE asset = ? AND name = ?",
                                   {KeyOf(asset), std::string(name)});
  if (!rows || rows->empty() || (*rows)[0].IsNull(0)) return std::nullopt;
  return (*rows)[0].Real(0);
}

Result<std::vector<KpiValue>> Kpis::Compute(const std::string& asset, std::optional<Time> from,
                                            std::optional<Time> to) const {
  std::vector<std::string> assets = {asset};
  if (asset.empty()) {
    assets.clear();
    for (const auto& file : states_.files()) assets.push_back(file->asset);
  }
  std::vector<KpiValue> values;
  for (const auto& each : assets) {
    ASSIGN_OR_RETURN(const KpiInput input, InputOf(each, from, to));
    for (const KpiKind* kind : KpiKinds()) values.push_back(Fill(*kind, input));
  }
  return values;
}

Result<KpiValue> Kpis::ComputeOne(const std::string& name, const std::string& asset,
                                  std::optional<Time> from, std::optional<Time> to) const {
  const KpiKind* kind = FindKpiKind(name);
  if (kind == nullptr) {
    std::vector<std::string> names;
    for (const KpiKind* known : KpiKinds()) names.emplace_back(known->name);
    auto error = NotFound("KPI unknown: {}", name);
    const std::string nearest = Nearest(name, names);
    error.error().Fix(nearest.empty() ? fmt::format("one of {}", fmt::join(names, ", "))
                                      : fmt::format("did you mean \"{}\"?", nearest));
    return error;
  }
  ASSIGN_OR_RETURN(const KpiInput input, InputOf(asset, from, to));
  return Fill(*kind, input);
}

Result<Json> Kpis::Events(const std::string& name, const std::string& asset,
                          std::optional<Time> from, std::optional<Time> to) const {
  ASSIGN_OR_RETURN(const KpiValue value, ComputeOne(name, asset, from, to));
  ASSIGN_OR_RETURN(const KpiInput input, InputOf(asset, from, to));
  Json items = Json::array();
  if (name == "alarm_precision" || name == "false_alarms_per_day") {
    for (const auto& fact : input.alarms) items.push_back(EventOf(fact));
  } else if (name == "mttr" || name == "mtbf" || name == "unplanned_downtime") {
    for (const auto* failure : input.Failures()) items.push_back(EventOf(*failure));
  } else {
    for (const auto& span : input.spans) items.push_back(EventOf(span));
  }
  return Json{{"kpi", value.ToJson()}, {"items", std::move(items)}, {"next", nullptr}};
}

void Kpis::Observe(const decisions::Alarm& alarm) {
  if (auto put = facts_.Put(alarm); !put)
    LogError("KPIs: alarm {} not kept: {}", alarm.id, put.error().ToString());
}

Result<std::vector<KpiValue>> Kpis::CompareAndStore(const std::string& asset) {
  ASSIGN_OR_RETURN(auto values, Compute(asset));
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT name, value FROM value_kpis WHERE asset = ?", {asset}));
  std::vector<KpiValue> changed;
  for (auto& value : values) {
    const auto row = std::ranges::find(rows, value.name, [](const auto& r) { return r.Text(0); });
    std::optional<double> before;
    if (row != rows.end() && !row->IsNull(1)) before = row->Real(1);
    if (row != rows.end() && !Differs(before, value.value)) continue;
    value.previous = before;
    storage::SqlValue now = nullptr, was = nullptr;
    if (value.value) now = *value.value;
    if (before) was = *before;
    TRY(records_.Run("INSERT OR REPLACE INTO value_kpis VALUES (?, ?, ?, ?, ?)",
                     {asset, value.name, now, was, ToMicros(clock_.Now())}));
    if (row != rows.end() || value.value) changed.push_back(std::move(value));
  }
  return changed;
}

std::vector<KpiValue> Kpis::Changed(const decisions::Alarm& alarm) {
  Observe(alarm);
  const auto file = states_.FileOf(alarm.thing);
  if (!file) return {};
  std::vector<KpiValue> changed;
  {
    const std::lock_guard lock(change_mutex_);
    for (const auto& asset : {file->asset, alarm.thing}) {
      auto compared = CompareAndStore(asset);
      if (!compared) {
        LogError("KPIs of {}: {}", asset, compared.error().ToString());
        continue;
      }
      // Told are the line's; a machine's are only kept for `previous`.
      if (asset == file->asset) changed = *std::move(compared);
    }
  }
  if (!changed.empty()) {
    for (const auto& listener : listeners_) listener(changed);
  }
  return changed;
}

void Kpis::OnChange(Listener listener) { listeners_.push_back(std::move(listener)); }

std::string Summary(const std::vector<KpiValue>& changed) {
  std::string summary;
  for (const auto& value : changed) {
    if (!summary.empty()) summary += ", ";
    const std::string unit = value.unit == "1" ? "" : " " + value.unit;
    summary += value.value ? fmt::format("{} {}{}", value.name, Text(*value.value), unit)
                           : fmt::format("{} not known", value.name);
    if (value.n > 0 && value.n < 100 && value.low && value.high) {
      summary += fmt::format(" [{}, {}]", Text(*value.low), Text(*value.high));
    }
    if (value.previous) summary += fmt::format(" (was {})", Text(*value.previous));
  }
  return summary;
}

}  // namespace penstock::value
