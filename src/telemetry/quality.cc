// One State per point in a dense array: the hot path touches one cache line or two per sample and
// allocates nothing.
//
// What the rules compare with: rate of change with the last sample that was not bad (a spike does
// not make its good successor look steep), a flat line with the first of the equal values.
// Duplicates are looked for only when time does not advance: a device or client that resends what
// it was not told to be durable resends the latest, one message or a request of thousands of lines.
// A duplicate is the same time and value as one of the latest rows of all points; the same time
// with another value (among the last eight of the point) is kept and marked, because we cannot know
// which of the two is true.
//
// A burst of a waveform is judged as one: any sample out of range marks it whole, equal samples (or
// the same samples again at a later time) are a flat line, rate of change does not apply.
#include "telemetry/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace penstock::telemetry {
namespace {

// Bad beats uncertain beats good; among equals the first reason stays.
void Worsen(Quality& quality, Quality to) {
  if ((to >> 30) > (quality >> 30)) quality = to;
}

// A value further out than the whole width of the range is no measurement: 0..16 bar, 40 bar.
Quality RangeQuality(double value, const things::QualityRules& rules) {
  const bool low = rules.minimum && value < *rules.minimum,
             high = rules.maximum && value > *rules.maximum;
  if (!low && !high) return kGood;
  if (rules.minimum && rules.maximum) {
    const double width = *rules.maximum - *rules.minimum;
    if (value > *rules.maximum + width || value < *rules.minimum - width) return kBadOutOfRange;
  }
  return kUncertainEngineeringUnitsExceeded;
}

uint64_t Mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 29);
}

uint64_t FingerprintOf(PointId point, Time time, double value) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  uint64_t hash = (static_cast<uint64_t>(ToMicros(time)) ^ uint64_t{point.value} << 40) * kOdd;
  hash = (hash ^ std::bit_cast<uint64_t>(value)) * kOdd;
  return (hash ^ hash >> 29) | 2;  // Neither kNothing nor kGone.
}

// Stands for the values of a burst among those of other times.
double BurstKey(const Batch& batch, size_t begin, size_t end) {
  uint64_t hash = end - begin;
  for (size_t i = begin; i < end; ++i) hash = Mix(hash, std::bit_cast<uint64_t>(batch.value[i]));
  return static_cast<double>(hash >> 12);
}

}  // namespace

// The slot of the fingerprint, or the free one where it would be.
size_t RecentRows::Find(const Slots& slots, uint64_t fingerprint) {
  size_t at = (fingerprint >> 32) % kSlots;
  while (slots[at] != kNothing && slots[at] != fingerprint) at = (at + 1) % kSlots;
  return at;
}

bool RecentRows::Has(uint64_t fingerprint) const {
  for (const Slots* slots : {&now_, &before_})
    if (!slots->empty() && (*slots)[Find(*slots, fingerprint)] == fingerprint) return true;
  return false;
}

void RecentRows::Add(uint64_t fingerprint) {
  if (count_ == kRows || now_.empty()) {
    before_.swap(now_);
    now_.assign(kSlots, kNothing);
    count_ = 0;
  }
  uint64_t& slot = now_[Find(now_, fingerprint)];
  if (slot == kNothing) ++count_;
  slot = fingerprint;
}

void RecentRows::Remove(uint64_t fingerprint) {
  for (Slots* slots : {&now_, &before_}) {
    if (slots->empty()) continue;
    uint64_t& slot = (*slots)[Find(*slots, fingerprint)];
    if (slot == fingerprint) slot = kGone;
  }
}

size_t BurstEnd(const Batch& batch, size_t begin, double sample_rate_hz, size_t max_rows) {
  const PointId id = batch.point[begin];
  const size_t limit = batch.size() - begin > max_rows ? begin + max_rows : batch.size();
  size_t end = begin + 1;
  if (sample_rate_hz <= 0) {
    while (end < limit && batch.point[end] == id) ++end;
    return end;
  }
  const Duration gap = FromSeconds(2 / sample_rate_hz);
  while (end < limit && batch.point[end] == id) {
    const Duration step = batch.source_time[end] - batch.source_time[end - 1];
    if (step.count() < 0 || step > gap) break;
    ++end;
  }
  return end;
}

void QualityMarker::SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
}

const things::Point* QualityMarker::PointOf(PointId id) const {
  return snapshot_ == nullptr ? nullptr : snapshot_->FindPoint(id);
}

QualityMarker::State& QualityMarker::StateOf(PointId id) {
  if (states_.size() <= id.value)
    states_.resize(std::max<size_t>(id.value + 1, states_.size() * 2));
  return states_[id.value];
}

QualityMarker::Fate QualityMarker::Quarantine(const Batch& batch, size_t row,
                                              const things::Point* point, const char* rule,
                                              std::string message) {
  quarantine_.Put(
      {.at = batch.ingest_time[row],
       .source = point != nullptr ? point->thing : "",
       .point = point != nullptr ? point->path() : fmt::format("#{}", batch.point[row].value),
       .rule = rule,
       .value = fmt::format("{}", batch.value[row]),
       .message = std::move(message)});
  return Fate::kQuarantine;
}

