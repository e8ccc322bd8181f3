#include "protocols/driver/reporter.h"

#include <cmath>

#include "base/check.h"

namespace penstock::protocols {

Reporter::Reporter(std::span<const SourcePoint> points) {
  states_.reserve(points.size());
  for (const SourcePoint& each : points) {
    states_.push_back({.id = each.point.id,
                       .mode = each.point.report,
                       .sample_rate_hz = each.point.sample_rate_hz});
  }
}

bool Reporter::Passes(const State& state, Time ingest, double value,
                      telemetry::Quality quality) const {
  if (!state.reported || quality != state.quality) return true;
  if (telemetry::IsBad(quality)) return false;  // Said once; it has no value that could change.
  if (!state.mode.on_change) return true;
  const auto& longest = state.mode.max_interval;
  if (longest > Duration{0} && ingest - state.at >= longest) return true;
  const double change = std::abs(value - state.value);
  return state.mode.deadband > 0 ? change >= state.mode.deadband : change > 0;
}

void Reporter::Add(size_t index, Time source, Time ingest, double value, telemetry::Quality quality,
                   telemetry::Batch& out) {
  CHECK(index < states_.size());
  State& state = states_[index];
  if (!std::isfinite(value)) {
    value = state.value;
    if (!telemetry::IsBad(quality)) quality = telemetry::kBadSensorFailure;
  }
  if (!Passes(state, ingest, value, quality)) return;
  state.reported = true;
  state.value = value;
  state.quality = quality;
  state.at = ingest;
  out.Add(state.id, source, ingest, value, quality);
}

void Reporter::AddWaveform(size_t index, Time source, Time ingest, std::span<const double> values,
                           telemetry::Quality quality, telemetry::Batch& out) {
  CHECK(index < states_.size());
  State& state = states_[index];
  state.reported = true;
  state.quality = quality;
  state.at = ingest;
  const double step_us = state.sample_rate_hz > 0 ? 1e6 / state.sample_rate_hz : 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const Time at = source + Duration(std::llround(static_cast<double>(i) * step_us));
    const bool finite = std::isfinite(values[i]);
    if (finite) state.value = values[i];
    const bool failed = !finite && !telemetry::IsBad(quality);
    out.Add(state.id, at, ingest, state.value, failed ? telemetry::kBadSensorFailure : quality);
  }
}

void Reporter::Fail(size_t index, Time at, telemetry::Quality quality, telemetry::Batch& out) {
  CHECK(index < states_.size());
  State& state = states_[index];
  if (state.reported && state.quality == quality) return;
  state.reported = true;
  state.quality = quality;
  state.at = at;
  out.Add(state.id, at, at, state.value, quality);
}

}  // namespace penstock::protocols
