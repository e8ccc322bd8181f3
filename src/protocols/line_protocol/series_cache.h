// What a line parser remembers: which series means which points. A series is found by the one that
// followed the last one before, or by a seeded hash; both only propose, the whole key decides.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "things/directory.h"

namespace penstock::protocols {

struct Field {
  std::string key;  // As written, escapes and all.
  PointId id;       // Invalid: no such point.
  things::ValueType type = things::ValueType::kNumber;
};

struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
};

struct Series {
  std::string key;  // "measurement,tags" as written.
  std::string thing;
  const things::Thing* known = nullptr;  // Of the snapshot.
  size_t next_property = 0;              // Of it, where the next field is looked for first.
  uint64_t hash = 0;
  uint32_t next = UINT32_MAX;  // Followed this one last time.
  std::vector<Field> fields;   // In the order first seen.
  // Into `fields`, for fields out of their order; empty while these are few.
  std::unordered_map<std::string, uint32_t, KeyHash, std::equal_to<>> by_key;
};

// Measurement, tag keys, tag values and field keys: a backslash before , = space and itself is left
// out.
std::string Unescaped(std::string_view text);

class SeriesCache {
 public:
  SeriesCache();

  // Forgets all when the points may have changed or too much is known. `snapshot` must stay until
  // the next Begin.
  void Begin(const things::Snapshot& snapshot);

  // The series whose key begins at `at` and is followed by a space, if it is the expected one.
  Series* Expected(const char* at, const char* end) {
    if (last_ == kNone) return nullptr;
    const uint32_t next = series_[last_].next;
    if (next == kNone) return nullptr;
    Series& series = series_[next];
    const size_t size = series.key.size();
    if (static_cast<size_t>(end - at) <= size || at[size] != ' ' ||
        std::memcmp(at, series.key.data(), size) != 0)
      return nullptr;
    last_ = next;
    return &series;
  }

  // Pointers to series are good until the next Add.
  Series* Find(std::string_view key);
  Series* Add(std::string_view key, std::string thing);

  // `position`: which field of its line it is, from 0. Good until the next call.
  const Field& FieldOf(Series& series, std::string_view key, size_t position);

  const things::Snapshot& snapshot() const { return *snapshot_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint64_t Hash(std::string_view key) const;
  static const Field* Known(const Series& series, std::string_view key);
  const things::Point* PointOf(Series& series, std::string_view key) const;
  Series* Follow(uint32_t index);
  void Forget();
  void Grow();
  void Insert(uint32_t index);

  const uint64_t seed_;  // So that nobody can choose keys that all land in one slot.
  const things::Snapshot* snapshot_ = nullptr;
  uint64_t revision_ = 0;
  std::vector<Series> series_;
  std::vector<uint32_t> slots_;  // A power of two, at most half full; linear probing.
  uint32_t last_ = kNone;
  size_t usual_fields_ = 1;
};

}  // namespace penstock::protocols
