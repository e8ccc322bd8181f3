// How a prediction becomes an alarm.
//
// Each (thing, cause) has one condition. Its probability must stay above the threshold for delay_on
// before the alarm is raised, and below threshold - deadband for delay_off before it clears
// (ISA-18.2 calls both "alarm delay" and "deadband" the first remedies against chattering). While
// the condition stays active there is one alarm; when it comes back before anyone answered, the
// same alarm becomes active again. The decision record is written in the same transaction as the
// alarm, so that no alarm is ever without its reasons.
#include "decisions/alarms.h"

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"
#include "decisions/alarm_store.h"

namespace penstock::decisions {
namespace {

constexpr size_t kReasonsOnTheCard = 5;

std::string TitleOf(const AlarmRule& rule, const std::string& thing_title) {
  std::string text = rule.title.empty() ? rule.cause : rule.title;
  std::replace(text.begin(), text.end(), '_', ' ');
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + " on " + thing_title;
}

std::string ModelName(const std::string& model) { return model.substr(0, model.find('@')); }

// An alarm and another, or a prediction.
bool OnSameAsset(const Alarm& alarm, const auto& other) {
  return alarm.thing == other.thing || (!alarm.asset.empty() && alarm.asset == other.asset);
}

bool Names(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Probability of the rule's class, or nothing when the model does not know the class.
std::optional<double> ProbabilityOf(const inference::Prediction& prediction,
                                    const std::string& cause) {
  for (size_t i = 0; i < prediction.classes.size() && i < prediction.probabilities.size(); ++i)
    if (prediction.classes[i] == cause) return prediction.probabilities[i];
  return std::nullopt;
}

}  // namespace

Alarms::Alarms(storage::Records& records, const Clock& clock, Provenance& provenance,
               trust::AuditLog& audit)
    : records_(records), clock_(clock), provenance_(provenance), audit_(audit) {}

Result<std::unique_ptr<Alarms>> Alarms::Open(storage::Records& records, const Clock& clock,
                                             Provenance& provenance, trust::AuditLog& audit) {
  TRY(MigrateAlarms(records));
  std::unique_ptr<Alarms> alarms(new Alarms(records, clock, provenance, audit));
  TRY(alarms->Load());
  return alarms;
}

Status Alarms::Load() {
  ASSIGN_OR_RETURN(const auto highest, records_.Query("SELECT max(number) FROM alarms"));
  if (!highest.empty() && !highest[0].IsNull(0)) next_number_ = highest[0].Integer(0) + 1;
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT body FROM alarms WHERE state <> 'normal'"));
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(const Json body, ParseJson(row.Text(0)));
    ASSIGN_OR_RETURN(Alarm alarm, AlarmFromJson(body));
    Condition& condition = conditions_[{alarm.thing, alarm.cause}];
    condition.alarm_id = alarm.id;
    condition.active = !alarm.cleared_at.has_value();
    open_.emplace(alarm.id, std::move(alarm));
  }
  ASSIGN_OR_RETURN(const auto answered,
                   records_.Query("SELECT thing, cause, max(verdict_at) FROM alarms"
                                  " WHERE verdict_at IS NOT NULL GROUP BY thing, cause"));
  for (const auto& row : answered)
    conditions_[{row.Text(0), row.Text(1)}].quiet_until =
        FromMicros(row.Integer(2)) + kQuietAfterVerdict;
  return {};
}

void Alarms::OnChange(Listener listener) { listeners_.push_back(std::move(listener)); }
void Alarms::OnVerdict(VerdictListener listener) {
  verdict_listeners_.push_back(std::move(listener));
}

void Alarms::Tell(const Alarm& alarm, AlarmEvent event) const {
  for (const Listener& listener : listeners_) listener(alarm, event);
}

void Alarms::Observe(const inference::Prediction& prediction, const AlarmRule& rule,
                     const std::function<Basis()>& basis) {
  const auto p = ProbabilityOf(prediction, rule.cause);
  if (!p || std::isnan(*p)) return;
  std::vector<Changed> changes;
  {
    const std::lock_guard lock(mutex_);
    changes = Judge(prediction, rule, *p, basis);
  }
  for (const Changed& changed : changes) Tell(changed.alarm, changed.event);
}

std::vector<Alarms::Changed> Alarms::Judge(const inference::Prediction& prediction,
                                           const AlarmRule& rule, double p,
                                           const std::function<Basis()>& basis) {
  Condition& condition = conditions_[{prediction.thing, rule.cause}];
  const Time at = prediction.at;
  if (Suppressed(prediction, rule)) condition.suppressed_until = at + rule.suppressed_after;
  if (p > rule.threshold) {
    condition.below_since.reset();
    if (!condition.active && condition.suppressed_until && at <= *condition.suppressed_until) {
      condition.above_since.reset();  // Its patience begins anew when it is on its own.
      return {};
    }
    if (!condition.above_since) condition.above_since = at;
    if (condition.active || at - *condition.above_since < rule.delay_on) return {};
    if (condition.quiet_until && at < *condition.quiet_until) return {};
    auto raised = Raise(prediction, rule, p, basis());
    if (!raised) {
      LogSometimes(LogLevel::kError, "alarm-store",
                   "alarm not stored: " + raised.error().ToString());
      return {};
    }
    condition.active = true;
    condition.alarm_id = raised->front().alarm.id;
    return std::move(*raised);
  }
  condition.above_since.reset();
  if (!condition.active || p >= rule.threshold - rule.deadband) {
    condition.below_since.reset();
    return {};
  }
  if (!condition.below_since) condition.below_since = at;
  if (at - *condition.below_since < rule.delay_off) return {};
  condition.active = false;
  condition.below_since.reset();
  const auto found = open_.find(condition.alarm_id);
  if (found == open_.end()) return {};
  return {Changed{Clear(found->second, at), AlarmEvent::kClear}};
}

Alarm Alarms::Clear(Alarm alarm, Time at, const std::optional<Step>& step) {
  alarm.cleared_at = at;
  alarm.last_change = clock_.Now();
  if (const auto next =
          NextState(alarm.state, AlarmEvent::kClear, false, alarm.acknowledged_at.has_value()))
    alarm.state = *next;
  if (const auto stored =
          Commit(alarm, {}, [&] { return step ? provenance_.Add(alarm.trace, *step) : Status{}; });
      !stored)
    LogSometimes(LogLevel::kError, "alarm-store", "alarm not stored: " + stored.error().ToString());
  return alarm;
}

void Alarms::Retire(const std::string& model) {
  std::vector<Alarm> cleared;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, alarm] : std::map(open_)) {
      if (alarm.cleared_at || ModelName(alarm.model) != model) continue;
      Condition& condition = conditions_[{alarm.thing, alarm.cause}];
      condition = {.quiet_until = condition.quiet_until};
      const Step step{clock_.Now(),
                      "retired",
                      fmt::format("{} is no longer in use", model),
                      {{"model", model}}};
      cleared.push_back(Clear(alarm, clock_.Now(), step));
    }
  }
  for (const Alarm& alarm : cleared) Tell(alarm, AlarmEvent::kRemove);
}

