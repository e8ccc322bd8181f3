// The alarms of a site: predictions come in, conditions with delay and deadband become alarms,
// people answer.
//
// Every change is stored before a listener hears of it; what a person does is one transaction with
// its audit entry, so that what is refused leaves none. Delays and expiries are in the node's time.
// After a verdict the same cause on the same thing stays quiet for kQuietAfterVerdict: one fault,
// one alarm. So it is with a rule that yields to other models (suppressed by design, ISA-18.2): it
// raises nothing while one of their alarms is active on the asset, and what it has raised and
// nobody has answered is superseded when theirs comes.
//
// Thread rule: any thread; listeners are called without the lock, on the thread of the change.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "decisions/alarm.h"
#include "decisions/alarm_state.h"
#include "decisions/provenance.h"
#include "inference/alarm_rule.h"
#include "storage/records.h"
#include "trust/audit_log.h"

namespace penstock::decisions {

using inference::AlarmRule;

inline constexpr Duration kQuietAfterVerdict = std::chrono::minutes(45);
inline constexpr Duration kShelveMax = std::chrono::hours(24);

inline constexpr size_t kExpireMax = 500;

struct AlarmFilter {
  bool open_only = false;
  std::string thing;   // "" = all
  int64_t before = 0;  // Cursor: alarm number, newest first; 0 = from the newest.
  size_t limit = 100;
};

// What Expire deleted.
struct Expired {
  int64_t alarms = 0, decisions = 0, steps = 0;
};

// How often alarms of one model and cause were right, of those with a verdict that says so.
struct TrackRecord {
  int right = 0;
  int of = 0;
};

// What a prediction was made of, for the decision record: written only when an alarm comes of it.
struct Basis {
  std::string thing_title;  // "Pump 7"
  Json features;            // As DecisionRecord.features.
  Json samples;             // As DecisionRecord.samples.
  double confidence_low = 0, confidence_high = 1;
};

class Alarms {
 public:
  using Listener = std::function<void(const Alarm& alarm, AlarmEvent event)>;
  using VerdictListener = std::function<void(const Alarm& alarm)>;

  // All four outlive the alarms.
  static Result<std::unique_ptr<Alarms>> Open(storage::Records& records, const Clock& clock,
                                              Provenance& provenance, trust::AuditLog& audit);

  // One prediction against one rule of its model. `basis` is asked only if an alarm is raised.
  void Observe(const inference::Prediction& prediction, const AlarmRule& rule,
               const std::function<Basis()>& basis);
  // The model judges no more: its active alarms clear, because nobody would see them go.
  void Retire(const std::string& model);
  // Deletes what was closed before `before` and nothing needs any more: the alarm, its decision and
  // its chain, at most kExpireMax alarms at a time, with an audit entry "decisions.expire" by
  // "node" that says how many and until when. An open alarm stays, so does one whose trace is in
  // `kept` (labels still speak of it), and the newest, whose number counts on.
  Result<Expired> Expire(Time before, const std::vector<std::string>& kept);
  void Sweep();  // Shelves that have expired; call about once a second.

  Result<Alarm> Get(const std::string& id) const;
  Result<Alarm> OfTrace(const TraceId& trace) const;
  Result<std::vector<Alarm>> List(const AlarmFilter& filter) const;
  Result<DecisionRecord> DecisionOf(const TraceId& trace) const;

  // What people do. `actor` is the name in the audit entry "alarm.acknowledge", "alarm.shelve",
  // "alarm.unshelve" or "alarm.verdict". kNotFound: no such alarm; kFailedPrecondition: its state
  // does not allow it; kInvalidArgument with pointer.
  Result<Alarm> Acknowledge(const std::string& id, const std::string& actor);
  Result<Alarm> Shelve(const std::string& id, Duration time, const std::string& reason,
                       const std::string& actor);
  Result<Alarm> Unshelve(const std::string& id, const std::string& actor);
  Result<Alarm> Answer(const std::string& id, const Verdict& verdict);
  Result<Alarm> MarkSeen(const std::string& id);

  // An alarm of the thing is active: what it measures now is not how it normally is.
  bool AnyOpen(const std::string& thing) const;
  TrackRecord TrackRecordOf(const std::string& model_name, const std::string& cause) const;
  // Alarms raised in the last hour of the node's time (ISA-18.2: at most about six an hour per
  // operator).
  int RaisedSince(Time time) const;

  void OnChange(Listener listener);          // Before the first Observe.
  void OnVerdict(VerdictListener listener);  // Before the first Answer.

 private:
  struct Condition {
    std::optional<Time> above_since, below_since;
    bool active = false;   // After the delays.
    std::string alarm_id;  // The open alarm of this condition, or "".
    std::optional<Time> quiet_until, suppressed_until;
  };
  using Key = std::pair<std::string, std::string>;  // thing, cause
  struct Deed {                                     // Of a person, for the audit log.
    std::string actor;                              // "": the node's own doing, not written down.
    std::string action;                             // "alarm.shelve"
    Json detail = Json::object();
  };

  Alarms(storage::Records& records, const Clock& clock, Provenance& provenance,
         trust::AuditLog& audit);
  Status Load();
  struct Changed {
    Alarm alarm;
    AlarmEvent event;
  };
  std::vector<Changed> Judge(const inference::Prediction& prediction, const AlarmRule& rule,
                             double p, const std::function<Basis()>& basis);
  Alarm Clear(Alarm alarm, Time at, const std::optional<Step>& step = std::nullopt);
  // The alarm raised, and those that it supersedes.
  Result<std::vector<Changed>> Raise(const inference::Prediction& prediction, const AlarmRule& rule,
                                     double p, const Basis& basis);
  std::vector<Alarm> SupersededBy(const Alarm& alarm) const;
  Status StoreSuperseded(const Alarm& old, const Alarm& by);
  Result<Alarm> Change(const std::string& id, AlarmEvent event, const Deed& deed,
                       const std::function<void(Alarm&)>& edit,
                       const std::optional<Step>& step = std::nullopt);
  // The alarm, and what belongs to it, in one transaction; then what is known in memory.
  Status Commit(const Alarm& alarm, const Deed& deed, const std::function<Status()>& also = {});
  Status Store(const Alarm& alarm);
  Status StoreDecision(const Alarm& alarm, const DecisionRecord& record);
  void Tell(const Alarm& alarm, AlarmEvent event) const;
  bool Suppressed(const inference::Prediction& prediction, const AlarmRule& rule) const;

  storage::Records& records_;
  const Clock& clock_;
  Provenance& provenance_;
  trust::AuditLog& audit_;
  mutable std::mutex mutex_;
  int64_t next_number_ = 1001;
  std::map<Key, Condition> conditions_;
  std::map<std::string, Alarm> open_;  // By id: every alarm that is not normal.
  std::vector<Listener> listeners_;
  std::vector<VerdictListener> verdict_listeners_;
};

}  // namespace penstock::decisions
