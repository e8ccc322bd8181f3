// What value needs to know of alarms, kept in its own records: when, on what, and what the human
// said.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "decisions/alarm.h"
#include "storage/records.h"

namespace penstock::value {

struct AlarmFact {
  std::string id, thing, asset, cause, title, trace;
  Time raised{};
  std::optional<Time> cleared;
  std::optional<decisions::VerdictKind> verdict;
  std::string code, actor, note;
  Time verdict_at{};
};

// Right, wrong, or (unsure, no verdict) neither: the same reading as the alarm card's track record.
enum class Outcome { kOpen, kRight, kWrong };
Outcome OutcomeOf(const AlarmFact& fact);

class AlarmFacts {
 public:
  static Result<std::unique_ptr<AlarmFacts>> Open(storage::Records& records);

  // Takes over the alarm as it is now; the same alarm again changes nothing but what changed.
  Status Put(const decisions::Alarm& alarm);
  // Deletes the facts of alarms that were cleared, and judged if at all, before `before`, except of
  // the traces in `kept`. KPIs that reach further back than `before` no longer count them.
  Status Expire(Time before, const std::vector<std::string>& kept);
  // Raised before `to` and (not cleared, or answered or cleared at or after `from`), by time of
  // raising.
  std::vector<AlarmFact> Touching(const std::string& thing, Time from, Time to) const;
  // Raised in [from, to), of these things; empty list: of all.
  std::vector<AlarmFact> Raised(const std::vector<std::string>& things, Time from, Time to) const;

 private:
  explicit AlarmFacts(storage::Records& records) : records_(records) {}
  storage::Records& records_;
  mutable std::mutex mutex_;
  std::vector<AlarmFact> facts_;  // By time of raising.
};

}  // namespace penstock::value