bool Alarms::Suppressed(const inference::Prediction& prediction, const AlarmRule& rule) const {
  if (rule.suppressed_while.empty()) return false;
  return std::ranges::any_of(open_, [&](const auto& entry) {
    const Alarm& other = entry.second;
    return !other.cleared_at && OnSameAsset(other, prediction) &&
           Names(rule.suppressed_while, ModelName(other.model));
  });
}

std::vector<Alarm> Alarms::SupersededBy(const Alarm& alarm) const {
  std::vector<Alarm> superseded;
  for (const auto& [id, old] : open_) {
    if (id == alarm.id || old.verdict || !OnSameAsset(old, alarm) ||
        !Names(old.suppressed_while, ModelName(alarm.model)))
      continue;
    const auto next = NextState(old.state, AlarmEvent::kSupersede, false, true);
    if (!next) continue;
    superseded.push_back(old);
    Alarm& closed = superseded.back();
    closed.state = *next;
    closed.superseded_by = alarm.id;
    closed.shelved_until.reset();
    closed.last_change = clock_.Now();
    if (!closed.cleared_at) closed.cleared_at = alarm.raised;
  }
  return superseded;
}

// Both chains name the other.
Status Alarms::StoreSuperseded(const Alarm& old, const Alarm& by) {
  TRY(Store(old));
  TRY(provenance_.Add(old.trace, {clock_.Now(),
                                  "superseded",
                                  fmt::format("superseded by {}: {}", by.id, by.title),
                                  {{"by", by.id}, {"trace", by.trace.ToString()}}}));
  return provenance_.Add(by.trace, {clock_.Now(),
                                    "supersedes",
                                    fmt::format("takes the place of {}: {}", old.id, old.title),
                                    {{"alarm", old.id}, {"trace", old.trace.ToString()}}});
}

