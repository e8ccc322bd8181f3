// A multivariate exponentially weighted moving average chart (Lowry, Woodall, Champ, Rigdon 1992)
// made fit for plants:
//  - each feature is measured from the baseline of the mode the thing runs in, in units of its own
//  spread;
//  - the deviations are smoothed, so that a small lasting shift stands out from large passing
//  noise;
//  - their distance is Mahalanobis' with a covariance shrunk towards a sphere (Ledoit and Wolf 2004
//  in spirit, with a
//    fixed weight), estimated from the smoothed deviations themselves, which knows how they move
//    together and how slowly;
//  - how strange a distance is comes from the tail of the distances in normal operation (tail.h);
//  - the baseline follows slowly, a row moving it at most three spreads' worth, five times slower
//  while the row
//    itself is judged strange, and not at all while an alarm is open: seasons are learnt, faults
//    are not.
// The distance is a sum over features, w_i (P w)_i, and so explains itself.
#include <algorithm>
#include <cmath>

#include "learning/detector.h"
#include "learning/detector/modes.h"
#include "learning/detector/tail.h"
#include "learning/linear.h"

namespace penstock::learning {
namespace {

constexpr double kSmoothing = 0.15, kShrink = 0.1;
constexpr double kClip = 10;  // Of deviations, in spreads: one wild value is not ten.
constexpr double kPull = 3;   // The most that one row counts for the baseline.
constexpr double kStrangePull = 0.2;
constexpr size_t kWarmUpRowsMax = 20'000, kFeaturesMax = 512;

class Mewma final : public Detector {
 public:
  explicit Mewma(const DetectorOptions& options) : options_(options) {
    smooth_.assign(options.features, 0.0);
  }

  Status Fit(std::span<const std::vector<double>> rows, const std::vector<bool>& fresh) override {
    if (rows.size() < std::max<size_t>(60, 2 * options_.features))
      return FailedPrecondition("{} rows of {} features are too few to know what is normal",
                                rows.size(), options_.features);
    TRY(FindSpreads(rows));
    std::vector<std::vector<double>> standard;
    for (const auto& row : rows) standard.push_back(Deviation(row, middle_, spread_));
    const Modes modes = FindModes(standard);
    mode_spread_ = spread_;
    if (modes.centers.size() > 1) FindSpreadsWithin(rows, modes);
    mode_centers_ = modes.centers;
    baselines_.clear();
    for (uint32_t m = 0; m < modes.centers.size(); ++m)
      baselines_.push_back(FirstBaseline(rows, modes, m));

    // Once through, with the baseline following: what the smoothed deviations do in normal
    // operation.
    const size_t skip = rows.size() / 10;
    std::vector<std::vector<double>> seen;
    std::fill(smooth_.begin(), smooth_.end(), 0.0);
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint32_t mode = Step(rows[i], fresh.size() > i && fresh[i]);
      if (i >= skip) seen.push_back(smooth_);
      Follow(rows[i], mode, 1);
    }
    TRY(FindPrecision(seen));
    std::vector<double> scores;
    for (const auto& smooth : seen) scores.push_back(Score(smooth, nullptr));
    ASSIGN_OR_RETURN(tail_, Tail::Fit(scores));
    ready_ = true;
    return {};
  }

  DetectorVerdict Observe(std::span<const double> row, bool may_learn, bool fresh) override {
    if (row.size() != options_.features) return {};
    if (!ready_) {
      WarmUp(row, may_learn, fresh);
      return {};
    }
    DetectorVerdict verdict;
    verdict.ready = true;
    const uint32_t mode = Step(row, fresh);
    verdict.score = Score(smooth_, &verdict.contributions);
    const double rows = tail_.RowsPerExceedance(verdict.score);
    verdict.p = rows / (rows + options_.false_alarm_rows);
    for (size_t f = 0; f < row.size(); ++f) {
      const double reach = 1.645 * std::max(spread_[f], 0.0);
      verdict.low.push_back(baselines_[mode][f] - reach);
      verdict.high.push_back(baselines_[mode][f] + reach);
    }
    if (may_learn) Follow(row, mode, verdict.p >= 0.5 ? kStrangePull : 1);
    return verdict;
  }

  Json Save() const override {
    if (!ready_) return {{"ready", false}, {"features", options_.features}};
    return {{"ready", true},
            {"features", options_.features},
            {"middle", middle_},
            {"spread", spread_},
            {"mode_spread", mode_spread_},
            {"mode_centers", mode_centers_},
            {"baselines", baselines_},
            {"precision", precision_.values},
            {"tail", tail_.ToJson()}};
  }

