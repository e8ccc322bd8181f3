#include "value_flow.h"

#include <algorithm>

#include "base/log.h"

namespace penstock {

namespace {

// The model in use, as a gate asks for it.
Result<std::optional<value::ModelFacts>> FactsOf(const inference::Scorer& scorer,
                                                 const std::string& name) {
  const auto model = scorer.ModelOf(name);
  if (model == nullptr) return std::nullopt;
  value::ModelFacts facts;
  facts.name = name;
  facts.version = model->version();
  facts.rows = model->card().rows;
  facts.trained_at = model->card().trained_at;
  for (const auto& [metric, number] : model->card().metrics.items())
    if (number.is_number()) facts.metrics[metric] = number.get<double>();
  return facts;
}

}  // namespace

ValueFlow::ValueFlow(const Parts& parts) : parts_(parts) {}
ValueFlow::~ValueFlow() = default;

Result<std::unique_ptr<ValueFlow>> ValueFlow::Open(const Parts& parts) {
  std::unique_ptr<ValueFlow> flow(new ValueFlow(parts));
  ASSIGN_OR_RETURN(flow->facts_, value::AlarmFacts::Open(parts.records));
  ASSIGN_OR_RETURN(flow->states_, value::States::Open(parts.records, parts.clock, *flow->facts_));
  ASSIGN_OR_RETURN(flow->production_, value::Production::Open(parts.records));
  ASSIGN_OR_RETURN(flow->kpis_, value::Kpis::Open(parts.records, parts.clock, *flow->facts_,
                                                  *flow->states_, *flow->production_));
  flow->evidence_ = std::make_unique<value::HistoryEvidence>(
      parts.history, parts.directory,
      [labels = &parts.labels](const std::vector<std::string>& things) {
        return labels->CountOf(things);
      },
      [scorer = &parts.scorer](const std::string& name) { return FactsOf(*scorer, name); });
  ASSIGN_OR_RETURN(flow->gates_,
                   value::Gates::Open(parts.records, parts.clock, flow->usecases_, *flow->kpis_,
                                      *flow->facts_, *flow->states_, *flow->evidence_));
  flow->Reload();
  return flow;
}

void ValueFlow::Reload() {
  const auto snapshot = parts_.directory.snapshot();
  std::vector<Error> problems;
  auto files = value::ReadKpiFiles(parts_.settings.folder, snapshot.get(), problems);
  production_->Configure(files, *snapshot);
  states_->Configure(std::move(files), *snapshot);
  for (Error& problem : usecases_.Reload(parts_.settings.folder, *snapshot))
    problems.push_back(std::move(problem));
  for (const Error& problem : problems) LogWarn("keeps its old version: {}", problem.ToString());
}

void ValueFlow::Observe(const telemetry::Batch& batch) {
  states_->Observe(batch);
  production_->Observe(batch);
}

void ValueFlow::Remember(const decisions::Alarm& alarm, const char* stage, std::string text,
                         Json detail) {
  const auto stored = parts_.provenance.Add(
      alarm.trace, {parts_.clock.Now(), stage, std::move(text), std::move(detail)});
  if (!stored)
    LogSometimes(LogLevel::kError, "provenance", "step not stored: " + stored.error().ToString());
}

void ValueFlow::OnAlarm(const decisions::Alarm& alarm, decisions::AlarmEvent event) {
  kpis_->Observe(alarm);
  if (event == decisions::AlarmEvent::kRaise)
    Remember(alarm, "alarm", fmt::format("active: {}", alarm.title),
             {{"id", alarm.id}, {"priority", static_cast<int>(alarm.priority)}});
  if (event == decisions::AlarmEvent::kClear)
    Remember(alarm, "alarm", "cleared by itself: the condition is gone", {{"id", alarm.id}});
}

std::vector<std::string> ValueFlow::OnVerdict(const decisions::Alarm& alarm) {
  const decisions::Verdict& verdict = *alarm.verdict;
  std::string said(decisions::VerdictKindName(verdict.kind));
  std::replace(said.begin(), said.end(), '_', ' ');
  Remember(alarm, "verdict",
           fmt::format("{} by {}{}{}", said, verdict.actor,
                       verdict.code.empty() ? "" : ", code " + verdict.code,
                       verdict.note.empty() ? "" : ": \"" + verdict.note + "\""),
           decisions::ToJson(verdict));
  const auto label = parts_.labels.FromVerdict(alarm);
  if (!label)
    LogWarn("no label from {}: {}", alarm.id, label.error().ToString());
  else if (*label)
    Remember(alarm, "label", (*label)->Text(), (*label)->ToJson());
  const auto changed = kpis_->Changed(alarm);
  std::vector<std::string> names;
  Json detail = Json::array();
  for (const auto& kpi : changed) {
    names.push_back(kpi.name);
    detail.push_back(kpi.ToJson());
  }
  if (!changed.empty()) Remember(alarm, "kpi", value::Summary(changed), std::move(detail));
  return names;
}

}  // namespace penstock
