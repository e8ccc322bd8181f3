// Feature rows from samples: sliding windows per thing on a fixed grid of source time, the same
// live and offline.
//
// The grid is the multiples of `every` since 1970. The row at grid time t covers [t - window, t).
// It is made when every bound point has a sample at or after t, or when `lateness` has passed since
// t, by the newest source time of the thing or by the clock. What comes later than that is missing
// in the rows already made. A window without any sample gives no row.
//
// Live: construct with the node's clock, subscribe Observe() to the pipeline. Offline: construct
// without a clock, feed batches in time order (whole bursts), call Finish() at the end. Thread
// rule: AddSchema, Observe, Advance, Finish never overlap (they lock); OnRow before the first
// Observe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "telemetry/feature.h"
#include "telemetry/quality.h"
#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

// True when a thing's model ("pump@1.2") fits a pattern ("pump@1.*", "pump@1.2", "*").
bool ModelMatches(std::string_view pattern, std::string_view model);
// Names of the things whose model fits the pattern.
std::vector<std::string> ThingsOfModel(const things::Snapshot& snapshot, std::string_view pattern);

class FeatureEngine {
 public:
  using RowListener = std::function<void(const std::string& schema_name, FeatureRow&& row)>;

  FeatureEngine();                             // By data alone.
  explicit FeatureEngine(const Clock& clock);  // `clock` must outlive the engine.
  ~FeatureEngine();

  // Binds the schema to these things by their property names. Again with the same name: rebinds
  // (after a reload); windows of unchanged points are kept. kInvalidArgument with pointer and fix:
  // no such property, band of a scalar.
  Status AddSchema(const std::string& name, const FeatureSchema& schema,
                   const things::Snapshot& snapshot, const std::vector<std::string>& things);
  void RemoveSchema(const std::string& name);
  // How long to wait for late samples; without it: the schema's `every`.
  void SetLateness(Duration lateness);

  void OnRow(RowListener listener);
  void Observe(const Batch& batch);
  void Advance();  // Makes the rows that the clock has made due. Observe() does it too.
  void Finish();   // Makes all rows that the samples so far allow.

 private:
  struct Point;
  struct Binding;
  struct Schema;
  struct Scratch;
  static Result<std::unique_ptr<Binding>> Bind(const FeatureSchema& schema,
                                               const things::Thing& thing);
  static Result<const things::Point*> PointFor(const things::Thing& thing, const FeatureSpec& spec,
                                               size_t index);
  static void KeepWindows(Schema& old, Schema& fresh);
  void Index();
  void EmitDue(bool everything);
  void Emit(Schema& schema, Binding& binding, Time until);
  void EmitRow(Schema& schema, Binding& binding, Time at);

  const Clock* clock_ = nullptr;
  std::optional<Duration> lateness_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Schema>> schemas_;
  std::vector<std::vector<Point*>> by_point_;  // PointId -> windows fed by it.
  std::vector<RowListener> listeners_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace penstock::telemetry
