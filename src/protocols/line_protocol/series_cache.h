// What a line parser remembers: which series means which points. A series is found by the one that
// followed the last one before, or by a seeded hash; both only propose, the whole key decides.
//
// Lines of one kind of source have the same fields in the same order, so series share the list of
// their field keys (a Layout), and a series is 36 bytes, its key and 8 bytes for each field: a
// site of 40,000 points is learnt within a few hundred pages of memory.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocols/line_protocol/point_table.h"
#include "things/directory.h"

namespace penstock::protocols {

struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
};

// Field keys as written, escapes and all, in the order first seen; no key twice. It only grows: a
// series uses the first so many of them.
struct Layout {
  std::vector<std::string> keys;
  std::vector<uint64_t> prefix;    // Hash of the keys up to and with this one.
  std::vector<uint32_t> property;  // Of the thing that came last: where in it the key's was found.
  // Into `keys`, for fields out of their order; empty while these are few.
  std::unordered_map<std::string, uint32_t, KeyHash, std::equal_to<>> by_key;
};

struct Series {
  uint32_t key_begin = 0, key_size = 0;  // "measurement,tags" as written, in the cache's text.
  uint32_t hash = 0;
  uint32_t next = UINT32_MAX;   // Followed this one last time.
  uint32_t thing = UINT32_MAX;  // Index of the snapshot's things, or none.
  uint32_t layout = 0, fields = 0;
  uint32_t first = 0, room = 0;  // Its fields in the cache's list of them.
};

// Measurement, tag keys, tag values and field keys: a backslash before , = space and itself is left
// out.
std::string Unescaped(std::string_view text);

class SeriesCache {
 public:
  SeriesCache();

  // Else it makes a table of its own when it meets a snapshot that the last one is not of.
  void Use(std::shared_ptr<const PointTable> table) { table_ = std::move(table); }
  // Forgets all when the points may have changed or too much is known. `snapshot` must stay until
  // the next Begin.
  void Begin(const things::Snapshot& snapshot);

  // The series whose key begins at `at` and is followed by a space, if it is the expected one.
  Series* Expected(const char* at, const char* end) {
    if (last_ == kNone) return nullptr;
    const uint32_t next = series_[last_].next;
    if (next == kNone) return nullptr;
    Series& series = series_[next];
    if (static_cast<size_t>(end - at) <= series.key_size || at[series.key_size] != ' ' ||
        std::memcmp(at, text_.data() + series.key_begin, series.key_size) != 0)
      return nullptr;
    last_ = next;
    return &series;
  }

  bool Has(std::string_view key) const { return IndexOf(key) != kNone; }
  // Pointers to series are good until the next Add.
  Series* Find(std::string_view key);
  Series* Add(std::string_view key, const std::string& thing);

  // The first `series.fields` of each belong to it; good until the next FieldOf.
  const std::string* KeysOf(const Series& series) const {
    return layouts_[series.layout].keys.data();
  }
  const Field* FieldsOf(const Series& series) const { return fields_.data() + series.first; }
  // `position`: which field of its line it is, from 0. Good until the next call.
  const Field& FieldOf(Series& series, std::string_view key, size_t position);

  size_t size() const { return series_.size(); }
  const things::Snapshot& snapshot() const { return *snapshot_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  bool TooMuch() const;
  uint32_t Hash(std::string_view key) const;
  uint32_t IndexOf(std::string_view key) const;
  uint32_t ThingOf(const std::string& name);
  const Field* Known(const Series& series, std::string_view key) const;
  Field FieldFor(const Series& series, std::string_view key, uint32_t& guess) const;
  void ExtendLayout(Series& series, std::string_view key);
  void AddKey(uint32_t layout, std::string_view key, uint64_t prefix);
  void MakeRoom(Series& series);
  Series* Follow(uint32_t index);
  void Forget();
  void Grow();
  void Insert(uint32_t index);

  const uint64_t seed_;  // So that nobody can choose keys that all land in one slot.
  const things::Snapshot* snapshot_ = nullptr;
  uint64_t revision_ = 0;
  std::shared_ptr<const PointTable> table_;  // Shared with other parsers; it never changes.
  std::string text_;                         // The keys of all series.
  std::vector<Series> series_;
  std::vector<Field> fields_;    // Of all series, each in one piece.
  std::vector<uint32_t> slots_;  // A power of two, at most half full; linear probing.
  std::vector<Layout> layouts_;  // The first is there from the beginning.
  std::unordered_map<uint64_t, uint32_t> layout_of_prefix_;
  size_t layout_bytes_ = 0;  // About.
  uint32_t last_ = kNone;
  uint32_t last_thing_ = 0;    // Of the latest new series.
  uint32_t usual_layout_ = 0;  // The same.
  Field loose_;                // Of a series that has too many to remember.
};

}  // namespace penstock::protocols
