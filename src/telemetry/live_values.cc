// One mutex: the writer is the pipeline's thread with a few batches per second, the readers are
// people's consoles. A batch is folded outside of per-sample work where it can be: one update per
// burst of a waveform. A point that nobody looks at costs one line of the flat array.
#include "telemetry/live_values.h"

#include <algorithm>

#include "telemetry/batch_rows.h"
#include "telemetry/window.h"

namespace penstock::telemetry {

void LiveValues::SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot) {
  const std::lock_guard lock(mutex_);
  if (states_.size() < snapshot->by_id.size()) states_.resize(snapshot->by_id.size());
  for (size_t i = 0; i < states_.size(); ++i) {
    const things::Point* point = snapshot->FindPoint(PointId{static_cast<uint32_t>(i)});
    State& state = states_[i];
    state.known = point != nullptr;
    state.waveform = point != nullptr && point->type == things::ValueType::kWaveform &&
                     point->sample_rate_hz > 0;
    state.sample_rate_hz = state.waveform ? static_cast<float>(point->sample_rate_hz) : 0;
  }
}

void LiveValues::LoadSparksWith(SparkLoader loader) {
  const std::lock_guard lock(mutex_);
  loader_ = std::move(loader);
}

void LiveValues::Restore(const Batch& last_known) {
  const std::lock_guard lock(mutex_);
  Fold(last_known);
}

void LiveValues::Observe(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  Fold(batch);
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(steady_().time_since_epoch()).count();
  RateSecond& slot = rate_[static_cast<size_t>(second) % kRateSeconds];
  if (slot.second != second) slot = {second, 0};
  slot.rows += batch.size();
}

void LiveValues::Fold(const Batch& batch) {
  ++revision_;
  for (size_t begin = 0; begin < batch.size();) {
    const PointId id = batch.point[begin];
    if (id.value >= states_.size() || !states_[id.value].known) {
      ++begin;
      continue;
    }
    State& state = states_[id.value];
    size_t end = begin + 1;
    double value = batch.value[begin];
    if (state.waveform) {
      end = BurstEnd(batch, begin, double{state.sample_rate_hz});
      value = MomentsOfBurst(std::span(batch.value).subspan(begin, end - begin)).rms;
    }
    Take(state, id, batch.source_time[begin], value, batch.quality[begin], end - begin);
    begin = end;
  }
}

void LiveValues::Take(State& state, PointId point, Time time, double value, Quality quality,
                      uint64_t samples) {
  const uint64_t seen = state.last.samples + samples;
  if (state.last.samples == 0 || time >= state.last.time) {
    state.last = {point, value, quality, time, seen};
    state.revision = revision_;
  }
  state.last.samples = seen;
  if (!IsGood(quality)) return;
  if (state.spark == kNoSpark && (!loader_ || state.waveform) && sparks_.size() < kSparksMax)
    NewSpark(point);
  if (state.spark != kNoSpark) AddToSpark(sparks_[state.spark], time, value);
}

void LiveValues::AddToSpark(SparkState& spark, Time time, double value) {
  const int64_t step = ToMicros(time) / kStepMicros;
  if (step < 0) return;
  Bucket& bucket = spark.buckets[static_cast<size_t>(step) % kSparkBuckets];
  if (step < bucket.step) return;  // Older than what the ring holds.
  if (step > bucket.step) bucket = {step, 0, 0};
  bucket.sum += value;
  ++bucket.count;
}

// A free place, or that of the sparkline longest not asked for.
LiveValues::SparkState* LiveValues::NewSpark(PointId point) {
  SparkState* spark = nullptr;
  if (sparks_.size() < kSparksMax) {
    spark = &sparks_.emplace_back();
  } else {
    spark = &*std::ranges::min_element(sparks_, {}, &SparkState::asked);
    states_[spark->point.value].spark = kNoSpark;
    *spark = {};
  }
  spark->point = point;
  spark->asked = ++askings_;
  states_[point.value].spark = static_cast<uint32_t>(spark - sparks_.data());
  return spark;
}

std::optional<LiveValue> LiveValues::Get(PointId point) const {
  const std::lock_guard lock(mutex_);
  if (point.value >= states_.size() || states_[point.value].last.samples == 0) return std::nullopt;
  return states_[point.value].last;
}

LiveValues::Spark48 LiveValues::Spark(PointId point, Time now) {
  SparkLoader loader;
  {
    const std::lock_guard lock(mutex_);
    if (point.value >= states_.size() || !states_[point.value].known) return {};
    const State& state = states_[point.value];
    if (state.spark != kNoSpark) {
      sparks_[state.spark].asked = ++askings_;
      return ReadSpark(sparks_[state.spark], now);
    }
    if (!loader_ || state.waveform) return {};
    loader = loader_;
  }
  // Without the lock: a query takes milliseconds. What comes meanwhile is in the query's answer, or
  // missing from one mean.
  const int64_t first = ToMicros(now) / kStepMicros - static_cast<int64_t>(kSparkBuckets - 1);
  const Spark48 past = loader(point, FromMicros(first * kStepMicros));
  const std::lock_guard lock(mutex_);
  if (states_[point.value].spark == kNoSpark) {
    SparkState& spark = *NewSpark(point);
    for (size_t i = 0; i < kSparkBuckets; ++i) {
      if (past[i] && first >= 0)
        AddToSpark(spark, FromMicros((first + static_cast<int64_t>(i)) * kStepMicros), *past[i]);
    }
  }
  return ReadSpark(sparks_[states_[point.value].spark], now);
}

LiveValues::Spark48 LiveValues::ReadSpark(const SparkState& state, Time now) const {
  Spark48 spark{};
  const int64_t last = ToMicros(now) / kStepMicros;
  for (size_t i = 0; i < kSparkBuckets; ++i) {
    const int64_t step = last - static_cast<int64_t>(kSparkBuckets - 1 - i);
    if (step < 0) continue;
    const Bucket& bucket = state.buckets[static_cast<size_t>(step) % kSparkBuckets];
    if (bucket.step == step && bucket.count > 0) spark[i] = bucket.sum / bucket.count;
  }
  return spark;
}

std::vector<LiveValue> LiveValues::ChangedSince(uint64_t& revision) const {
  const std::lock_guard lock(mutex_);
  std::vector<LiveValue> changed;
  for (const auto& state : states_) {
    if (state.revision > revision) changed.push_back(state.last);
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
