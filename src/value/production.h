// How much was made, from counters that only rise (and start anew after a reset), in buckets of ten
// minutes.
//
// Thread rule: any thread; Observe from one (the pipeline's).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "storage/records.h"
#include "telemetry/sample.h"
#include "value/kpi_file.h"

namespace penstock::value {

struct Produced {
  double good = 0, reject = 0;  // Pieces.
  double ideal_s = 0;           // Seconds they would have taken at the ideal rates.
  double energy = 0;            // In the energy point's unit (kWh).
  uint64_t samples = 0;         // Counter readings behind it; 0: no data, not nothing made.
  uint64_t energy_samples = 0;
  void Add(const Produced& other);
};

class Production {
 public:
  static constexpr Duration kBucket = std::chrono::minutes(10);

  static Result<std::unique_ptr<Production>> Open(storage::Records& records);
  ~Production();

  void Configure(const std::vector<KpiFile>& files, const things::Snapshot& snapshot);
  void Observe(const telemetry::Batch& batch);  // A Pipeline::Subscriber with Replay::kYes.
  Status Flush();

  // Of the line of this KPI file, over the whole buckets that begin in [from, to).
  Produced Sum(const std::string& file_name, Time from, Time to) const;

 private:
  enum class Meaning { kGood, kReject, kEnergy, kProduct };
  struct Use {
    std::string file;
    Meaning meaning;
  };
  struct Counter {
    bool known = false;
    Time time{};
    double value = 0;
  };
  struct Line {
    std::map<int64_t, double> ideal_per_s;
    bool by_product = false;
    int64_t product = 0;
    Counter good, reject, energy;
    std::map<int64_t, Produced> buckets;  // By start / kBucket.
    std::set<int64_t> dirty;              // Buckets not yet in the records.
  };

  explicit Production(storage::Records& records) : records_(records) {}
  Status Load();
  void Take(Line& line, Meaning meaning, Time time, double value);

  storage::Records& records_;
  mutable std::mutex mutex_;
  std::map<PointId, std::vector<Use>> uses_;
  std::map<std::string, Line> lines_;  // By KPI file's name.
  std::chrono::steady_clock::time_point next_flush_{};
};

}  // namespace penstock::value
