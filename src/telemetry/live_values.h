// What every point says now: last value, its quality and time, and a sparkline of the last eight
// plant hours.
//
// A waveform shows the RMS of its last burst. Only memory; after a restart Restore and the replay
// of the log bring it back. Values lie in one flat array. Sparklines are kept of at most
// kSparksMax points: of those that people look at, made from the history when first asked for.
//
// Thread rule: any thread.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

struct LiveValue {
  PointId point;
  double value = 0;
  Quality quality = kGood;
  Time time{};           // Source time; of a waveform: of the burst's first sample.
  uint64_t samples = 0;  // Rows seen.
};

class LiveValues {
 public:
  static constexpr size_t kSparkBuckets = 48;
  static constexpr Duration kSparkSpan = std::chrono::hours(8);
  static constexpr size_t kSparksMax = 4096;
  using Spark48 = std::array<std::optional<double>, kSparkBuckets>;
  using SteadyNow = std::function<std::chrono::steady_clock::time_point()>;
  // Means over the steps of [from, from + kSparkSpan) out of the history.
  using SparkLoader = std::function<Spark48(PointId point, Time from)>;

  // `steady` measures samples per second of real time; tests bring their own.
  explicit LiveValues(SteadyNow steady = std::chrono::steady_clock::now)
      : steady_(std::move(steady)) {}

  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);
  // Before the first Observe. Without a loader every point has a sparkline from its first sample
  // on, up to kSparksMax of them; with one only waveforms have.
  void LoadSparksWith(SparkLoader loader);
  // The end of an earlier life: values with their own times; no part of samples_per_s.
  void Restore(const Batch& last_known);
  void Observe(const Batch& batch);  // A Pipeline::Subscriber, with Replay::kYes.

  std::optional<LiveValue> Get(PointId point) const;
  // Means of the good samples of 48 equal steps of time ending with the step that holds `now`;
  // nullopt where none. May ask the history.
  Spark48 Spark(PointId point, Time now);
  // Values that changed after `revision`, which is moved forward; start with 0.
  std::vector<LiveValue> ChangedSince(uint64_t& revision) const;
  double samples_per_s() const;  // Over the last few real seconds.

 private:
  static constexpr int64_t kStepMicros = kSparkSpan.count() / static_cast<int64_t>(kSparkBuckets);
  static constexpr uint32_t kNoSpark = UINT32_MAX;
  struct Bucket {
    int64_t step = -1;  // source time / kStepMicros
    double sum = 0;
    uint32_t count = 0;
  };
  struct SparkState {
    PointId point;
    uint64_t asked = 0;  // When, in askings; the one longest not asked for gives way.
    std::array<Bucket, kSparkBuckets> buckets{};
  };
  struct State {
    LiveValue last;
    uint64_t revision = 0;
    uint32_t spark = kNoSpark;  // Into sparks_.
    float sample_rate_hz = 0;   // Of a waveform.
    bool known = false, waveform = false;
  };
  void Fold(const Batch& batch);
  void Take(State& state, PointId point, Time time, double value, Quality quality,
            uint64_t samples);
  void AddToSpark(SparkState& spark, Time time, double value);
  SparkState* NewSpark(PointId point);
  Spark48 ReadSpark(const SparkState& spark, Time now) const;

  const SteadyNow steady_;
  mutable std::mutex mutex_;
  SparkLoader loader_;
  std::vector<State> states_;  // By PointId.
  std::vector<SparkState> sparks_;
  uint64_t revision_ = 0, askings_ = 0;
  // Rows per real second: a ring of whole seconds.
  static constexpr size_t kRateSeconds = 8;
  struct RateSecond {
    int64_t second = -1;
    uint64_t rows = 0;
  };
  std::array<RateSecond, kRateSeconds> rate_{};
};

}  // namespace penstock::telemetry
