// Can we believe a sample? Applies the rules of each point (things::QualityRules) to a batch and
// writes the answer into the quality column; what cannot be a sample at all goes to the quarantine.
//
// Rules, the worst wins and a driver's own bad quality is never improved: range, rate of change,
// flat line, same time with another value; duplicates are dropped and counted; a source time too
// far ahead of ours is quarantined. For a waveform the rules judge whole bursts. Silence is found
// by Sweep().
//
// Thread rule: Mark, Sweep, Prime and Forget from one thread (the pipeline's); SetSnapshot too.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "telemetry/sample.h"
#include "things/directory.h"

namespace penstock::telemetry {

// Knows the latest rows of all points again, by fingerprints in two generations: at least kRows of
// them, at most twice as many.
class RecentRows {
 public:
  static constexpr size_t kRows = 1 << 16;

  bool Has(uint64_t fingerprint) const;
  void Add(uint64_t fingerprint);
  void Remove(uint64_t fingerprint);

 private:
  static constexpr size_t kSlots = 2 * kRows;
  using Slots = std::vector<uint64_t>;  // Open addressing; kNothing, kGone or a fingerprint.
  static constexpr uint64_t kNothing = 0, kGone = 1;
  static size_t Find(const Slots& slots, uint64_t fingerprint);

  Slots now_, before_;  // Empty until needed.
  size_t count_ = 0;    // Taken slots of now_.
};

// The rows that are not in the batch any more, by their points.
struct MarkOutcome {
  std::vector<PointId> duplicates;  // The same point, source time and value came just before.
  std::vector<PointId> quarantined;
};

class QualityMarker {
 public:
  // Source times ahead of the ingest time by more than this are quarantined where the point has no
  // own limit: one wild clock would otherwise push every watermark into the future.
  static constexpr Duration kDefaultClockSkew = std::chrono::hours(24);

  explicit QualityMarker(QuarantineSink& quarantine) : quarantine_(quarantine) {}

  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);

  // Marks in place, removes duplicates and quarantined rows, keeps the order of the others.
  MarkOutcome Mark(Batch& batch);
  // Appends to `out` one sample (the last value, kUncertainLastUsableValue, both times `now`) for
  // every point that has become stale since the last sweep.
  void Sweep(Time now, Batch& out);
  // Remembers rows that were marked in an earlier life (replay of the log), without judging them
  // again.
  void Prime(const Batch& batch);
  // The rows were refused after marking: a second delivery must not count as a duplicate.
  void Forget(const Batch& batch);

 private:
  // What is known of one point. 8 recent rows (for a waveform: bursts, by hash) find redelivered
  // ones, whatever other points have sent meanwhile.
  struct Seen {
    Time time;
    double value;
  };
  struct State {
    std::array<Seen, 8> recent{};
    uint8_t recent_count = 0, recent_next = 0;
    bool has_last = false, has_flat = false, stale = false;
    Time newest{}, last_time{}, flat_since{}, last_ingest{};
    double last_value = 0, flat_value = 0;
  };
  enum class Fate : uint8_t { kKeep, kDuplicate, kQuarantine };

  const things::Point* PointOf(PointId id) const;
  State& StateOf(PointId id);
  Fate JudgeAdmission(const Batch& batch, size_t row, const things::Point* point);
  Fate JudgeSample(const Batch& batch, size_t row, const things::Point& point, Quality& quality);
  void JudgeBurst(Batch& batch, size_t begin, size_t end, const things::Point& point);
  static void JudgeFlat(State& state, Time time, bool same, double value, Duration after,
                        Quality& quality);
  Fate Quarantine(const Batch& batch, size_t row, const things::Point* point, const char* rule,
                  std::string message);
  void Remember(State& state, PointId id, Time source, Time ingest, double value);
  template <typename Visit>
  void ForEachRow(const Batch& batch, const Visit& visit) const;
  MarkOutcome Compact(Batch& batch) const;

  QuarantineSink& quarantine_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::vector<State> states_;  // By PointId.
  RecentRows recent_rows_;
  std::vector<Fate> fates_;  // Of the rows of the batch in hand.
};

// One past the last row of the burst that starts at `begin`: rows of the same point, in time order,
// none more than two spacings after the one before, at most `max_rows`. `sample_rate_hz` 0: the run
// of the same point.
size_t BurstEnd(const Batch& batch, size_t begin, double sample_rate_hz,
                size_t max_rows = SIZE_MAX);

}  // namespace penstock::telemetry