Result<std::vector<Alarms::Changed>> Alarms::Raise(const inference::Prediction& prediction,
                                                   const AlarmRule& rule, double p,
                                                   const Basis& basis) {
  Alarm alarm;
  const std::string previous = conditions_[{prediction.thing, rule.cause}].alarm_id;
  const auto open = open_.find(previous);
  if (open != open_.end() && open->second.state == AlarmState::kReturnedUnacknowledged) {
    alarm =
        open->second;  // Came back before anyone answered: the same alarm, with its first evidence.
    alarm.cleared_at.reset();
  } else {
    alarm.id = fmt::format("A-{}", next_number_);
    alarm.trace = prediction.trace;
    alarm.thing = prediction.thing;
    alarm.asset = prediction.asset;
    alarm.cause = rule.cause;
    alarm.title = TitleOf(rule, basis.thing_title);
    alarm.consequence = rule.consequence;
    alarm.response = rule.response;
    alarm.respond_within = rule.respond_within;
    alarm.priority = rule.priority;
    alarm.raised = prediction.at;
    alarm.confidence = p;
    alarm.confidence_low = basis.confidence_low;
    alarm.confidence_high = basis.confidence_high;
    alarm.model = fmt::format("{}@{}", prediction.model, prediction.version);
    alarm.suppressed_while = rule.suppressed_while;
    alarm.because.assign(
        prediction.because.begin(),
        prediction.because.begin() +
            static_cast<ptrdiff_t>(std::min(prediction.because.size(), kReasonsOnTheCard)));
  }
  alarm.state = AlarmState::kUnacknowledged;
  alarm.last_change = clock_.Now();
  const bool is_new = alarm.trace == prediction.trace;
  DecisionRecord record{alarm.trace, prediction, basis.features, basis.samples,
                        fmt::format("{} for {}", rule.condition, FormatDuration(rule.delay_on))};
  const std::vector<Alarm> superseded = SupersededBy(alarm);
  TRY(Commit(alarm, {}, [&]() -> Status {
    if (is_new) TRY(StoreDecision(alarm, record));
    for (const Alarm& old : superseded) TRY(StoreSuperseded(old, alarm));
    return {};
  }));
  if (is_new) ++next_number_;
  Counter("penstock_alarms_raised_total", "Alarms raised").Add();
  std::vector<Changed> changes{Changed{alarm, AlarmEvent::kRaise}};
  for (const Alarm& old : superseded) {
    open_.erase(old.id);
    Condition& condition = conditions_[{old.thing, old.cause}];
    condition = {.quiet_until = condition.quiet_until};
    changes.push_back({old, AlarmEvent::kSupersede});
  }
  return changes;
}

Status Alarms::Commit(const Alarm& alarm, const Deed& deed, const std::function<Status()>& also) {
  TRY(records_.Transaction([&]() -> Status {
    TRY(Store(alarm));
    if (also) TRY(also());
    if (deed.actor.empty()) return {};
    TRY(audit_.Append(deed.actor, deed.action, alarm.id, alarm.trace.ToString(), deed.detail));
    return {};
  }));
  if (IsOpen(alarm.state))
    open_.insert_or_assign(alarm.id, alarm);
  else
    open_.erase(alarm.id);
  return {};
}