  Status Restore(const Json& state) override {
    try {
      if (state.at("features").get<size_t>() != options_.features)
        return FailedPrecondition("the state is of {} features, not {}",
                                  state.at("features").get<size_t>(), options_.features);
      if (!state.at("ready").get<bool>()) return {};
      Mewma read(options_);
      read.middle_ = state.at("middle").get<std::vector<double>>();
      read.spread_ = state.at("spread").get<std::vector<double>>();
      read.mode_spread_ = state.at("mode_spread").get<std::vector<double>>();
      read.mode_centers_ = state.at("mode_centers").get<std::vector<std::vector<double>>>();
      read.baselines_ = state.at("baselines").get<std::vector<std::vector<double>>>();
      read.precision_ = SquareMatrix(options_.features);
      read.precision_.values = state.at("precision").get<std::vector<double>>();
      ASSIGN_OR_RETURN(read.tail_, Tail::FromJson(state.at("tail")));
      TRY(read.CheckSizes());
      read.ready_ = true;
      *this = std::move(read);
      return {};
    } catch (const Json::exception& error) {
      return InvalidArgument("no state of a detector: {}", error.what());
    }
  }

 private:
  Status CheckSizes() const {
    const size_t n = options_.features;
    const auto fits = [&](const auto& list) { return list.size() == n; };
    if (!fits(middle_) || !fits(spread_) || !fits(mode_spread_) ||
        precision_.values.size() != n * n || baselines_.empty() ||
        baselines_.size() != mode_centers_.size() ||
        !std::all_of(baselines_.begin(), baselines_.end(), fits) ||
        !std::all_of(mode_centers_.begin(), mode_centers_.end(), fits))
      return InvalidArgument("a detector's state does not hold together");
    return {};
  }

  void WarmUp(std::span<const double> row, bool may_learn, bool fresh) {
    if (!may_learn) return;
    warm_rows_.emplace_back(row.begin(), row.end());
    warm_fresh_.push_back(fresh);
    if (warm_rows_.size() < options_.warm_up) return;
    if (!Fit(warm_rows_, warm_fresh_) && warm_rows_.size() < kWarmUpRowsMax) return;
    warm_rows_ = {};
    warm_fresh_ = {};
  }

  // The spread is the median absolute deviation; where most values are equal, the standard
  // deviation has a say. 0: the feature never moved, so it has no scale to be judged by.
  Status FindSpreads(std::span<const std::vector<double>> rows) {
    middle_.assign(options_.features, 0.0);
    spread_.assign(options_.features, 0.0);
    bool moves = false;
    for (size_t f = 0; f < options_.features; ++f) {
      std::vector<double> values;
      double sum = 0, square = 0;
      for (const auto& row : rows) {
        if (std::isfinite(row[f])) values.push_back(row[f]);
      }
      if (2 * values.size() < rows.size()) continue;
      const auto n = static_cast<double>(values.size());
      for (const double value : values) sum += value;
      for (const double value : values) square += (value - sum / n) * (value - sum / n);
      middle_[f] = Quantile(values, 0.5);
      for (double& value : values) value = std::abs(value - middle_[f]);
      const double spread = std::max(1.4826 * Quantile(values, 0.5), 0.3 * std::sqrt(square / n));
      if (spread <= 1e-9 * std::abs(middle_[f]) || spread < 1e-300) continue;
      spread_[f] = spread;
      moves = true;
    }
    if (!moves) return FailedPrecondition("no feature moves");
    return {};
  }

  // With several modes a feature's spread is that around the middle of its mode.
  void FindSpreadsWithin(std::span<const std::vector<double>> rows, const Modes& modes) {
    for (size_t f = 0; f < options_.features; ++f) {
      if (spread_[f] == 0) continue;
      std::vector<double> middles, distances;
      for (uint32_t m = 0; m < modes.centers.size(); ++m) {
        std::vector<double> values;
        for (size_t i = 0; i < rows.size(); ++i) {
          if (modes.of_row[i] == m) values.push_back(rows[i][f]);
        }
        middles.push_back(Quantile(std::move(values), 0.5));
      }
      double square = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        const double distance = std::abs(rows[i][f] - middles[modes.of_row[i]]);
        if (!std::isfinite(distance)) continue;
        distances.push_back(distance);
        square += distance * distance;
      }
      const double deviation =
          std::sqrt(square / std::max<double>(1, static_cast<double>(distances.size())));
      const double within = std::max(1.4826 * Quantile(distances, 0.5), 0.3 * deviation);
      spread_[f] = within > 1e-6 * spread_[f] ? within : 0;
    }
  }

  std::vector<double> Deviation(std::span<const double> row, std::span<const double> from,
                                std::span<const double> spread) const {
    std::vector<double> z(row.size());
    for (size_t f = 0; f < row.size(); ++f) {
      const bool counts = spread[f] > 0 && std::isfinite(row[f]);
      z[f] = counts ? std::clamp((row[f] - from[f]) / spread[f], -kClip, kClip) : 0;
    }
    return z;
  }

