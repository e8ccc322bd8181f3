// One mutex: the writer is the pipeline's thread with a few batches per second, the readers are
// people's consoles. A batch is folded outside of per-sample work: one update per run of a point,
// so 2048 rows of a burst are one.
#include "telemetry/live_values.h"

#include <algorithm>

#include "telemetry/quality.h"
#include "telemetry/window.h"

namespace penstock::telemetry {

void LiveValues::SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  snapshot_ = std::move(snapshot);
}

void LiveValues::Observe(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  ++revision_;
  for (size_t begin = 0; begin < batch.size();) {
    const PointId id = batch.point[begin];
    const things::Point* point = snapshot_ == nullptr ? nullptr : snapshot_->FindPoint(id);
    size_t end = begin + 1;
    if (point != nullptr && point->type == things::ValueType::kWaveform &&
        point->sample_rate_hz > 0) {
      end = BurstEnd(batch, begin, point->sample_rate_hz);
      const Moments m = MomentsOfBurst(std::span(batch.value).subspan(begin, end - begin));
      Take(id, batch.source_time[begin], m.rms, batch.quality[begin], end - begin);
    } else if (point != nullptr) {
      Take(id, batch.source_time[begin], batch.value[begin], batch.quality[begin], 1);
    }
    begin = end;
  }
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(steady_().time_since_epoch()).count();
  RateSecond& slot = rate_[static_cast<size_t>(second) % kRateSeconds];
  if (slot.second != second) slot = {second, 0};
  slot.rows += batch.size();
}

void LiveValues::Take(PointId point, Time time, double value, Quality quality, uint64_t samples) {
  if (states_.size() <= point.value) states_.resize(point.value + 1);
  auto& state = states_[point.value];
  if (!state) state = std::make_unique<State>();
  const uint64_t seen = state->last.samples + samples;
  const bool newer = state->last.samples == 0 || time >= state->last.time;
  if (newer) {
    state->last = {point, value, quality, time, seen};
    state->revision = revision_;
  }
  state->last.samples = seen;
  if (!IsGood(quality)) return;
  const int64_t step = ToMicros(time) / kStepMicros;
  if (step < 0) return;
  Bucket& bucket = state->spark[static_cast<size_t>(step) % kSparkBuckets];
  if (step < bucket.step) return;  // Older than what the ring holds.
  if (step > bucket.step) bucket = {step, 0, 0};
  bucket.sum += value;
  ++bucket.count;
}

std::optional<LiveValue> LiveValues::Get(PointId point) const {
  const std::lock_guard lock(mutex_);
  if (point.value >= states_.size() || !states_[point.value]) return std::nullopt;
  return states_[point.value]->last;
}

std::array<std::optional<double>, LiveValues::kSparkBuckets> LiveValues::Spark(PointId point,
                                                                               Time now) const {
  std::array<std::optional<double>, kSparkBuckets> spark{};
  const std::lock_guard lock(mutex_);
  if (point.value >= states_.size() || !states_[point.value]) return spark;
  const int64_t last = ToMicros(now) / kStepMicros;
  for (size_t i = 0; i < kSparkBuckets; ++i) {
    const int64_t step = last - static_cast<int64_t>(kSparkBuckets - 1 - i);
    if (step < 0) continue;
    const Bucket& bucket = states_[point.value]->spark[static_cast<size_t>(step) % kSparkBuckets];
    if (bucket.step == step && bucket.count > 0) spark[i] = bucket.sum / bucket.count;
  }
  return spark;
}

std::vector<LiveValue> LiveValues::ChangedSince(uint64_t& revision) const {
  const std::lock_guard lock(mutex_);
  std::vector<LiveValue> changed;
  for (const auto& state : states_) {
    if (state && state->revision > revision) changed.push_back(state->last);
  }
  revision = revision_;
  return changed;
}

double LiveValues::samples_per_s() const {
  const std::lock_guard lock(mutex_);
  // Whole seconds before this one, at most as many as have passed since the first sample.
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(steady_().time_since_epoch()).count();
  uint64_t rows = 0;
  int64_t oldest = now;
  for (const auto& slot : rate_) {
    if (slot.second < 0 || slot.second >= now ||
        slot.second <= now - static_cast<int64_t>(kRateSeconds))
      continue;
    rows += slot.rows;
    oldest = std::min(oldest, slot.second);
  }
  return oldest == now ? 0 : static_cast<double>(rows) / static_cast<double>(now - oldest);
}

}  // namespace penstock::telemetry
