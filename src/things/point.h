// A point is one measured or commanded quantity of one asset: what a property affordance of a Thing
// Description becomes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace penstock::things {

enum class ValueType { kNumber, kInteger, kBoolean, kString, kWaveform };

// When a driver reports a value onward ("ps:report").
struct ReportMode {
  bool on_change = false;    // Else every reading.
  double deadband = 0;       // In the point's unit.
  Duration max_interval{0};  // A reading at least this often, changed or not; 0: no such rule.
};

// Rules of quality ("ps:quality"), each absent unless given.
struct QualityRules {
  std::optional<double> minimum, maximum;  // From the TD's own minimum/maximum.
  std::optional<double> max_rate_per_s;    // |dv/dt| in unit per second.
  std::optional<Duration> stale_after;     // No sample for this long: the last value is uncertain.
  std::optional<Duration>
      flat_after;  // Unchanged (within flat_tolerance) for this long: sensor failure.
  double flat_tolerance = 0;
  std::optional<Duration> max_clock_skew;  // Source time ahead of ingest time by more: quarantined.
};

struct Point {
  PointId id;
  std::string thing;     // "pump-7": the last segment of the TD's id, unique in a site.
  std::string property;  // "discharge_pressure".
  std::string title;     // For people: "Discharge pressure".
  std::string asset;     // ISA-95 path: "acme/cologne/utilities/line-1/pump-7".
  std::string model;     // "pump@1.2", or "".
  std::string unit;      // UCUM code: "bar", "mm/s", "Cel"; "" when dimensionless.
  ValueType type = ValueType::kNumber;
  double sample_rate_hz = 0;  // Waveform: spacing of its samples; source time is that of the first.
  std::string contract;       // "pump@1.2.0": name and version, or "".
  std::string classification;  // "internal" | "personal" ...
  std::string product;  // Data product the point is stored under; defaults to the model's name.
  // What values are called, by value: of "oneOf" [{"const": true, "title": "running"}, ...].
  std::vector<std::pair<double, std::string>> words;
  ReportMode report;
  QualityRules quality;

  std::string path() const { return thing + "/" + property; }  // "pump-7/discharge_pressure"
};

}  // namespace penstock::things