Status Alarms::Store(const Alarm& alarm) {
  const std::string code = alarm.verdict ? alarm.verdict->code : "";
  using storage::SqlValue;
  const SqlValue verdict = alarm.verdict
                               ? SqlValue(std::string(VerdictKindName(alarm.verdict->kind)))
                               : SqlValue(nullptr);
  const SqlValue verdict_at =
      alarm.verdict ? SqlValue(ToMicros(alarm.verdict->at)) : SqlValue(nullptr);
  TRY(records_.Run(
      "INSERT INTO alarms(number, thing, cause, model, state, raised, trace, verdict, verdict_code,"
      " verdict_at, superseded_by, body) VALUES(?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(number) DO"
      " UPDATE SET state=excluded.state, verdict=excluded.verdict,"
      " verdict_code=excluded.verdict_code, verdict_at=excluded.verdict_at,"
      " superseded_by=excluded.superseded_by, body=excluded.body",
      {AlarmNumber(alarm.id), alarm.thing, alarm.cause, ModelName(alarm.model),
       std::string(AlarmStateName(alarm.state)), ToMicros(alarm.raised), alarm.trace.ToString(),
       verdict, code, verdict_at, alarm.superseded_by, alarm.ToJson().dump()}));
  return {};
}

Status Alarms::StoreDecision(const Alarm& alarm, const DecisionRecord& record) {
  const Json body = {{"prediction", PredictionToJson(record.prediction)},
                     {"features", record.features},
                     {"samples", record.samples},
                     {"rule", record.rule}};
  TRY(records_.Run("INSERT INTO decisions(trace, alarm, at, body) VALUES(?,?,?,?)",
                   {record.trace.ToString(), alarm.id, ToMicros(alarm.raised), body.dump()}));
  return {};
}

Result<Alarm> Alarms::Get(const std::string& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_.find(id); found != open_.end()) return found->second;
  }
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT body FROM alarms WHERE number=?", {AlarmNumber(id)}));
  if (rows.empty()) return NotFound("alarm unknown: {}", id.substr(0, 40));
  ASSIGN_OR_RETURN(const Json body, ParseJson(rows[0].Text(0)));
  return AlarmFromJson(body);
}

Result<Alarm> Alarms::OfTrace(const TraceId& trace) const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT number FROM alarms WHERE trace=?", {trace.ToString()}));
  if (rows.empty()) return NotFound("no alarm has the trace {}", trace.ToString());
  return Get(fmt::format("A-{}", rows[0].Integer(0)));
}

Result<std::vector<Alarm>> Alarms::List(const AlarmFilter& filter) const {
  const int64_t before = filter.before > 0 ? filter.before : INT64_MAX;
  ASSIGN_OR_RETURN(
      const auto rows,
      records_.Query(
          "SELECT body FROM alarms WHERE number < ?1 AND (?2 = '' OR thing = ?2)"
          " AND (?3 = 0 OR state <> 'normal' OR (verdict IS NULL AND superseded_by = ''))"
          " ORDER BY number DESC LIMIT ?4",
          {before, filter.thing, int64_t{filter.open_only ? 1 : 0},
           static_cast<int64_t>(std::min<size_t>(filter.limit, 1000))}));
  std::vector<Alarm> alarms;
  for (const auto& row : rows) {
    ASSIGN_OR_RETURN(const Json body, ParseJson(row.Text(0)));
    ASSIGN_OR_RETURN(Alarm alarm, AlarmFromJson(body));
    alarms.push_back(std::move(alarm));
  }
  return alarms;
}

Result<DecisionRecord> Alarms::DecisionOf(const TraceId& trace) const {
  ASSIGN_OR_RETURN(const auto rows,
                   records_.Query("SELECT body FROM decisions WHERE trace=?", {trace.ToString()}));
  if (rows.empty()) return NotFound("no decision has the trace {}", trace.ToString());
  ASSIGN_OR_RETURN(const Json body, ParseJson(rows[0].Text(0)));
  DecisionRecord record;
  record.trace = trace;
  ASSIGN_OR_RETURN(record.prediction, PredictionFromJson(body.value("prediction", Json::object())));
  record.features = body.value("features", Json::array());
  record.samples = body.value("samples", Json::array());
  record.rule = StringOr(body, "rule", "");
  return record;
}

