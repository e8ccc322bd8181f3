// The usual sample (its time advances, its point has no flat-line rule, its value is a number
// within its range and its contract's and does not change too fast) is judged with one cache line
// of its point and two lines written: its newest times and its place among the recent rows. It
// allocates nothing. Everything else takes the long way.
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
#include <limits>

#include "telemetry/batch_rows.h"

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

uint64_t* RecentRows::Generation::Find(uint64_t fingerprint) {
  size_t at = (fingerprint >> 32) % kSlots;
  while (slots[at] != kNothing && slots[at] != fingerprint) at = (at + 1) % kSlots;
  return &slots[at];
}

void RecentRows::Generation::Index() {
  if (slots.empty()) slots.assign(kSlots, kNothing);
  for (; indexed < list.size(); ++indexed) *Find(list[indexed]) = list[indexed];
}

void RecentRows::Turn() {
  std::swap(now_, before_);
  now_.list.clear();
  now_.list.reserve(kRows);
  now_.indexed = 0;
  if (!now_.slots.empty()) std::ranges::fill(now_.slots, kNothing);
}

bool RecentRows::Has(uint64_t fingerprint) {
  for (Generation* generation : {&now_, &before_}) {
    if (generation->list.empty()) continue;
    generation->Index();
    if (*generation->Find(fingerprint) == fingerprint) return true;
  }
  return false;
}

void RecentRows::Remove(uint64_t fingerprint) {
  for (Generation* generation : {&now_, &before_}) {
    if (generation->list.empty()) continue;
    generation->Index();
    uint64_t* slot = generation->Find(fingerprint);
    if (*slot == fingerprint) *slot = kGone;
  }
}

void QualityMarker::SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  if (!snapshot_->by_id.empty()) HotOf(PointId{static_cast<uint32_t>(snapshot_->by_id.size() - 1)});
  for (size_t i = 0; i < hot_.size(); ++i) TakeRules(PointId{static_cast<uint32_t>(i)}, hot_[i]);
}

void QualityMarker::SetLimits(std::shared_ptr<const ValueLimits> limits) {
  if (limits == limits_) return;
  limits_ = std::move(limits);
  for (size_t i = 0; i < hot_.size(); ++i) TakeRules(PointId{static_cast<uint32_t>(i)}, hot_[i]);
}

