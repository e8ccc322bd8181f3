// The KPIs of a site: computed from facts when asked, and told when a verdict moves one.
//
// Thread rule: any thread; listeners before the first Changed.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/records.h"
#include "value/alarm_facts.h"
#include "value/kpi/kind.h"
#include "value/production.h"
#include "value/states.h"

namespace penstock::value {

class Kpis {
 public:
  using Listener = std::function<void(const std::vector<KpiValue>& changed)>;

  // All must outlive it.
  static Result<std::unique_ptr<Kpis>> Open(storage::Records& records, const Clock& clock,
                                            AlarmFacts& facts, const States& states,
                                            const Production& production);

  // Every kind for this asset (a line, a machine; "" = every line). Without times: the file's
  // period up to now. kNotFound when no KPI file names the asset.
  Result<std::vector<KpiValue>> Compute(const std::string& asset, std::optional<Time> from = {},
                                        std::optional<Time> to = {}) const;
  Result<KpiValue> ComputeOne(const std::string& name, const std::string& asset,
                              std::optional<Time> from = {}, std::optional<Time> to = {}) const;
  // What is behind it: {"items": [{"from","to","state","reason","alarm"} |
  // {"alarm","thing","cause","raised","verdict"...}]}.
  Result<Json> Events(const std::string& name, const std::string& asset,
                      std::optional<Time> from = {}, std::optional<Time> to = {}) const;

  // For decisions::Alarms::OnChange: remembers the alarm.
  void Observe(const decisions::Alarm& alarm);
  // For decisions::Alarms::OnVerdict: remembers it and tells which KPIs of its line have another
  // value than when last asked this way; their `previous` is that value. Listeners get the same.
  std::vector<KpiValue> Changed(const decisions::Alarm& alarm);
  void OnChange(Listener listener);

 private:
  Kpis(storage::Records& records, const Clock& clock, AlarmFacts& facts, const States& states,
       const Production& production)
      : records_(records), clock_(clock), facts_(facts), states_(states), production_(production) {}
  Result<KpiInput> InputOf(const std::string& asset, std::optional<Time> from,
                           std::optional<Time> to) const;
  KpiValue Fill(const KpiKind& kind, const KpiInput& input) const;
  std::string KeyOf(const std::string& asset) const;
  std::optional<double> Previous(const std::string& asset, std::string_view name) const;
  Result<std::vector<KpiValue>> CompareAndStore(const std::string& asset);

  storage::Records& records_;
  const Clock& clock_;
  AlarmFacts& facts_;
  const States& states_;
  const Production& production_;
  std::mutex change_mutex_;
  std::vector<Listener> listeners_;
};

// One line for `explain`: "mttr 1.1 h (was 1.4), alarm_precision 0.91 [0.80, 0.97]".
std::string Summary(const std::vector<KpiValue>& changed);

}  // namespace penstock::value