Result<Alarm> Alarms::Change(const std::string& id, AlarmEvent event, const Deed& deed,
                             const std::function<void(Alarm&)>& edit,
                             const std::optional<Step>& step) {
  Alarm alarm;
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) {
      if (AlarmNumber(id) == 0 || AlarmNumber(id) >= next_number_)
        return NotFound("alarm unknown: {}", id.substr(0, 40));
      return FailedPrecondition("alarm {} is back to normal already", id);
    }
    alarm = found->second;
    const bool answered = event == AlarmEvent::kAcknowledge || alarm.acknowledged_at.has_value();
    const auto next = NextState(alarm.state, event, !alarm.cleared_at, answered);
    if (!next)
      return FailedPrecondition("alarm {} is {}: this changes nothing", id,
                                AlarmStateName(alarm.state));
    alarm.state = *next;
    alarm.last_change = clock_.Now();
    if (event == AlarmEvent::kAcknowledge && !alarm.acknowledged_at) {
      alarm.acknowledged_at = alarm.last_change;
      alarm.acknowledged_by = deed.actor;
    }
    if (edit) edit(alarm);
    TRY(Commit(alarm, deed, [&] { return step ? provenance_.Add(alarm.trace, *step) : Status{}; }));
  }
  Tell(alarm, event);
  return alarm;
}

Result<Alarm> Alarms::Acknowledge(const std::string& id, const std::string& actor) {
  return Change(id, AlarmEvent::kAcknowledge, {actor, "alarm.acknowledge"}, nullptr);
}

Result<Alarm> Alarms::Shelve(const std::string& id, Duration time, const std::string& reason,
                             const std::string& actor) {
  if (time <= Duration(0) || time > kShelveMax) {
    auto error = InvalidArgument("cannot shelve for {}: at most {}", FormatDuration(time),
                                 FormatDuration(kShelveMax));
    error.error().At("/for");
    return error;
  }
  const Time until = clock_.Now() + time;
  const Step step{clock_.Now(),
                  "shelved",
                  fmt::format("shelved until {} by {}: {}", FormatTime(until), actor, reason),
                  {{"until", FormatTime(until)}, {"actor", actor}, {"reason", reason}}};
  return Change(
      id, AlarmEvent::kShelve,
      {actor, "alarm.shelve", {{"for", FormatDuration(time)}, {"reason", reason}}},
      [&](Alarm& alarm) { alarm.shelved_until = until; }, step);
}

Result<Alarm> Alarms::Unshelve(const std::string& id, const std::string& actor) {
  return Change(id, AlarmEvent::kUnshelve, {actor, "alarm.unshelve"},
                [](Alarm& alarm) { alarm.shelved_until.reset(); });
}

void Alarms::Sweep() {
  std::vector<std::string> expired;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, alarm] : open_)
      if (alarm.state == AlarmState::kShelved && alarm.shelved_until &&
          *alarm.shelved_until <= clock_.Now())
        expired.push_back(id);
  }
  for (const std::string& id : expired)
    if (auto changed = Change(id, AlarmEvent::kUnshelve, {},
                              [](Alarm& alarm) { alarm.shelved_until.reset(); });
        !changed)
      LogWarn("{}", changed.error().ToString());
}

