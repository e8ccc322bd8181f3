// Can we believe a sample? Applies the rules of each point (things::QualityRules) to a batch and
// writes the answer into the quality column; what cannot be a sample at all goes to the quarantine.
//
// Rules, the worst wins and a driver's own bad quality is never improved: range, rate of change,
// flat line, same time with another value; duplicates are dropped and counted; a source time too
// far ahead of ours is quarantined. For a waveform the rules judge whole bursts. Silence is found
// by Sweep().
//
// A row outside of what the contracts allow without a closer look (SetLimits) is named on the way.
//
// Thread rule: Mark, Sweep, Prime and Forget from one thread (the pipeline's); the setters too.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "telemetry/sample.h"
#include "telemetry/value_limits.h"
#include "things/directory.h"

namespace penstock::telemetry {

// Knows the latest rows of all points again, by fingerprints in two generations: at least kRows of
// them, at most twice as many. To add one is to append it to a list; the index that finds them is
// made when somebody asks, which happens only when time does not advance.
class RecentRows {
 public:
  static constexpr size_t kRows = 1 << 16;

  bool Has(uint64_t fingerprint);
  void Add(uint64_t fingerprint) {
    if (now_.list.size() >= kRows) Turn();
    now_.list.push_back(fingerprint);
  }
  void Remove(uint64_t fingerprint);

 private:
  static constexpr size_t kSlots = 2 * kRows;
  static constexpr uint64_t kNothing = 0, kGone = 1;
  struct Generation {
    std::vector<uint64_t> list;
    std::vector<uint64_t> slots;  // Open addressing; kNothing, kGone or a fingerprint. Or empty.
    size_t indexed = 0;           // So many of the list are in the slots.
    void Index();
    uint64_t* Find(uint64_t fingerprint);  // Its slot, or the free one where it would be.
  };
  void Turn();

  Generation now_, before_;
};

// The rows that are not in the batch any more, by their points.
struct MarkOutcome {
  std::vector<PointId> duplicates;  // The same point, source time and value came just before.
  std::vector<PointId> quarantined;
  // Rows still in the batch, rising, outside of the limits; of a waveform the first row of the
  // burst. Good until the next Mark.
  std::span<const uint32_t> suspects;
};

class QualityMarker {
 public:
  // Source times ahead of the ingest time by more than this are quarantined where the point has no
  // own limit: one wild clock would otherwise push every watermark into the future.
  static constexpr Duration kDefaultClockSkew = std::chrono::hours(24);

  explicit QualityMarker(QuarantineSink& quarantine) : quarantine_(quarantine) {}

  void SetSnapshot(std::shared_ptr<const things::Snapshot> snapshot);

  // Null: none.
  void SetLimits(std::shared_ptr<const ValueLimits> limits);

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
  // What the loop needs of one point when all is as usual, in one cache line.
  struct alignas(64) Hot {
    Time newest{}, last_time{}, last_ingest{};
    double last_value = 0;
    double minimum = 0, maximum = 0;  // Within both the quality rules and the limits.
    Duration skew{};                  // Allowed ahead of us.
    uint8_t flags = 0;
    bool has_last = false, stale = false;
    uint8_t recent_count = 0, recent_next = 0;
  };
  static constexpr uint8_t kKnown = 1, kWaveform = 2, kFlatRule = 4, kMayBeStale = 8;
  static constexpr uint8_t kRateRule = 16, kCloser = 32;
  // 8 recent rows (for a waveform: bursts) find redelivered ones, whatever other points have sent
  // meanwhile: 32 bits of the time's hash and 32 of the value's.
  struct Seen {
    uint32_t time = 0, value = 0;
    static Seen Of(Time time, double value);
    bool operator==(const Seen&) const = default;
  };
  struct alignas(64) Recent {
    std::array<Seen, 8> rows;
  };
  struct Flat {
    bool has = false;
    Time since{};
    double value = 0;
  };
  static constexpr size_t kFetchAhead = 8;  // Rows.
  enum class Fate : uint8_t { kKeep, kDuplicate, kQuarantine };

  const things::Point* PointOf(PointId id) const;
  Hot& HotOf(PointId id);
  void TakeRules(PointId id, Hot& hot);
  bool RateIsUsual(const Hot& hot, PointId id, Time time, double value) const;
  bool Suspect(PointId id, double value) const {
    return limits_ != nullptr && limits_->Of(id).Suspect(value);
  }
  void FetchAhead(const Batch& batch, size_t row) const;
  Fate JudgeUsual(const Batch& batch, size_t row, Quality& quality);
  Fate JudgeAdmission(const Batch& batch, size_t row, const things::Point* point);
  Fate JudgeSample(const Batch& batch, size_t row, const things::Point& point, Quality& quality);
  void JudgeBurst(Batch& batch, size_t begin, size_t end, const things::Point& point);
  static void JudgeFlat(Flat& flat, Time time, bool same, double value, Duration after,
                        Quality& quality);
  Fate Quarantine(const Batch& batch, size_t row, const things::Point* point, const char* rule,
                  std::string message);
  void Remember(Hot& hot, PointId id, Time source, Time ingest, double value);
  template <typename Visit>
  void ForEachRow(const Batch& batch, const Visit& visit) const;
  MarkOutcome Compact(Batch& batch);

  QuarantineSink& quarantine_;
  std::shared_ptr<const things::Snapshot> snapshot_;
  std::shared_ptr<const ValueLimits> limits_;
  std::vector<Hot> hot_;  // These three by PointId.
  std::vector<Recent> recent_;
  std::vector<Flat> flat_;
  std::vector<double> rates_;  // The same, as far as points have such a rule.
  RecentRows recent_rows_;
  std::vector<Fate> fates_;  // Of the rows of the batch in hand.
  std::vector<uint32_t> suspects_;
};

}  // namespace penstock::telemetry
