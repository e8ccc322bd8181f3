// Statistics of a window are computed anew for every row from what the window holds: no running
// sums whose errors grow, and late samples simply take their place. For scalars that is one pass
// over the samples for the moments and one for the slope; for waveforms the expensive part
// (moments, FFT) was done once per burst when it ended.
//
// Over several bursts: rms, crest, kurtosis and bands are averaged; mean is the mean of the bursts'
// means; min, max and range are over all samples; deviation is the root of the mean variance; slope
// is that of the bursts' rms over time; last is the rms of the latest burst.
#include "telemetry/window.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::telemetry {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// A stream without gaps is cut into bursts of this size.
constexpr size_t kBurstSamplesMax = 8192;
// A runaway device cannot fill the memory: the oldest entries go first.
constexpr size_t kEntriesMax = 1 << 20;

// Moments about `center`, which also is what rms is about.
Moments About(std::span<const double> values, double center_for_rms, double mean) {
  Moments m;
  m.count = values.size();
  m.mean = mean;
  m.last = values.back();
  double m2 = 0, m4 = 0, square = 0, peak = 0;
  m.min = m.max = values.front();
  for (const double v : values) {
    const double d = v - mean, d2 = d * d;
    m2 += d2;
    m4 += d2 * d2;
    const double r = v - center_for_rms;
    square += r * r;
    peak = std::max(peak, std::abs(r));
    m.min = std::min(m.min, v);
    m.max = std::max(m.max, v);
  }
  const auto n = static_cast<double>(values.size());
  m.deviation = values.size() > 1 ? std::sqrt(m2 / (n - 1)) : kNone;
  m.rms = std::sqrt(square / n);
  m.crest = m.rms > 0 ? peak / m.rms : kNone;
  // Below this the "variation" is what rounding leaves of a constant.
  const double variance = m2 / n, rounding = 1e-12 * std::max(std::abs(m.min), std::abs(m.max));
  m.kurtosis = variance > rounding * rounding ? m4 / n / (variance * variance) : kNone;
  return m;
}

double MeanOf(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// Least squares through (time, value), per hour.
class Slope {
 public:
  void Add(Time time, double value) {
    if (count_ == 0) origin_ = time;
    const double x = ToSeconds(time - origin_);
    ++count_;
    sum_x_ += x;
    sum_y_ += value;
    sum_xx_ += x * x;
    sum_xy_ += x * value;
  }
  double per_hour() const {
    const auto n = static_cast<double>(count_);
    const double spread = sum_xx_ - sum_x_ * sum_x_ / n;
    if (count_ < 2 || !(spread > 0)) return kNone;
    return 3600 * (sum_xy_ - sum_x_ * sum_y_ / n) / spread;
  }

 private:
  Time origin_{};
  uint64_t count_ = 0;
  double sum_x_ = 0, sum_y_ = 0, sum_xx_ = 0, sum_xy_ = 0;
};

double Pick(const FeatureSpec& spec, const Moments& m, double slope) {
  const std::string_view s = spec.statistic;
  if (s == "mean") return m.mean;
  if (s == "min") return m.min;
  if (s == "max") return m.max;
  if (s == "deviation") return m.deviation;
  if (s == "rms") return m.rms;
  if (s == "slope") return slope;
  if (s == "crest") return m.crest;
  if (s == "kurtosis") return m.kurtosis;
  if (s == "last") return m.last;
  if (s == "range") return m.max - m.min;
  return kNone;  // band of a scalar
}

}  // namespace

Moments MomentsOf(std::span<const double> values) {
  return values.empty() ? Moments{} : About(values, 0, MeanOf(values));
}

Moments MomentsOfBurst(std::span<const double> values) {
  if (values.empty()) return {};
  const double mean = MeanOf(values);
  return About(values, mean, mean);
}

PointWindow::PointWindow(double sample_rate_hz, std::vector<std::pair<double, double>> bands)
    : sample_rate_hz_(sample_rate_hz), bands_(std::move(bands)) {}

void PointWindow::Insert(Entry entry) {
  if (entries_.size() >= kEntriesMax) entries_.pop_front();
  auto place = entries_.end();
  while (place != entries_.begin() && std::prev(place)->time > entry.time) --place;
  entries_.insert(place, std::move(entry));
}

void PointWindow::Add(const Batch& batch, size_t begin, size_t end, Spectrum& spectrum) {
  if (sample_rate_hz_ <= 0) {
    for (size_t i = begin; i < end; ++i) {
      const Time time = batch.source_time[i];
      Entry entry;
      entry.time = entry.last_time = time;
      entry.value = batch.value[i];
      entry.usable = IsUsable(batch.quality[i]);
      Insert(std::move(entry));
    }
    return;
  }
  const Duration gap = FromSeconds(2 / sample_rate_hz_);
  for (size_t i = begin; i < end; ++i) {
    const Time time = batch.source_time[i];
    const bool follows = !burst_.empty() && time >= burst_last_ && time - burst_last_ <= gap;
    if (!burst_.empty() && (!follows || burst_.size() >= kBurstSamplesMax)) CloseBurst(spectrum);
    if (burst_.empty()) {
      burst_first_ = time;
      burst_usable_ = true;
    }
    burst_.push_back(batch.value[i]);
    burst_last_ = time;
    burst_usable_ = burst_usable_ && IsUsable(batch.quality[i]);
  }
}