Result<Expired> Alarms::Expire(Time before, const std::vector<std::string>& kept) {
  const std::lock_guard lock(mutex_);
  Expired gone;
  TRY(records_.Transaction([&]() -> Status {
    ASSIGN_OR_RETURN(
        const auto rows,
        records_.Query("SELECT trace, body FROM alarms WHERE raised < ?1 AND state = 'normal'"
                       " AND number < (SELECT max(number) FROM alarms)"
                       " AND coalesce(verdict_at, 0) < ?1"
                       " AND trace NOT IN (SELECT value FROM json_each(?2))"
                       " ORDER BY raised LIMIT ?3",
                       {ToMicros(before), Json(kept).dump(), static_cast<int64_t>(kExpireMax)}));
    Json traces = Json::array();
    for (const auto& row : rows) {
      ASSIGN_OR_RETURN(const Json body, ParseJson(row.Text(1)));
      ASSIGN_OR_RETURN(const Alarm alarm, AlarmFromJson(body));
      if (alarm.last_change < before) traces.push_back(row.Text(0));
    }
    if (traces.empty()) return {};
    const auto remove = [&](const char* table) {
      return records_.Run(fmt::format("DELETE FROM {} WHERE trace IN"
                                      " (SELECT value FROM json_each(?))",
                                      table),
                          {traces.dump()});
    };
    ASSIGN_OR_RETURN(gone.steps, remove("trace_steps"));
    ASSIGN_OR_RETURN(gone.decisions, remove("decisions"));
    ASSIGN_OR_RETURN(gone.alarms, remove("alarms"));
    TRY(audit_.Append("node", "decisions.expire", "alarms", "",
                      {{"until", FormatTime(before)},
                       {"alarms", gone.alarms},
                       {"decisions", gone.decisions},
                       {"steps", gone.steps}}));
    return {};
  }));
  return gone;
}

Result<Alarm> Alarms::MarkSeen(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_.find(id); found != open_.end() && !found->second.seen_at) {
      Alarm alarm = found->second;
      alarm.seen_at = clock_.Now();
      TRY(Commit(alarm, {}));
    }
  }
  return Get(id);
}

Result<Alarm> Alarms::Answer(const std::string& id, const Verdict& verdict) {
  if (verdict.kind == VerdictKind::kTrueFault && verdict.code.empty()) {
    auto error = InvalidArgument("a true fault needs its fault code");
    error.error().At("/code").Fix("code: bearing_wear, for example");
    return error;
  }
  if (verdict.note.size() > 2000) {
    auto error = InvalidArgument("a note of {} bytes, at most 2000", verdict.note.size());
    error.error().At("/note");
    return error;
  }
  ASSIGN_OR_RETURN(Alarm alarm, Get(id));
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_.find(id); found != open_.end()) alarm = found->second;
    alarm.verdict = verdict;
    alarm.last_change = clock_.Now();
    if (!alarm.acknowledged_at) {
      alarm.acknowledged_at = verdict.at;
      alarm.acknowledged_by = verdict.actor;
    }
    if (const auto next = NextState(alarm.state, AlarmEvent::kAcknowledge, !alarm.cleared_at, true))
      alarm.state = *next;
    TRY(Commit(alarm, {verdict.actor, "alarm.verdict", ToJson(verdict)}));
    conditions_[{alarm.thing, alarm.cause}].quiet_until = verdict.at + kQuietAfterVerdict;
  }
  Tell(alarm, AlarmEvent::kAcknowledge);
  for (const VerdictListener& listener : verdict_listeners_) listener(alarm);
  return alarm;
}

bool Alarms::AnyOpen(const std::string& thing) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(open_.begin(), open_.end(), [&](const auto& entry) {
    return entry.second.thing == thing && !entry.second.cleared_at;
  });
}

TrackRecord Alarms::TrackRecordOf(const std::string& model_name, const std::string& cause) const {
  const auto rows = records_.Query(
      "SELECT sum(verdict IN ('true_fault','known_or_planned')), count(*) FROM alarms WHERE "
      "model=? AND cause=?"
      " AND verdict IN "
      "('true_fault','known_or_planned','sensor_fault','false_alarm','mode_change')",
      {ModelName(model_name), cause});
  if (!rows || rows->empty()) return {};
  return {static_cast<int>((*rows)[0].Integer(0)), static_cast<int>((*rows)[0].Integer(1))};
}

int Alarms::RaisedSince(Time time) const {
  const auto rows =
      records_.Query("SELECT count(*) FROM alarms WHERE raised >= ?", {ToMicros(time)});
  return rows && !rows->empty() ? static_cast<int>((*rows)[0].Integer(0)) : 0;
}

}  // namespace penstock::decisions