void QualityMarker::Remember(State& state, PointId id, Time source, Time ingest, double value) {
  recent_rows_.Add(FingerprintOf(id, source, value));
  state.recent[state.recent_next] = {source, value};
  state.recent_next = static_cast<uint8_t>((state.recent_next + 1) % state.recent.size());
  state.recent_count =
      static_cast<uint8_t>(std::min<size_t>(state.recent_count + 1, state.recent.size()));
  state.last_ingest = std::max(state.last_ingest, ingest);
  state.stale = false;
}

// What keeps a row from being a sample, or kKeep. For a burst: of its first row.
QualityMarker::Fate QualityMarker::JudgeAdmission(const Batch& batch, size_t row,
                                                  const things::Point* point) {
  if (point == nullptr) {
    return Quarantine(
        batch, row, point, "unknown_point",
        "no Thing Description has this point (any more); its file was removed or not yet read");
  }
  const Duration ahead = batch.source_time[row] - batch.ingest_time[row];
  const Duration allowed = point->quality.max_clock_skew.value_or(kDefaultClockSkew);
  if (ahead > allowed) {
    return Quarantine(
        batch, row, point, "clock_skew",
        fmt::format(
            "source time {} is {:.1f} s ahead of ours, at most {} allowed; set the device's "
            "clock",
            FormatTime(batch.source_time[row]), ToSeconds(ahead), FormatDuration(allowed)));
  }
  if (!std::isfinite(batch.value[row])) {
    return Quarantine(batch, row, point, "not_finite",
                      "the value is not a finite number; see the sensor's output");
  }
  return Fate::kKeep;
}

QualityMarker::Fate QualityMarker::JudgeSample(const Batch& batch, size_t row,
                                               const things::Point& point, Quality& quality) {
  State& state = StateOf(point.id);
  const Time time = batch.source_time[row];
  const double value = batch.value[row];
  if (time <= state.newest) {
    for (size_t i = 0; i < state.recent_count; ++i) {
      if (state.recent[i].time != time) continue;
      if (state.recent[i].value == value) return Fate::kDuplicate;
      Worsen(quality, kUncertainSubNormal);
    }
    if (recent_rows_.Has(FingerprintOf(point.id, time, value))) return Fate::kDuplicate;
  }
  const things::QualityRules& rules = point.quality;
  Worsen(quality, RangeQuality(value, rules));
  if (rules.max_rate_per_s && state.has_last && time > state.last_time) {
    const double rate = std::abs(value - state.last_value) / ToSeconds(time - state.last_time);
    if (rate > *rules.max_rate_per_s) Worsen(quality, kUncertainSubNormal);
  }
  if (rules.flat_after)
    JudgeFlat(state, time, std::abs(value - state.flat_value) <= rules.flat_tolerance, value,
              *rules.flat_after, quality);
  if (!IsBad(quality) && (!state.has_last || time > state.last_time)) {
    state.last_time = time;
    state.last_value = value;
    state.has_last = true;
  }
  state.newest = std::max(state.newest, time);
  Remember(state, point.id, time, batch.ingest_time[row], value);
  return Fate::kKeep;
}

void QualityMarker::JudgeFlat(State& state, Time time, bool same, double value, Duration after,
                              Quality& quality) {
  if (!state.has_flat || !same) {
    state.has_flat = true;
    state.flat_since = time;
    state.flat_value = value;
  } else if (time - state.flat_since >= after) {
    Worsen(quality, kBadSensorFailure);
  }
}

void QualityMarker::JudgeBurst(Batch& batch, size_t begin, size_t end, const things::Point& point) {
  for (size_t i = begin; i < end; ++i) {
    fates_[i] = i == begin || !std::isfinite(batch.value[i]) ? JudgeAdmission(batch, i, &point)
                                                             : fates_[begin];
    if (fates_[i] == Fate::kKeep) continue;
    // One wild value or clock spoils a spectrum: the burst goes as a whole, one entry tells of it.
    std::fill(fates_.begin() + static_cast<ptrdiff_t>(begin),
              fates_.begin() + static_cast<ptrdiff_t>(end), Fate::kQuarantine);
    return;
  }
  State& state = StateOf(point.id);
  const things::QualityRules& rules = point.quality;
  const Time time = batch.source_time[begin];
  Quality quality = kGood;
  double low = batch.value[begin], high = low;
  for (size_t i = begin; i < end; ++i) {
    Worsen(quality, batch.quality[i]);
    low = std::min(low, batch.value[i]);
    high = std::max(high, batch.value[i]);
  }
  const double key = BurstKey(batch, begin, end);
  bool again = recent_rows_.Has(FingerprintOf(point.id, time, key));
  for (size_t i = 0; i < state.recent_count; ++i) {
    if (state.recent[i].time != time) continue;
    again = again || state.recent[i].value == key;
    Worsen(quality, kUncertainSubNormal);
  }
  if (again) {
    std::fill(fates_.begin() + static_cast<ptrdiff_t>(begin),
              fates_.begin() + static_cast<ptrdiff_t>(end), Fate::kDuplicate);
    return;
  }
  Worsen(quality, RangeQuality(low, rules));
  Worsen(quality, RangeQuality(high, rules));
  if (rules.flat_after) {
    const bool same = high - low <= rules.flat_tolerance || key == state.flat_value;
    JudgeFlat(state, time, same, key, *rules.flat_after, quality);
  }
  std::fill(batch.quality.begin() + static_cast<ptrdiff_t>(begin),
            batch.quality.begin() + static_cast<ptrdiff_t>(end), quality);
  state.newest = std::max(state.newest, batch.source_time[end - 1]);
  state.last_value = batch.value[end - 1];
  state.has_last = true;
  Remember(state, point.id, time, batch.ingest_time[end - 1], key);
}

