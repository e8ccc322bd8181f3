// Which values of a point need no closer look: one range per point, 8 bytes of it, so that the loop
// that marks the quality of a row also tells whether the row may break a contract; and who then
// looks closer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "telemetry/sample.h"

namespace penstock::telemetry {

// The range rounded inward to floats, so that a suspect is judged exactly and nothing wrong passes.
struct ValueLimit {
  float low, high;  // The last bit of `low`: whole numbers only. Low above high: all are suspects.

  // `closer`: there is more to check than a range. Infinite bounds are none.
  static ValueLimit For(double low, double high, bool whole, bool closer);
  static ValueLimit None();
  bool Suspect(double value) const;
  bool MoreThanRange() const;  // A value within low..high may still be a suspect.
};

// By PointId; the last for every point beyond.
class ValueLimits {
 public:
  explicit ValueLimits(size_t points) : limits_(points + 1, ValueLimit::None()) {}
  void Set(PointId point, ValueLimit limit) { limits_[point.value] = limit; }
  ValueLimit Of(PointId point) const {
    return limits_[std::min<size_t>(point.value, limits_.size() - 1)];
  }

 private:
  std::vector<ValueLimit> limits_;
};

// Takes rows out of marked batches before they are stored. One thread (the pipeline's).
class RowCheck {
 public:
  virtual ~RowCheck() = default;
  // Before a batch is marked; its first row is to be stored as `next_sequence`. Null: all is
  // allowed.
  virtual std::shared_ptr<const ValueLimits> Begin(uint64_t next_sequence) = 0;
  // `suspects`, rising: the rows outside of these limits; of a waveform the first row of the burst.
  // Adds the point of each row taken out to `taken`.
  virtual void Judge(Batch& batch, std::span<const uint32_t> suspects,
                     std::vector<PointId>& taken) = 0;
};

}  // namespace penstock::telemetry