void PointWindow::CloseBurst(Spectrum& spectrum) {
  if (burst_.empty()) return;
  Entry entry;
  entry.time = burst_first_;
  entry.last_time = burst_last_;
  entry.samples = static_cast<uint32_t>(burst_.size());
  entry.usable = burst_usable_;
  if (burst_usable_) {
    const Moments m = MomentsOfBurst(burst_);
    entry.value = m.rms;
    entry.mean = m.mean;
    entry.min = m.min;
    entry.max = m.max;
    entry.variance = m.rms * m.rms;
    entry.crest = m.crest;
    entry.kurtosis = m.kurtosis;
    if (!bands_.empty()) {
      spectrum.Analyse(burst_, m.mean, sample_rate_hz_);
      for (const auto& [low, high] : bands_) {
        entry.bands.push_back(static_cast<float>(spectrum.BandRms(low, high)));
      }
    }
  }
  Insert(std::move(entry));
  burst_.clear();
}

void PointWindow::Forget(Time from) {
  while (!entries_.empty() && entries_.front().time < from) entries_.pop_front();
}

bool PointWindow::Has(Time from, Time to) const {
  const auto first = FirstAtOrAfter(from);
  return first && *first < to;
}

std::optional<Time> PointWindow::FirstAtOrAfter(Time from) const {
  const auto place = std::ranges::lower_bound(entries_, from, {}, &Entry::time);
  if (place == entries_.end()) return std::nullopt;
  return place->time;
}

WindowCounts PointWindow::Compute(Time from, Time to, std::span<const FeatureSpec* const> specs,
                                  int min_samples, std::span<double> values) const {
  const auto begin = std::ranges::lower_bound(entries_, from, {}, &Entry::time);
  const auto end = std::ranges::lower_bound(begin, entries_.end(), to, {}, &Entry::time);
  WindowCounts counts;
  Slope slope;
  std::vector<double> used;  // Scalars: values. Bursts: their rms.
  Moments over;              // Bursts: what is averaged over them.
  double variance = 0;
  size_t crests = 0, kurtoses = 0;
  std::vector<double> bands(bands_.size(), 0.0);
  const bool bursts = sample_rate_hz_ > 0;
  for (auto entry = begin; entry != end; ++entry) {
    if (counts.all == 0) counts.first = entry->time;
    counts.last = std::max(counts.last, entry->last_time);
    counts.all += entry->samples;
    if (!entry->usable) continue;
    counts.good += entry->samples;
    slope.Add(entry->time, entry->value);
    used.push_back(entry->value);
    if (!bursts) continue;
    over.min = used.size() == 1 ? entry->min : std::min(over.min, entry->min);
    over.max = used.size() == 1 ? entry->max : std::max(over.max, entry->max);
    over.mean += entry->mean;
    over.rms += entry->value;
    variance += entry->variance;
    if (!std::isnan(entry->crest)) over.crest += entry->crest, ++crests;
    if (!std::isnan(entry->kurtosis)) over.kurtosis += entry->kurtosis, ++kurtoses;
    for (size_t b = 0; b < bands.size(); ++b) bands[b] += static_cast<double>(entry->bands[b]);
  }
  const auto n = static_cast<double>(used.size());
  if (bursts && !used.empty()) {
    over.mean /= n;
    over.rms /= n;
    over.deviation = std::sqrt(variance / n);
    over.crest = crests > 0 ? over.crest / static_cast<double>(crests) : kNone;
    over.kurtosis = kurtoses > 0 ? over.kurtosis / static_cast<double>(kurtoses) : kNone;
    over.last = used.back();
  }
  const bool enough = !used.empty() && counts.good >= static_cast<uint32_t>(min_samples);
  const Moments moments = !enough ? Moments{} : bursts ? over : MomentsOf(used);
  for (size_t i = 0; i < specs.size(); ++i) {
    const FeatureSpec& spec = *specs[i];
    if (spec.statistic == "count") {
      values[i] = counts.good;
    } else if (!enough) {
      values[i] = kNone;
    } else if (spec.statistic == "band") {
      const auto band = std::ranges::find(bands_, std::pair(spec.band_low_hz, spec.band_high_hz));
      values[i] =
          band == bands_.end() ? kNone : bands[static_cast<size_t>(band - bands_.begin())] / n;
    } else {
      values[i] = Pick(spec, moments, slope.per_hour());
    }
  }
  return counts;
}

}  // namespace penstock::telemetry
