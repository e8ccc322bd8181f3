#include "value/alarm_facts.h"

#include <algorithm>

namespace penstock::value {

Outcome OutcomeOf(const AlarmFact& fact) {
  if (!fact.verdict) return Outcome::kOpen;
  switch (*fact.verdict) {
    case decisions::VerdictKind::kTrueFault:
    case decisions::VerdictKind::kKnownOrPlanned:
      return Outcome::kRight;
    case decisions::VerdictKind::kSensorFault:
      // Right when that is what the alarm said.
      return fact.cause.starts_with("sensor") ? Outcome::kRight : Outcome::kWrong;
    case decisions::VerdictKind::kFalseAlarm:
    case decisions::VerdictKind::kModeChange:
      return Outcome::kWrong;
    case decisions::VerdictKind::kUnsure:
      break;
  }
  return Outcome::kOpen;
}

Result<std::unique_ptr<AlarmFacts>> AlarmFacts::Open(storage::Records& records) {
  TRY(records.Migrate("value_alarms", {{1, R"sql(
    CREATE TABLE value_alarms (
      id TEXT PRIMARY KEY, thing TEXT NOT NULL, asset TEXT NOT NULL, cause TEXT NOT NULL,
      title TEXT NOT NULL, trace TEXT NOT NULL, raised INTEGER NOT NULL, cleared INTEGER,
      verdict TEXT, code TEXT NOT NULL, actor TEXT NOT NULL,
      note TEXT NOT NULL, verdict_at INTEGER NOT NULL);
  )sql"}}));
  std::unique_ptr<AlarmFacts> facts(new AlarmFacts(records));
  ASSIGN_OR_RETURN(
      const auto rows,
      records.Query(
          "SELECT id, thing, asset, cause, title, trace, raised, cleared, verdict, code, actor, "
          "note, verdict_at FROM value_alarms ORDER BY raised, id"));
  for (const auto& row : rows) {
    AlarmFact fact{.id = row.Text(0),
                   .thing = row.Text(1),
                   .asset = row.Text(2),
                   .cause = row.Text(3),
                   .title = row.Text(4),
                   .trace = row.Text(5),
                   .raised = FromMicros(row.Integer(6)),
                   .code = row.Text(9),
                   .actor = row.Text(10),
                   .note = row.Text(11),
                   .verdict_at = FromMicros(row.Integer(12))};
    if (!row.IsNull(7)) fact.cleared = FromMicros(row.Integer(7));
    if (!row.IsNull(8)) {
      ASSIGN_OR_RETURN(fact.verdict, decisions::ParseVerdictKind(row.Text(8)));
    }
    facts->facts_.push_back(std::move(fact));
  }
  return facts;
}

Status AlarmFacts::Put(const decisions::Alarm& alarm) {
  AlarmFact fact{.id = alarm.id,
                 .thing = alarm.thing,
                 .asset = alarm.asset,
                 .cause = alarm.cause,
                 .title = alarm.title,
                 .trace = alarm.trace.ToString(),
                 .raised = alarm.raised,
                 .cleared = alarm.cleared_at};
  if (alarm.verdict) {
    fact.verdict = alarm.verdict->kind;
    fact.code = alarm.verdict->code;
    fact.actor = alarm.verdict->actor;
    fact.note = alarm.verdict->note;
    fact.verdict_at = alarm.verdict->at;
  }
  storage::SqlValue cleared = nullptr, verdict = nullptr;
  if (fact.cleared) cleared = ToMicros(*fact.cleared);
  if (fact.verdict) verdict = std::string(decisions::VerdictKindName(*fact.verdict));
  TRY(records_.Run(
      "INSERT OR REPLACE INTO value_alarms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {fact.id, fact.thing, fact.asset, fact.cause, fact.title, fact.trace, ToMicros(fact.raised),
       cleared, verdict, fact.code, fact.actor, fact.note, ToMicros(fact.verdict_at)}));
  const std::lock_guard lock(mutex_);
  const auto known = std::ranges::find(facts_, fact.id, &AlarmFact::id);
  if (known != facts_.end()) facts_.erase(known);
  const auto place = std::ranges::upper_bound(facts_, fact.raised, {}, &AlarmFact::raised);
  facts_.insert(place, std::move(fact));
  return {};
}

Status AlarmFacts::Expire(Time before, const std::vector<std::string>& kept) {
  const std::lock_guard lock(mutex_);
  std::vector<AlarmFact> left;
  Json gone = Json::array();
  for (const AlarmFact& fact : facts_) {
    const bool over = fact.cleared && *fact.cleared < before &&
                      (!fact.verdict || fact.verdict_at < before) &&
                      std::ranges::find(kept, fact.trace) == kept.end();
    if (over)
      gone.push_back(fact.id);
    else
      left.push_back(fact);
  }
  if (gone.empty()) return {};
  TRY(records_.Run("DELETE FROM value_alarms WHERE id IN (SELECT value FROM json_each(?))",
                   {gone.dump()}));
  facts_ = std::move(left);
  return {};
}

std::vector<AlarmFact> AlarmFacts::Touching(const std::string& thing, Time from, Time to) const {
  const std::lock_guard lock(mutex_);
  std::vector<AlarmFact> found;
  for (const auto& fact : facts_) {
    if (fact.thing != thing || fact.raised >= to) continue;
    const bool over =
        fact.cleared && *fact.cleared < from && !(fact.verdict && fact.verdict_at >= from);
    if (!over) found.push_back(fact);
  }
  return found;
}

std::vector<AlarmFact> AlarmFacts::Raised(const std::vector<std::string>& things, Time from,
                                          Time to) const {
  const std::lock_guard lock(mutex_);
  std::vector<AlarmFact> found;
  for (const auto& fact : facts_) {
    if (fact.raised < from || fact.raised >= to) continue;
    if (things.empty() || std::ranges::find(things, fact.thing) != things.end())
      found.push_back(fact);
  }
  return found;
}

}  // namespace penstock::value
