// What a verdict sets in motion: a label for the next training, KPIs that move, evidence for the
// gates; and the facts (states, counters, coverage) that these are computed from.
//
// Thread rule: Observe on the pipeline's thread, the rest on any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/site.h"
#include "decisions/alarms.h"
#include "decisions/provenance.h"
#include "inference/model_repository.h"
#include "inference/scorer.h"
#include "learning/labels.h"
#include "storage/history.h"
#include "storage/records.h"
#include "telemetry/sample.h"
#include "things/directory.h"
#include "value/gate.h"
#include "value/history_evidence.h"
#include "value/kpis.h"
#include "value/production.h"
#include "value/states.h"
#include "value/usecase.h"

namespace penstock {

class ValueFlow {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    things::Directory& directory;
    storage::Records& records;
    storage::History& history;
    decisions::Alarms& alarms;
    decisions::Provenance& provenance;
    learning::Labels& labels;
    inference::Scorer& scorer;
    inference::ModelRepository& models;
  };
  static Result<std::unique_ptr<ValueFlow>> Open(const Parts& parts);
  ~ValueFlow();

  void Reload();  // KPI files and use cases; a bad file keeps its old version and is logged.
  void Observe(const telemetry::Batch& batch);
  void OnAlarm(const decisions::Alarm& alarm, decisions::AlarmEvent event);
  // Stores label and KPI changes under the alarm's trace; returns the names of the KPIs that
  // changed.
  std::vector<std::string> OnVerdict(const decisions::Alarm& alarm);
  // As value::AlarmFacts::Expire.
  Status Expire(Time before, const std::vector<std::string>& kept) {
    return facts_->Expire(before, kept);
  }

  value::Kpis& kpis() { return *kpis_; }
  value::States& states() { return *states_; }
  value::UseCases& usecases() { return usecases_; }
  value::Gates& gates() { return *gates_; }

 private:
  explicit ValueFlow(const Parts& parts);
  void Remember(const decisions::Alarm& alarm, const char* stage, std::string text, Json detail);

  Parts parts_;
  std::unique_ptr<value::AlarmFacts> facts_;
  std::unique_ptr<value::States> states_;
  std::unique_ptr<value::Production> production_;
  std::unique_ptr<value::Kpis> kpis_;
  value::UseCases usecases_;
  std::unique_ptr<value::HistoryEvidence> evidence_;
  std::unique_ptr<value::Gates> gates_;
};

}  // namespace penstock
