// What every machine was doing: running, idle, down, planned or unknown, and why.
//
// Kept are only facts (the machine began or ceased to run; alarms and verdicts); states are derived
// when asked, so a verdict given an hour later still turns an idle stop into a repair. Rules:
// docs/formats/kpi.md, "States".
//
// Thread rule: any thread; Observe from one (the pipeline's).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/records.h"
#include "telemetry/sample.h"
#include "value/alarm_facts.h"
#include "value/kpi_file.h"
#include "value/stops.h"

namespace penstock::value {

class States {
 public:
  // All must outlive it.
  static Result<std::unique_ptr<States>> Open(storage::Records& records, const Clock& clock,
                                              const AlarmFacts& facts);
  ~States();

  // The lines and where their `running` points are; again after a reload.
  void Configure(std::vector<KpiFile> files, const things::Snapshot& snapshot);
  // A Pipeline::Subscriber with Replay::kYes: what it has seen already is passed over.
  void Observe(const telemetry::Batch& batch);
  Status Flush();  // Stores what it has seen; Observe does it every few seconds of real time.

  // `asset`: path of a machine, path of a line, or a thing's name. "unknown" for anything else.
  std::string Now(const std::string& asset) const;
  // Spans without gaps over [from, min(to, now)). kNotFound for an asset that no KPI file names.
  Result<std::vector<StateSpan>> List(const std::string& asset, Time from, Time to) const;

  // Things of a line or of one machine, and the file that names them; nullptr when none does.
  std::shared_ptr<const KpiFile> FileOf(const std::string& asset) const;
  std::vector<std::shared_ptr<const KpiFile>> files() const;
  std::vector<std::string> ThingsOf(const std::string& asset) const;
  // The first time anything is known of the asset.
  std::optional<Time> Begin(const std::string& asset) const;

 private:
  struct Machine {
    std::vector<RunningChange> changes;  // By time.
    std::optional<Time> last_seen;
    size_t stored = 0;  // How many of `changes` are in the records.
    bool dirty = false;
  };
  struct Place {  // What an asset means.
    std::shared_ptr<const KpiFile> file;
    std::string thing;  // "" = the whole line.
  };

  States(storage::Records& records, const Clock& clock, const AlarmFacts& facts)
      : records_(records), clock_(clock), facts_(facts) {}
  Status Load();
  void See(const std::string& thing, Time time, bool running, Duration unknown_after);
  std::optional<Place> PlaceOf(const std::string& asset) const;
  std::map<std::string, std::vector<StateSpan>> OfLine(const KpiFile& file, Time from,
                                                       Time to) const;

  storage::Records& records_;
  const Clock& clock_;
  const AlarmFacts& facts_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const KpiFile>> files_;
  std::map<std::string, std::string> asset_thing_;  // Asset path -> thing.
  struct Watched {
    std::string thing;
    Duration unknown_after{0};
  };
  std::map<PointId, Watched> running_points_;
  std::map<std::string, Machine> machines_;
  std::chrono::steady_clock::time_point next_flush_{};
};

}  // namespace penstock::value
