// The points of a snapshot as a line names them, by thing and property: 12 bytes each in the order
// of the things, where the things themselves are spread over half a kilobyte a point. Made once for
// a snapshot and shared by the parsers, so that a series met for the first time costs one look at
// one place.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "things/directory.h"

namespace penstock::protocols {

struct Field {
  PointId id;  // Invalid: no such point.
  things::ValueType type = things::ValueType::kNumber;
};

class PointTable {
 public:
  explicit PointTable(const things::Snapshot& snapshot);
  bool IsOf(const things::Snapshot& snapshot) const {
    return snapshot_ == &snapshot && revision_ == snapshot.revision;
  }
  // `thing`: index into the snapshot's things. `guess`: where among its properties the key may be;
  // receives where it was. The name is compared whole.
  Field Find(uint32_t thing, std::string_view property, uint32_t& guess) const;

 private:
  struct Entry {
    uint32_t name;  // Into names_.
    Field field;
  };

  const things::Snapshot* snapshot_;  // Of the one given: never followed.
  uint64_t revision_;
  std::deque<std::string> names_;  // Of properties, each once.
  std::vector<uint32_t> first_;    // By thing, and the end of the last: into entries_.
  std::vector<Entry> entries_;
};

}  // namespace penstock::protocols