  // The median of a mode's first tenth (at least 10 rows): where it was when the rows began.
  std::vector<double> FirstBaseline(std::span<const std::vector<double>> rows, const Modes& modes,
                                    uint32_t mode) const {
    const auto count =
        static_cast<size_t>(std::count(modes.of_row.begin(), modes.of_row.end(), mode));
    const size_t wanted = std::max<size_t>(10, count / 10);
    std::vector<std::vector<double>> first(options_.features);
    for (size_t i = 0, taken = 0; i < rows.size() && taken < wanted; ++i) {
      if (modes.of_row[i] != mode) continue;
      for (size_t f = 0; f < options_.features; ++f) first[f].push_back(rows[i][f]);
      ++taken;
    }
    std::vector<double> baseline(options_.features);
    for (size_t f = 0; f < options_.features; ++f) {
      const double median = Quantile(first[f], 0.5);
      baseline[f] = std::isfinite(median) ? median : middle_[f];
    }
    return baseline;
  }

  // Takes the row into the smoothed deviations; returns its mode.
  uint32_t Step(std::span<const double> row, bool fresh) {
    const uint32_t mode = NearestMode(mode_centers_, Deviation(row, middle_, mode_spread_));
    const std::vector<double> z = Deviation(row, baselines_[mode], spread_);
    for (size_t f = 0; f < z.size(); ++f)
      smooth_[f] = fresh ? kSmoothing * z[f] : kSmoothing * z[f] + (1 - kSmoothing) * smooth_[f];
    return mode;
  }

  void Follow(std::span<const double> row, uint32_t mode, double pull) {
    const std::vector<double> z = Deviation(row, baselines_[mode], spread_);
    for (size_t f = 0; f < z.size(); ++f)
      baselines_[mode][f] += pull / options_.memory * spread_[f] * std::clamp(z[f], -kPull, kPull);
  }

  Status FindPrecision(const std::vector<std::vector<double>>& rows) {
    const size_t n = options_.features;
    std::vector<double> mean(n);
    for (const auto& row : rows) {
      for (size_t f = 0; f < n; ++f) mean[f] += row[f] / static_cast<double>(rows.size());
    }
    SquareMatrix covariance(n);
    for (const auto& row : rows) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j <= i; ++j)
          covariance.at(i, j) +=
              (row[i] - mean[i]) * (row[j] - mean[j]) / static_cast<double>(rows.size() - 1);
      }
    }
    double trace = 0;
    for (size_t i = 0; i < n; ++i) trace += covariance.at(i, i);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) covariance.at(j, i) = covariance.at(i, j) *= 1 - kShrink;
      covariance.at(i, i) += kShrink * trace / static_cast<double>(n);
    }
    auto inverse = Inverse(covariance);
    if (!inverse) return FailedPrecondition("the features do not vary");
    precision_ = std::move(*inverse);
    return {};
  }

  double Score(std::span<const double> smooth, std::vector<double>* contributions) const {
    double score = 0;
    for (size_t i = 0; i < smooth.size(); ++i) {
      double along = 0;
      for (size_t j = 0; j < smooth.size(); ++j) along += precision_.at(i, j) * smooth[j];
      score += smooth[i] * along;
      if (contributions != nullptr) contributions->push_back(smooth[i] * along);
    }
    return score;
  }

  DetectorOptions options_;
  bool ready_ = false;
  std::vector<std::vector<double>> warm_rows_;
  std::vector<bool> warm_fresh_;
  std::vector<double> middle_, mode_spread_;       // Of all rows: for finding the mode.
  std::vector<double> spread_;                     // Within modes; 0: never moved.
  std::vector<std::vector<double>> mode_centers_;  // In spreads from the middle.
  std::vector<std::vector<double>> baselines_;     // Per mode, in the features' units.
  std::vector<double> smooth_;
  SquareMatrix precision_;
  Tail tail_;
};

Result<std::unique_ptr<Detector>> CreateMewma(const DetectorOptions& options) {
  if (options.features == 0 || options.features > kFeaturesMax)
    return InvalidArgument("{} features; a detector takes 1 to {}", options.features, kFeaturesMax);
  if (!(options.memory >= 10) || !(options.false_alarm_rows >= 1))
    return InvalidArgument("a memory of {} rows and a false alarm in {} rows", options.memory,
                           options.false_alarm_rows);
  return std::make_unique<Mewma>(options);
}

}  // namespace

extern const DetectorKind kDetector_mewma;
const DetectorKind kDetector_mewma = {
    .name = "mewma",
    .summary =
        "Watches how all features move together around a slowly following baseline of each mode.",
    .reference = "Lowry, Woodall, Champ, Rigdon (1992); Siffer, Fouque, Termier, Largouet (2017)",
    .create = CreateMewma,
};

}  // namespace penstock::learning
