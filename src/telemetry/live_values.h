// What every point says now: last value, its quality and time, and a sparkline of the last eight
// plant hours.
//
// A waveform shows the RMS of its last burst. Only memory; after a restart the replay of the log
// brings it back. Thread rule: any thread.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

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
  using SteadyNow = std::function<std::chrono::steady_clock::time_point()>;

  // `steady` measures samples per second of real time; tests bring their own.
  explicit LiveValues(SteadyNow steady = std::chrono::steady_clock::now)
      : steady_(std::move(steady)) {}

  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);
  void Observe(const Batch& batch);  // A Pipeline::Subscriber, with Replay::kYes.

  std::optional<LiveValue> Get(PointId point) const;
  // Means of the good samples of 48 equal steps of time ending with the step that holds `now`;
  // nullopt where none.
  std::array<std::optional<double>, kSparkBuckets> Spark(PointId point, Time now) const;
  // Values that changed after `revision`, which is moved forward; start with 0.
  std::vector<LiveValue> ChangedSince(uint64_t& revision) const;
  double samples_per_s() const;  // Over the last few real seconds.

 private:
  static constexpr int64_t kStepMicros = kSparkSpan.count() / static_cast<int64_t>(kSparkBuckets);
  struct Bucket {
    int64_t step = -1;  // source time / kStepMicros
    double sum = 0;
    uint32_t count = 0;
  };
  struct State {
    LiveValue last;
    uint64_t revision = 0;
    std::array<Bucket, kSparkBuckets> spark{};
  };
  void Take(PointId point, Time time, double value, Quality quality, uint64_t samples);

  SteadyNow steady_;
  mutable std::mutex mutex_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::vector<std::unique_ptr<State>> states_;  // By PointId; null until its first sample.
  uint64_t revision_ = 0;
  // Rows per real second: a ring of whole seconds.
  static constexpr size_t kRateSeconds = 8;
  struct RateSecond {
    int64_t second = -1;
    uint64_t rows = 0;
  };
  std::array<RateSecond, kRateSeconds> rate_{};
};

}  // namespace penstock::telemetry