MarkOutcome QualityMarker::Mark(Batch& batch) {
  fates_.assign(batch.size(), Fate::kKeep);
  for (size_t begin = 0; begin < batch.size();) {
    const things::Point* point = PointOf(batch.point[begin]);
    if (point != nullptr && point->type == things::ValueType::kWaveform) {
      const size_t end = BurstEnd(batch, begin, point->sample_rate_hz);
      JudgeBurst(batch, begin, end, *point);
      begin = end;
      continue;
    }
    fates_[begin] = JudgeAdmission(batch, begin, point);
    if (fates_[begin] == Fate::kKeep)
      fates_[begin] = JudgeSample(batch, begin, *point, batch.quality[begin]);
    ++begin;
  }
  return Compact(batch);
}

MarkOutcome QualityMarker::Compact(Batch& batch) const {
  MarkOutcome outcome;
  size_t kept = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (fates_[i] == Fate::kDuplicate) outcome.duplicates.push_back(batch.point[i]);
    if (fates_[i] == Fate::kQuarantine) outcome.quarantined.push_back(batch.point[i]);
    if (fates_[i] != Fate::kKeep) continue;
    if (kept != i) {
      batch.point[kept] = batch.point[i];
      batch.source_time[kept] = batch.source_time[i];
      batch.ingest_time[kept] = batch.ingest_time[i];
      batch.value[kept] = batch.value[i];
      batch.quality[kept] = batch.quality[i];
    }
    ++kept;
  }
  batch.point.resize(kept);
  batch.source_time.resize(kept);
  batch.ingest_time.resize(kept);
  batch.value.resize(kept);
  batch.quality.resize(kept);
  return outcome;
}

void QualityMarker::Sweep(Time now, Batch& out) {
  for (size_t i = 0; i < states_.size(); ++i) {
    State& state = states_[i];
    if (!state.has_last || state.stale) continue;
    const PointId id{static_cast<uint32_t>(i)};
    const things::Point* point = PointOf(id);
    if (point == nullptr || !point->quality.stale_after) continue;
    if (now - state.last_ingest <= *point->quality.stale_after) continue;
    state.stale = true;
    // A lone sample would be no burst: a silent waveform is seen by its missing features.
    if (point->type == things::ValueType::kWaveform) continue;
    out.Add(id, now, now, state.last_value, kUncertainLastUsableValue);
  }
}

// Visits samples and whole bursts of known points: visit(point, begin, end, key), key as
// remembered.
template <typename Visit>
void QualityMarker::ForEachRow(const Batch& batch, const Visit& visit) const {
  for (size_t begin = 0; begin < batch.size();) {
    const things::Point* point = PointOf(batch.point[begin]);
    const bool waveform = point != nullptr && point->type == things::ValueType::kWaveform;
    const size_t end = waveform ? BurstEnd(batch, begin, point->sample_rate_hz) : begin + 1;
    if (point != nullptr)
      visit(*point, begin, end, waveform ? BurstKey(batch, begin, end) : batch.value[begin]);
    begin = end;
  }
}

void QualityMarker::Prime(const Batch& batch) {
  ForEachRow(batch, [&](const things::Point& point, size_t begin, size_t end, double key) {
    State& state = StateOf(point.id);
    const Time time = batch.source_time[begin];
    if (!IsBad(batch.quality[begin]) && (!state.has_last || time > state.last_time)) {
      state.last_time = time;
      state.last_value = batch.value[end - 1];
      state.has_last = true;
    }
    state.newest = std::max(state.newest, batch.source_time[end - 1]);
    const bool same =
        state.has_flat && std::abs(key - state.flat_value) <= point.quality.flat_tolerance;
    Quality ignored = kGood;
    JudgeFlat(state, time, same, key, Duration::max(), ignored);
    Remember(state, point.id, time, batch.ingest_time[end - 1], key);
  });
}

void QualityMarker::Forget(const Batch& batch) {
  ForEachRow(batch, [&](const things::Point& point, size_t begin, size_t, double key) {
    State& state = StateOf(point.id);
    state.recent_count = state.recent_next = 0;
    recent_rows_.Remove(FingerprintOf(point.id, batch.source_time[begin], key));
  });
}

}  // namespace penstock::telemetry
