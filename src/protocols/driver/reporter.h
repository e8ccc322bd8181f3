// Decides which readings of a source's points become samples, by each point's report mode, and says
// once when a point falls silent.
//
// Thread rule: belongs to one driver; calls never overlap.
#pragma once

#include <span>
#include <vector>

#include "protocols/driver/driver.h"

namespace penstock::protocols {

class Reporter {
 public:
  explicit Reporter(std::span<const SourcePoint> points);

  // One reading of point `index`, already scaled. A value that is not finite becomes
  // Bad_SensorFailure. The value column is always finite: a bad sample carries the last value that
  // was reported, 0 if there is none.
  void Add(size_t index, Time source, Time ingest, double value, telemetry::Quality quality,
           telemetry::Batch& out);
  // A burst whose first sample was taken at `source`; spaced by the point's sample rate. Always
  // reported.
  void AddWaveform(size_t index, Time source, Time ingest, std::span<const double> values,
                   telemetry::Quality quality, telemetry::Batch& out);
  // The point cannot be read: one bad sample for each time it falls silent, not one per attempt.
  void Fail(size_t index, Time at, telemetry::Quality quality, telemetry::Batch& out);

 private:
  struct State {
    PointId id;
    things::ReportMode mode;
    double sample_rate_hz = 0;
    bool reported = false;
    double value = 0;
    telemetry::Quality quality = telemetry::kGood;
    Time at{};  // Ingest time of the last sample passed on.
  };
  bool Passes(const State& state, Time ingest, double value, telemetry::Quality quality) const;

  std::vector<State> states_;
};

}  // namespace penstock::protocols