void QualityMarker::TakeRules(PointId id, Hot& hot) {
  const things::Point* point = PointOf(id);
  hot.flags = 0;
  if (point == nullptr) return;
  const things::QualityRules& rules = point->quality;
  hot.flags = kKnown;
  if (point->type == things::ValueType::kWaveform) hot.flags |= kWaveform;
  if (rules.flat_after) hot.flags |= kFlatRule;
  if (rules.stale_after) hot.flags |= kMayBeStale;
  if (rules.max_rate_per_s) {
    hot.flags |= kRateRule;
    if (rates_.size() <= id.value) rates_.resize(hot_.size());
    rates_[id.value] = *rules.max_rate_per_s;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  hot.minimum = rules.minimum.value_or(-kInfinity);
  hot.maximum = rules.maximum.value_or(kInfinity);
  hot.skew = rules.max_clock_skew.value_or(kDefaultClockSkew);
  if (limits_ == nullptr) return;
  const ValueLimit limit = limits_->Of(id);
  if (limit.MoreThanRange()) hot.flags |= kCloser;
  if (limit.low > limit.high) return;
  hot.minimum = std::max<double>(hot.minimum, limit.low);
  hot.maximum = std::min<double>(hot.maximum, limit.high);
}

const things::Point* QualityMarker::PointOf(PointId id) const {
  return snapshot_ == nullptr ? nullptr : snapshot_->FindPoint(id);
}

QualityMarker::Hot& QualityMarker::HotOf(PointId id) {
  if (hot_.size() <= id.value) {
    hot_.resize(id.value + 1);
    recent_.resize(hot_.size());
    flat_.resize(hot_.size());
  }
  return hot_[id.value];
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

inline QualityMarker::Seen QualityMarker::Seen::Of(Time time, double value) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  return {static_cast<uint32_t>(static_cast<uint64_t>(ToMicros(time)) * kOdd >> 32),
          static_cast<uint32_t>(std::bit_cast<uint64_t>(value) * kOdd >> 32)};
}

inline void QualityMarker::Remember(Hot& hot, PointId id, Time source, Time ingest, double value) {
  recent_rows_.Add(FingerprintOf(id, source, value));
  auto& rows = recent_[id.value].rows;
  rows[hot.recent_next] = Seen::Of(source, value);
  hot.recent_next = static_cast<uint8_t>((hot.recent_next + 1) % rows.size());
  hot.recent_count = static_cast<uint8_t>(std::min<size_t>(hot.recent_count + 1U, rows.size()));
  hot.last_ingest = std::max(hot.last_ingest, ingest);
  hot.stale = false;
}

// Surely no faster than allowed; at the very edge the long way decides.
inline bool QualityMarker::RateIsUsual(const Hot& hot, PointId id, Time time, double value) const {
  if (!hot.has_last || time <= hot.last_time) return true;
  constexpr double kSurely = 1 - 1e-9;
  return std::abs(value - hot.last_value) <=
         kSurely * rates_[id.value] * ToSeconds(time - hot.last_time);
}

// The whole judgement of a sample about which nothing is unusual; else the long way.
inline QualityMarker::Fate QualityMarker::JudgeUsual(const Batch& batch, size_t row,
                                                     Quality& quality) {
  const PointId id = batch.point[row];
  Hot& hot = hot_[id.value];
  const Time time = batch.source_time[row], ingest = batch.ingest_time[row];
  const double value = batch.value[row];
  const bool usual = (hot.flags & kFlatRule) == 0 && time > hot.newest &&
                     time - ingest <= hot.skew && value >= hot.minimum && value <= hot.maximum &&
                     std::isfinite(value) &&
                     ((hot.flags & kRateRule) == 0 || RateIsUsual(hot, id, time, value));
  if (!usual) {
    const things::Point* point = PointOf(id);
    Fate fate = JudgeAdmission(batch, row, point);
    if (fate == Fate::kKeep) fate = JudgeSample(batch, row, *point, quality);
    if (fate == Fate::kKeep && Suspect(id, value)) suspects_.push_back(static_cast<uint32_t>(row));
    return fate;
  }
  if ((hot.flags & kCloser) != 0 && Suspect(id, value))
    suspects_.push_back(static_cast<uint32_t>(row));
  hot.newest = time;
  if (!IsBad(quality) && (!hot.has_last || time > hot.last_time)) {
    hot.last_time = time;
    hot.last_value = value;
    hot.has_last = true;
  }
  Remember(hot, id, time, ingest, value);
  return Fate::kKeep;
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
  Hot& hot = HotOf(point.id);
  const Time time = batch.source_time[row];
  const double value = batch.value[row];
  if (time <= hot.newest) {
    const auto& rows = recent_[point.id.value].rows;
    const Seen seen = Seen::Of(time, value);
    for (size_t i = 0; i < hot.recent_count; ++i) {
      if (rows[i].time != seen.time) continue;
      if (rows[i] == seen) return Fate::kDuplicate;
      Worsen(quality, kUncertainSubNormal);
    }
    if (recent_rows_.Has(FingerprintOf(point.id, time, value))) return Fate::kDuplicate;
  }
  const things::QualityRules& rules = point.quality;
  Worsen(quality, RangeQuality(value, rules));
  if (rules.max_rate_per_s && hot.has_last && time > hot.last_time) {
    const double rate = std::abs(value - hot.last_value) / ToSeconds(time - hot.last_time);
    if (rate > *rules.max_rate_per_s) Worsen(quality, kUncertainSubNormal);
  }
  if (rules.flat_after) {
    Flat& flat = flat_[point.id.value];
    JudgeFlat(flat, time, std::abs(value - flat.value) <= rules.flat_tolerance, value,
              *rules.flat_after, quality);
  }
  if (!IsBad(quality) && (!hot.has_last || time > hot.last_time)) {
    hot.last_time = time;
    hot.last_value = value;
    hot.has_last = true;
  }
  hot.newest = std::max(hot.newest, time);
  Remember(hot, point.id, time, batch.ingest_time[row], value);
  return Fate::kKeep;
}

void QualityMarker::JudgeFlat(Flat& flat, Time time, bool same, double value, Duration after,
                              Quality& quality) {
  if (!flat.has || !same) {
    flat = {true, time, value};
  } else if (time - flat.since >= after) {
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
  Hot& hot = HotOf(point.id);
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
  const auto& rows = recent_[point.id.value].rows;
  const Seen seen = Seen::Of(time, key);
  for (size_t i = 0; i < hot.recent_count; ++i) {
    if (rows[i].time != seen.time) continue;
    again = again || rows[i] == seen;
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
    Flat& flat = flat_[point.id.value];
    const bool same = high - low <= rules.flat_tolerance || key == flat.value;
    JudgeFlat(flat, time, same, key, *rules.flat_after, quality);
  }
  std::fill(batch.quality.begin() + static_cast<ptrdiff_t>(begin),
            batch.quality.begin() + static_cast<ptrdiff_t>(end), quality);
  if ((hot.flags & kCloser) != 0 || Suspect(point.id, low) || Suspect(point.id, high))
    suspects_.push_back(static_cast<uint32_t>(begin));
  hot.newest = std::max(hot.newest, batch.source_time[end - 1]);
  hot.last_value = batch.value[end - 1];
  hot.has_last = true;
  Remember(hot, point.id, time, batch.ingest_time[end - 1], key);
}

// Points in no order would cost two waits for memory per row.
inline void QualityMarker::FetchAhead(const Batch& batch, size_t row) const {
  if (row >= batch.size() || batch.point[row].value >= hot_.size()) return;
  __builtin_prefetch(&hot_[batch.point[row].value], 1);
  __builtin_prefetch(&recent_[batch.point[row].value], 1);
}

MarkOutcome QualityMarker::Mark(Batch& batch) {
  fates_.assign(batch.size(), Fate::kKeep);
  suspects_.clear();
  bool all_kept = true;
  for (size_t begin = 0; begin < batch.size();) {
    const PointId id = batch.point[begin];
    FetchAhead(batch, begin + kFetchAhead);
    const uint8_t flags = id.value < hot_.size() ? hot_[id.value].flags : uint8_t{0};
    if ((flags & kWaveform) != 0) {
      const things::Point& point = *PointOf(id);
      const size_t end = BurstEnd(batch, begin, point.sample_rate_hz);
      JudgeBurst(batch, begin, end, point);
      all_kept = all_kept && fates_[begin] == Fate::kKeep;
      begin = end;
      continue;
    }
    fates_[begin] = flags == 0 ? JudgeAdmission(batch, begin, nullptr)
                               : JudgeUsual(batch, begin, batch.quality[begin]);
    all_kept = all_kept && fates_[begin] == Fate::kKeep;
    ++begin;
  }
  if (!all_kept) return Compact(batch);
  MarkOutcome outcome;
  outcome.suspects = suspects_;
  return outcome;
}

MarkOutcome QualityMarker::Compact(Batch& batch) {
  MarkOutcome outcome;
  outcome.suspects = suspects_;
  size_t kept = 0, suspect = 0;
  KeepRows(batch, [&](size_t row) {
    if (suspect < suspects_.size() && suspects_[suspect] == row)
      suspects_[suspect++] = static_cast<uint32_t>(kept);
    kept += fates_[row] == Fate::kKeep ? 1U : 0U;
    if (fates_[row] == Fate::kDuplicate) outcome.duplicates.push_back(batch.point[row]);
    if (fates_[row] == Fate::kQuarantine) outcome.quarantined.push_back(batch.point[row]);
    return fates_[row] == Fate::kKeep;
  });
  return outcome;
}

void QualityMarker::Sweep(Time now, Batch& out) {
  for (size_t i = 0; i < hot_.size(); ++i) {
    Hot& hot = hot_[i];
    if ((hot.flags & kMayBeStale) == 0 || !hot.has_last || hot.stale) continue;
    const PointId id{static_cast<uint32_t>(i)};
    const things::Point* point = PointOf(id);
    if (now - hot.last_ingest <= *point->quality.stale_after) continue;
    hot.stale = true;
    // A lone sample would be no burst: a silent waveform is seen by its missing features.
    if (point->type == things::ValueType::kWaveform) continue;
    out.Add(id, now, now, hot.last_value, kUncertainLastUsableValue);
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
    Hot& hot = HotOf(point.id);
    const Time time = batch.source_time[begin];
    if (!IsBad(batch.quality[begin]) && (!hot.has_last || time > hot.last_time)) {
      hot.last_time = time;
      hot.last_value = batch.value[end - 1];
      hot.has_last = true;
    }
    hot.newest = std::max(hot.newest, batch.source_time[end - 1]);
    Flat& flat = flat_[point.id.value];
    const bool same = flat.has && std::abs(key - flat.value) <= point.quality.flat_tolerance;
    Quality ignored = kGood;
    JudgeFlat(flat, time, same, key, Duration::max(), ignored);
    Remember(hot, point.id, time, batch.ingest_time[end - 1], key);
  });
}

void QualityMarker::Forget(const Batch& batch) {
  ForEachRow(batch, [&](const things::Point& point, size_t begin, size_t, double key) {
    Hot& hot = HotOf(point.id);
    hot.recent_count = hot.recent_next = 0;
    recent_rows_.Remove(FingerprintOf(point.id, batch.source_time[begin], key));
  });
}

}  // namespace penstock::telemetry
